use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::caddy::{Pool, Rendered, is_relayed, render};
use crate::core::inventory::Edge;
use crate::core::model::{BackendName, Digest};
use crate::core::routing::{Effective, EffectiveService, Exclusion, Role};

/// A backend that has been out for so long is left out of the configuration, so that no load of it, by whomever, makes
/// Caddy believe in it again.
const SETTLED: Duration = Duration::from_mins(1);

/// Decides which backends that get no traffic stay in an edge's configuration: as many as keep it as it is, since the
/// relay acts on their verdicts without a push. When something has to be pushed anyway, none of them stays.
#[derive(Debug, Default)]
pub(super) struct Pooling {
    /// Since when each backend has been out, of those whose verdicts a relay acts on.
    out_since: BTreeMap<BackendName, Instant>,
    /// What the configuration of this digest has; none before the first.
    served: Option<(Digest, BTreeSet<BackendName>)>,
    /// What was rendered last: the configuration, and the one in its place.
    rendered: Vec<(Digest, BTreeSet<BackendName>)>,
}

impl Pooling {
    /// Renders for an edge that runs `served`. With a relay that asks, the outcome is `served` itself where verdicts and
    /// overrides alone have changed, and not for long.
    pub(super) fn render(
        &mut self,
        effective: &Effective,
        edge: &Edge,
        is_asked: bool,
        served: Option<&Digest>,
        now: Instant,
    ) -> Rendered {
        self.note_out(effective, now);
        let mut pool = if is_asked { Pool::strict() } else { Pool::unasked() };
        let mut rendered = None;
        if is_asked && served.is_some() {
            let kept = Pool::keeping(self.kept(now));
            let candidate = render(effective, edge, &kept);
            if Some(&candidate.digest) == served {
                pool = kept;
                rendered = Some(candidate);
            }
        }
        let rendered = rendered.unwrap_or_else(|| render(effective, edge, &pool));
        self.rendered = vec![(rendered.digest.clone(), names(effective, &pool))];
        rendered
    }

    /// What is to be pushed to an edge that does not run what was rendered last after all: Caddy would believe in the
    /// backends that were kept though they are down. None where none was kept.
    pub(super) fn instead(&mut self, effective: &Effective, edge: &Edge) -> Option<Rendered> {
        let strict = names(effective, &Pool::strict());
        if self.rendered.iter().all(|(_, rendered)| rendered.is_subset(&strict)) {
            return None;
        }
        let rendered = render(effective, edge, &Pool::strict());
        self.rendered.push((rendered.digest.clone(), strict));
        Some(rendered)
    }

    /// The edge runs this configuration.
    pub(super) fn served(&mut self, digest: &Digest) {
        if let Some(rendered) = self.rendered.iter().find(|(rendered, _)| rendered == digest) {
            self.served = Some(rendered.clone());
        }
    }

    fn note_out(&mut self, effective: &Effective, now: Instant) {
        let mut before = std::mem::take(&mut self.out_since);
        let relayed = effective.services.values().filter(|service| is_relayed(&service.service));
        for (service, member) in relayed.flat_map(|service| service.members.iter().map(move |member| (service, member)))
        {
            let is_out = match member.role {
                Role::LastResort => true,
                // With nothing else alive the links that believe nothing would try it, and an operator, or it itself, took it out.
                Role::Out(Exclusion::Overridden(_) | Exclusion::Reported) => has_living(service),
                Role::Out(why) => !why.is_declared() && why != Exclusion::HeldBack && why != Exclusion::TierTooSmall,
                Role::InRotation | Role::Guarded(_) | Role::Standby => false,
            };
            if is_out {
                let name = &member.backend.name;
                self.out_since.insert(name.clone(), before.remove(name).unwrap_or(now));
            }
        }
    }

    /// The backends that are out, were in the configuration when it was pushed, and have not settled. After a start nobody
    /// knows what is in it; all may be.
    fn kept(&self, now: Instant) -> BTreeSet<BackendName> {
        let is_served = |name: &BackendName| self.served.as_ref().is_none_or(|(_, served)| served.contains(name));
        let is_fresh = |since: Instant| now.duration_since(since) < SETTLED;
        self.out_since
            .iter()
            .filter(|(name, since)| is_fresh(**since) && is_served(name))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn has_living(service: &EffectiveService) -> bool {
    service.members.iter().any(|member| member.role == Role::InRotation)
}

fn names(effective: &Effective, pool: &Pool) -> BTreeSet<BackendName> {
    let members = effective.services.values().flat_map(|service| &service.members);
    members.filter(|member| pool.has(member)).map(|member| member.backend.name.clone()).collect()
}
