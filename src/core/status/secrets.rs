//! Secrets that probes name and cannot be given.

use std::collections::BTreeMap;

use super::FaultDto;
use crate::core::health::{SecretFault, SecretFaults};
use crate::core::inventory::{Backend, BackendState, Desired, SecretName};
use crate::core::model::{ServiceName, Timestamp, counted};

/// Backends that are named of those that cannot be asked; past it their number says enough.
const NAMED_MAX: usize = 3;

/// What is said of each secret that a probe needs and cannot be given: one fault for each header of a service.
pub(super) fn faults(desired: &Desired, secrets: &SecretFaults, now: Timestamp) -> Vec<FaultDto> {
    if secrets.is_empty() {
        return Vec::new();
    }
    let mut missed: BTreeMap<(&ServiceName, &str, &SecretName), Vec<&Backend>> = BTreeMap::new();
    for backend in desired.backends.values().filter(|backend| backend.state != BackendState::Disabled) {
        for (header, name) in backend.probe.secrets().filter(|(_, name)| secrets.contains_key(*name)) {
            let backends = missed.entry((&backend.service, header, name)).or_default();
            // Several things that a probe tries may have the same header.
            if backends.last().is_none_or(|last| last.name != backend.name) {
                backends.push(backend);
            }
        }
    }
    let fault = |((service, header, name), backends): (_, Vec<&Backend>)| {
        let SecretFault { reason, since } = secrets.get(name)?;
        Some(FaultDto {
            scope: format!("service {service}"),
            message: format!(
                "the header `{header}` of its probe cannot be sent: {reason}; until then that is not asked of {}, and what \
                 was known of it stays",
                named(&backends)
            ),
            since: *since,
            age_seconds: now.since(*since).as_secs(),
            details: Vec::new(),
        })
    };
    missed.into_iter().filter_map(fault).collect()
}

fn named(backends: &[&Backend]) -> String {
    let names: Vec<&str> = backends.iter().take(NAMED_MAX).map(|backend| backend.name.as_str()).collect();
    let named = names.join(", ");
    match backends.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {}", counted(more, "other")),
    }
}
