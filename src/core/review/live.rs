use std::collections::BTreeMap;

use super::{Review, Sides, compare};
use crate::core::health::{Observed, Verdict};
use crate::core::inventory::{Backend, Desired};
use crate::core::model::{BackendName, Revision, ServiceName};
use crate::core::routing::{Action, Effective, Exclusion, Inputs, Live, Overrides, Plan, Role, plan};
use crate::core::simulate::{Share, settle, shares};

/// What a review of a running controller is made against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The revision that is served.
    pub revision: Revision,
    /// What routing has taken out, or keeps in though it is down, each with the reason.
    pub out: BTreeMap<BackendName, String>,
}

/// Compares what a controller serves with what it would serve of another inventory, by its verdicts, overrides and memory:
/// at once, and after every time that it waits for.
///
/// `before` is the revision that the controller serves. Nothing else is taken to happen meanwhile: verdicts stay, and no
/// override ends.
pub fn review_live(before: &Desired, after: &Desired, live: &Live) -> Review {
    let known = live.observed.follow(before, after);
    let old = plan(&live.inputs(before));
    let inputs = Inputs { observed: &known, previous: Some(&old.effective), ..live.inputs(after) };
    let new = plan(&inputs);
    let lasting = live.overrides.lasting();
    let (old_later, new_later) = (later(&live.inputs(before), &lasting, &old), later(&inputs, &lasting, &new));
    let (now, then) = (Seen { live, observed: &live.observed }, Seen { live, observed: &known });
    let sides = Sides {
        before: now.shares(&old.effective),
        after: then.shares(&new.effective),
        later: [now.shares(&old_later.effective), then.shares(&new_later.effective)],
    };
    let review = compare((before, &old), (after, &new), &sides);
    Review { live: Some(Standing { revision: before.revision.clone(), out: out(&old.effective) }), ..review }
}

/// What a plan comes to once nothing changes any more by itself.
fn later(inputs: &Inputs<'_>, lasting: &Overrides, now: &Plan) -> Plan {
    settle(&Inputs { overrides: lasting, ..*inputs }, now.clone())
}

/// Who answers, as far as a controller knows.
struct Seen<'a> {
    live: &'a Live,
    observed: &'a Observed,
}

impl Seen<'_> {
    fn shares(&self, effective: &Effective) -> BTreeMap<ServiceName, Vec<Share>> {
        let of = |service| shares(service, |backend| self.answers(backend));
        effective.services.iter().map(|(name, service)| (name.clone(), of(service))).collect()
    }

    /// True but for what is down and kept in rotation all the same: what comes to it is tried elsewhere.
    fn answers(&self, backend: &Backend) -> bool {
        let action = self.live.overrides.of(backend, self.live.now).map(|it| it.action);
        action == Some(Action::Up) || self.observed.verdict(&backend.name) != Verdict::Down
    }
}

fn out(effective: &Effective) -> BTreeMap<BackendName, String> {
    let members = effective.services.values().flat_map(|service| &service.members);
    let is_told = |role: Role| match role {
        Role::InRotation | Role::Standby => false,
        Role::LastResort | Role::Guarded(_) => true,
        Role::Out(why) => !why.is_declared() && why != Exclusion::HeldBack && why != Exclusion::TierTooSmall,
    };
    let told = members.filter(|member| is_told(member.role));
    told.map(|member| (member.backend.name.clone(), member.role.reason().unwrap_or_default())).collect()
}
