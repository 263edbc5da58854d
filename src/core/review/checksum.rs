use std::fmt::Write as _;

use super::{Review, ServiceReview};
use crate::core::inventory::Desired;
use crate::core::model::{Digest, EdgeName, ServiceName};
use crate::core::routing::{Effective, Exclusion, Role};
use crate::core::simulate::Share;

/// A checksum of what would change: who reviewed one plan can tell that another one does the same.
///
/// Of each service that differs it has all that both inventories say of it and the shares of its requests, and of each edge
/// what would differ in its configuration. What does not change is no part of it, and no moment is.
pub(super) fn checksum(
    review: &Review,
    sides: [(&Desired, &Effective); 2],
    pushes: &[(EdgeName, Vec<String>)],
) -> Digest {
    let mut text = "review 1\n".to_owned();
    // Writing to a String cannot fail.
    for service in &review.services {
        let ServiceReview { service: name, kind, before, after, later, details: _, exposed, is_critical: _ } = service;
        let _ = writeln!(text, "service {name} {kind:?} {exposed:?}");
        for shares in [Some(before), Some(after), later.as_ref()] {
            let _ = writeln!(text, "{}", shares.map_or_else(|| "-".to_owned(), |shares| written(shares)));
        }
        for (desired, effective) in sides {
            declared(&mut text, desired, name);
            roles(&mut text, effective, name);
        }
    }
    for (edge, changes) in pushes {
        let _ = writeln!(text, "push {edge} {changes:?}");
    }
    for (name, _) in &review.edges {
        for (desired, _) in sides {
            let _ = writeln!(text, "edge {:?}", desired.edges.get(name));
        }
    }
    for edge in &review.left {
        let _ = writeln!(text, "left {edge}");
    }
    Digest::of(text.as_bytes())
}

fn written(shares: &[Share]) -> String {
    let share = |it: &Share| format!("{} {} {:.6}", it.backend, it.site, it.share);
    shares.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// All that an inventory says of a service. Its values are plain and their maps ordered, so one inventory has one text.
fn declared(text: &mut String, desired: &Desired, name: &ServiceName) {
    let _ = writeln!(text, "{:?}", desired.services.get(name));
    for backend in desired.backends.values().filter(|backend| backend.service == *name) {
        let _ = writeln!(text, "{backend:?}");
    }
}

fn roles(text: &mut String, effective: &Effective, name: &ServiceName) {
    for member in effective.services.get(name).into_iter().flat_map(|service| &service.members) {
        let role = match member.role {
            // The only role with a moment in it.
            Role::Out(Exclusion::Flapping { .. }) => "flapping".to_owned(),
            role => format!("{role:?}"),
        };
        let _ = writeln!(text, "{} {role}", member.backend.name);
    }
}
