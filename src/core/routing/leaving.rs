use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Effective, Exclusion, Member, Role};
use crate::core::inventory::Edge;

/// Requests and streams that an edge has under way, by the address that it dials.
pub type OpenRequests = BTreeMap<String, u64>;

/// What is still open to an address that gets no new requests, at one edge.
///
/// Caddy counts by address: where a second service dials it too, its requests are among them, and it is not listed at all
/// while one of the two sends it new ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leaving {
    /// The address that the edge dials.
    pub upstream: String,
    /// The backend; none where the inventory has none (any more) at this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Why it gets nothing new: `draining`, `removed`.
    pub reason: String,
    /// Requests and streams under way.
    pub open: u64,
}

impl fmt::Display for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstream, backend, reason, open } = self;
        write!(f, "{upstream} (")?;
        if let Some(backend) = backend {
            write!(f, "{backend}, ")?;
        }
        let noun = if *open == 1 { "request or stream" } else { "requests or streams" };
        write!(f, "{reason}): {open} {noun} open")
    }
}

impl Member {
    /// True for a backend that is to get nothing new because somebody said so, while what is open to it may end.
    pub const fn is_leaving(&self) -> bool {
        match self.role {
            Role::Out(why) => why.is_declared() || matches!(why, Exclusion::Overridden(_)),
            Role::InRotation | Role::Guarded(_) | Role::LastResort | Role::Standby => false,
        }
    }
}

impl Effective {
    /// True where a backend is to get nothing new because somebody said so.
    pub fn has_leaving(&self) -> bool {
        self.services.values().flat_map(|service| &service.members).any(Member::is_leaving)
    }

    /// What is open to backends that are leaving or gone, by address. `removed` are addresses of which the number is told
    /// though nothing is open.
    pub fn leaving(&self, edge: &Edge, open: &OpenRequests, removed: &BTreeSet<String>) -> Vec<Leaving> {
        let mut members: BTreeMap<String, Vec<&Member>> = BTreeMap::new();
        for member in self.services.values().flat_map(|service| &service.members) {
            members.entry(member.backend.upstream().to_string()).or_default().push(member);
        }
        // The relay's own requests are no traffic: those to bascule, and those to whatever a header names.
        let relay = edge.relay.as_ref().map(|relay| relay.bascule.to_string());
        let is_traffic = |upstream: &&String| !upstream.contains('{') && relay.as_ref() != Some(*upstream);
        let busy = open.iter().filter(|(_, open)| **open > 0).map(|(upstream, _)| upstream);
        let upstreams: BTreeSet<&String> = busy.chain(removed).filter(is_traffic).collect();
        let leaving = |upstream: &String| {
            let members = members.get(upstream).map_or(&[][..], Vec::as_slice);
            if !members.iter().all(|member| member.is_leaving()) {
                return None;
            }
            let first = members.first();
            Some(Leaving {
                upstream: upstream.clone(),
                backend: first.map(|member| member.backend.name.to_string()),
                reason: first.and_then(|member| member.role.reason()).unwrap_or_else(|| "removed".to_owned()),
                open: open.get(upstream).copied().unwrap_or_default(),
            })
        };
        upstreams.into_iter().filter_map(leaving).collect()
    }
}
