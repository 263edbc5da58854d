use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use super::settings::differences;
use super::{Effective, EffectiveService, Member, Ramp, Rise, Role};
use crate::core::model::{BackendName, ServiceName};

/// How one service differs between two plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The service.
    pub service: ServiceName,
    /// What differs.
    pub detail: Detail,
}

/// What differs of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// It is new, with so many backends in rotation.
    ServiceAdded(usize),
    /// It is gone.
    ServiceRemoved,
    /// Settings of its own differ: which ones, by their keys.
    SettingsChanged(Vec<String>),
    /// A backend begins to get traffic.
    UpstreamAdded(BackendName, SocketAddr),
    /// A backend gets no more traffic, and why.
    UpstreamRemoved(BackendName, SocketAddr, String),
    /// A backend is dialed elsewhere than before.
    UpstreamMoved(BackendName, SocketAddr, SocketAddr),
    /// A backend's weight differs: before, after.
    WeightChanged(BackendName, u16, u16),
    /// A backend that was down has come so far back to its share, in percent.
    Rising(BackendName, u8),
    /// A backend asks for so much of its share by its reports, in percent.
    Asked(BackendName, u8),
    /// So much of the traffic has moved back to the tier that is preferred, in percent.
    Returning(u8),
    /// A backend stays in rotation in another role, before and after: it is down and is kept all the same, or no longer.
    Kept(BackendName, Role, Role),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}: {}", self.service, self.detail)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAdded(upstreams) => write!(f, "added with {upstreams} in rotation"),
            Self::ServiceRemoved => f.write_str("removed"),
            Self::SettingsChanged(keys) => write!(f, "settings changed: {}", keys.join(", ")),
            Self::UpstreamAdded(name, at) => write!(f, "{name} ({at}) enters rotation"),
            Self::UpstreamRemoved(name, at, why) => {
                write!(f, "{name} ({at}) leaves rotation: {why}")
            }
            Self::UpstreamMoved(name, from, to) => write!(f, "{name} moves from {from} to {to}"),
            Self::WeightChanged(name, from, to) => {
                write!(f, "weight of {name} from {from} to {to}")
            }
            Self::Rising(name, percent) => write!(f, "{name} has {percent} % of its share"),
            Self::Asked(name, percent) => write!(f, "{name} asks for {percent} % of its share"),
            Self::Returning(percent) => {
                write!(f, "{percent} % of its traffic goes to the tier that it prefers")
            }
            Self::Kept(name, _, Role::LastResort) => {
                write!(f, "{name} is down and stays in rotation, as all are")
            }
            Self::Kept(name, _, Role::Guarded(guard)) => {
                write!(f, "{name} is down and stays in rotation, held by {guard}")
            }
            Self::Kept(name, Role::Guarded(guard), _) => {
                write!(f, "{name} is no longer held by {guard}")
            }
            Self::Kept(name, _, _) => write!(f, "{name} is no longer a last resort"),
        }
    }
}

/// Compares two plans' outcomes, service by service, in the order of names.
pub(super) fn between(before: &Effective, after: &Effective) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut push = |service: &ServiceName, detail| changes.push(Change { service: service.clone(), detail });
    for (name, service) in &before.services {
        match after.services.get(name) {
            None => push(name, Detail::ServiceRemoved),
            Some(newer) => of_service(service, newer).into_iter().for_each(|detail| push(name, detail)),
        }
    }
    for (name, service) in &after.services {
        if !before.services.contains_key(name) {
            push(name, Detail::ServiceAdded(service.in_rotation().count()));
        }
    }
    changes.sort_by(|a, b| a.service.cmp(&b.service));
    changes
}

fn of_service(before: &EffectiveService, after: &EffectiveService) -> Vec<Detail> {
    if before == after {
        return Vec::new();
    }
    let mut details = Vec::new();
    if before.service != after.service {
        details.push(Detail::SettingsChanged(differences(&before.service, &after.service)));
    }
    let returned = |ramp: Option<Ramp>| ramp.map_or(100, |ramp| ramp.rise.percent());
    if before.ramp != after.ramp && (after.ramp.is_some() || before.choice == after.choice) {
        details.push(Detail::Returning(returned(after.ramp)));
    }
    let (old, new) = (by_name(before), by_name(after));
    for (name, member) in &old {
        if !new.contains_key(name) && member.role.gets_traffic() {
            details.push(Detail::UpstreamRemoved((*name).clone(), member.backend.upstream(), "removed".to_owned()));
        }
    }
    for (name, member) in &new {
        details.extend(of_member(old.get(name).copied(), member));
    }
    details
}

fn by_name(service: &EffectiveService) -> BTreeMap<&BackendName, &Member> {
    service.members.iter().map(|member| (&member.backend.name, member)).collect()
}

fn of_member(before: Option<&Member>, after: &Member) -> Vec<Detail> {
    let backend = &after.backend;
    let (name, upstream) = (backend.name.clone(), backend.upstream());
    let was_in = before.filter(|member| member.role.gets_traffic());
    match (was_in, after.role) {
        (None, Role::Out(_) | Role::Standby) => Vec::new(),
        (None, Role::InRotation | Role::LastResort | Role::Guarded(_)) => {
            let rising = after.rise.map(|rise| Detail::Rising(name.clone(), rise.percent()));
            let asked = (after.share < 100).then(|| Detail::Asked(name.clone(), after.share));
            Some(Detail::UpstreamAdded(name, upstream)).into_iter().chain(rising).chain(asked).collect()
        }
        (Some(_), Role::Out(_) | Role::Standby) => {
            vec![Detail::UpstreamRemoved(name, upstream, after.role.reason().unwrap_or_default())]
        }
        (Some(member), role) => {
            let mut details = Vec::new();
            if member.backend.upstream() != upstream {
                details.push(Detail::UpstreamMoved(name.clone(), member.backend.upstream(), upstream));
            }
            if member.backend.weight != backend.weight {
                details.push(Detail::WeightChanged(name.clone(), member.backend.weight, backend.weight));
            }
            if member.rise != after.rise {
                details.push(Detail::Rising(name.clone(), after.rise.map_or(100, Rise::percent)));
            }
            if member.share != after.share {
                details.push(Detail::Asked(name.clone(), after.share));
            }
            if member.role != role {
                details.push(Detail::Kept(name, member.role, role));
            }
            details
        }
    }
}
