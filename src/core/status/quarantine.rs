//! Services in quarantine: of a revision, and of an edge.

use serde::{Deserialize, Serialize};

use crate::core::inventory::{QuarantineFault, Quarantined};
use crate::core::model::{Digest, Revision, ServiceName, Timestamp};

/// A service in quarantine, of a revision that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedDto {
    /// Its name; the path of its file where that does not tell it.
    pub service: String,
    /// Since when.
    pub since: Timestamp,
    /// The revision at which it began.
    pub revision: String,
    /// The revision as of which it is served; none for a new one, which is left out.
    pub kept: Option<String>,
    /// What is to be mended.
    pub fault: QuarantineFault,
}

/// A service that an edge's Caddy refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedService {
    /// Its name.
    pub service: ServiceName,
    /// Since when.
    pub since: Timestamp,
    /// The revision at which it began.
    pub revision: Revision,
    /// The revision as of which the edge has it; none for a new one, which is left out.
    pub kept: Option<Revision>,
    /// What is refused: what is declared of it.
    pub refused: Digest,
    /// Caddy's own words.
    pub message: String,
}

/// A service that an edge's Caddy refuses, and that stays there as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedServiceDto {
    /// Its name.
    pub service: String,
    /// Since when.
    pub since: Timestamp,
    /// The revision at which it began.
    pub revision: String,
    /// The revision as of which the edge has it; none for a new one, which is left out.
    pub kept: Option<String>,
    /// Caddy's own words.
    pub message: String,
}

impl QuarantinedDto {
    /// Shows one.
    pub fn of(quarantined: &Quarantined) -> Self {
        let Quarantined { service, since, revision, kept, fault } = quarantined.clone();
        Self { service, since, revision: revision.to_string(), kept: kept.map(|it| it.to_string()), fault }
    }

    /// Who it is and why, in words: `api: services/api.yaml:3:1: error[unknown-key]: …`.
    pub fn words(&self) -> String {
        format!("{}: {}", self.service, self.fault)
    }
}

impl RefusedServiceDto {
    /// Shows one.
    pub fn of(refused: &RefusedService) -> Self {
        let RefusedService { service, since, revision, kept, refused: _, message } = refused.clone();
        let (service, kept) = (service.to_string(), kept.map(|it| it.to_string()));
        Self { service, since, revision: revision.to_string(), kept, message }
    }
}

/// What is said of a service in quarantine as a fault.
pub(super) fn of_revision(quarantined: &Quarantined) -> String {
    let Quarantined { revision, kept, fault, .. } = quarantined;
    format!("in quarantine since revision {}: {}; {}", revision.short(), cured(fault), stays(kept.as_ref()))
}

/// The fault that a service is in quarantine for, in a revision of the past.
pub fn fault_of(quarantined: &Quarantined) -> String {
    let Quarantined { service, kept, fault, .. } = quarantined;
    let standing = kept
        .as_ref()
        .map_or_else(|| "was left out".to_owned(), |kept| format!("stayed as of revision {}", kept.short()));
    format!("{}; service {service} {standing}", cured(fault))
}

fn cured(fault: &QuarantineFault) -> String {
    let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{fault}{hint}")
}

/// What is said of a service that an edge refuses as a fault.
pub(super) fn of_edge(refused: &RefusedService) -> String {
    let RefusedService { service, revision, kept, message, .. } = refused;
    let stays = stays(kept.as_ref());
    format!(
        "service {service} is in quarantine here since revision {}: Caddy rejected it: {message}; {stays}",
        revision.short()
    )
}

fn stays(kept: Option<&Revision>) -> String {
    match kept {
        Some(kept) => format!("it stays as of revision {}", kept.short()),
        None => "it is new, and left out".to_owned(),
    }
}
