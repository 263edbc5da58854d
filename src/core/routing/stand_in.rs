//! What stands in for a service that an edge refuses: what the edge took of it last.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Effective, EffectiveService, Member};
use crate::core::inventory::{Backend, Service};
use crate::core::model::{Digest, Hostname, PathPrefix, ServiceName};

impl Effective {
    /// The same with other services in place of some: as an edge took them last, or out where it never did.
    ///
    /// Names that another service has by now are that one's.
    #[must_use]
    pub fn with(&self, stand_ins: &BTreeMap<ServiceName, Option<Arc<EffectiveService>>>) -> Self {
        let mut services = self.services.clone();
        for name in stand_ins.keys() {
            services.remove(name);
        }
        for (name, stand_in) in stand_ins {
            let now = self.services.get(name);
            let Some(stand_in) = stand_in.as_ref().zip(now).and_then(|(it, now)| it.beside(&services, now)) else {
                continue;
            };
            services.insert(name.clone(), Arc::new(stand_in));
        }
        Self { services }
    }
}

impl EffectiveService {
    /// What is declared of it, whatever is believed of its backends.
    pub fn declared(&self) -> Digest {
        let mut backends: Vec<&Backend> = self.members.iter().map(|member| &*member.backend).collect();
        backends.sort_by(|a, b| a.name.cmp(&b.name));
        Digest::of(format!("{:?} {backends:?}", self.service).as_bytes())
    }

    /// The same with what is known `now` of its backends, and without names that others have; none where it has no other.
    /// A backend that is declared no more plays the part that it played: nobody asks it, and the edge's own checks judge it.
    fn beside(&self, others: &BTreeMap<ServiceName, Arc<Self>>, now: &Self) -> Option<Self> {
        let member = |member: &Member| {
            let is_same = |now: &&Member| now.backend.upstream() == member.backend.upstream();
            match now.member(&member.backend.name).filter(is_same) {
                Some(now) => Member { backend: Arc::clone(&member.backend), tier: member.tier, ..now.clone() },
                None => member.clone(),
            }
        };
        let is_free = |host: &&Hostname| !others.values().any(|other| claims_of(&self.service, &other.service, host));
        let domains: Vec<Hostname> = self.service.domains.iter().filter(is_free).cloned().collect();
        if domains.is_empty() {
            return None;
        }
        let service = if domains == self.service.domains {
            Arc::clone(&self.service)
        } else {
            Arc::new(Service { domains, ..(*self.service).clone() })
        };
        let members = self.members.iter().map(member).collect();
        Some(Self { service, serving: self.serving, members, choice: self.choice.clone(), ramp: None })
    }
}

/// True where both claim a host with one path.
fn claims_of(service: &Service, other: &Service, host: &Hostname) -> bool {
    let has = |path: &PathPrefix| other.paths.contains(path);
    other.domains.contains(host) && service.paths.iter().any(has)
}
