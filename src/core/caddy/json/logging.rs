//! What Caddy logs, and where to.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Serialize)]
pub(in crate::core::caddy) struct Logging {
    pub(in crate::core::caddy) logs: Logs,
}

#[derive(Serialize)]
pub(in crate::core::caddy) struct Logs {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::core::caddy) bascule: Option<EvidenceLog>,
    pub(in crate::core::caddy) default: Log,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::core::caddy) http: Option<Log>,
}

#[derive(Default, Serialize)]
pub(in crate::core::caddy) struct Log {
    pub(in crate::core::caddy) exclude: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::core::caddy) include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::core::caddy) level: Option<&'static str>,
}

/// The log that tells bascule of errors.
#[derive(Serialize)]
pub(in crate::core::caddy) struct EvidenceLog {
    pub(in crate::core::caddy) encoder: FilterEncoder,
    pub(in crate::core::caddy) include: [&'static str; 1],
    pub(in crate::core::caddy) level: &'static str,
    pub(in crate::core::caddy) sampling: Sampling,
    pub(in crate::core::caddy) writer: NetWriter,
}

/// Leaves fields out.
#[derive(Serialize)]
pub(in crate::core::caddy) struct FilterEncoder {
    pub(in crate::core::caddy) fields: BTreeMap<&'static str, Filter>,
    pub(in crate::core::caddy) format: &'static str,
    pub(in crate::core::caddy) wrap: Encoder,
}

#[derive(Serialize)]
pub(in crate::core::caddy) struct Filter {
    pub(in crate::core::caddy) filter: &'static str,
}

#[derive(Serialize)]
pub(in crate::core::caddy) struct Encoder {
    pub(in crate::core::caddy) format: &'static str,
}

#[derive(Serialize)]
pub(in crate::core::caddy) struct Sampling {
    pub(in crate::core::caddy) first: u32,
    /// In nanoseconds: Caddy takes no text here.
    pub(in crate::core::caddy) interval: u64,
    pub(in crate::core::caddy) thereafter: u32,
}

#[derive(Serialize)]
pub(in crate::core::caddy) struct NetWriter {
    pub(in crate::core::caddy) address: String,
    pub(in crate::core::caddy) dial_timeout: String,
    pub(in crate::core::caddy) output: &'static str,
    pub(in crate::core::caddy) soft_start: bool,
}

/// Says under which name a request is logged: a variable of Caddy's own.
#[derive(Serialize)]
pub(in crate::core::caddy) struct LogName {
    #[serde(rename = "access_logger_names")]
    pub(in crate::core::caddy) names: [String; 1],
    pub(in crate::core::caddy) handler: &'static str,
}

/// Adds a field to what is logged of a request.
#[derive(Serialize)]
pub(in crate::core::caddy) struct LogField {
    pub(in crate::core::caddy) handler: &'static str,
    pub(in crate::core::caddy) key: &'static str,
    pub(in crate::core::caddy) value: &'static str,
}
