mod layers;

use serde::{Deserialize, Serialize};

pub use self::layers::{EventDto, SiteDto, SiteState, TunnelDto, TunnelState, WireguardDto};

use super::{ForgeDto, OverrideDto, PinDto, QuarantinedDto, RefusedServiceDto};
use crate::core::model::{RevisionInfo, Timestamp};
use crate::core::routing::Leaving;

/// The answer of `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusDto {
    /// Version of bascule.
    pub version: String,
    /// When this view was made.
    pub at: Timestamp,
    /// True once a revision is served and every edge has been configured or tried.
    pub ready: bool,
    /// The revision that is served; none before the first good one.
    pub revision: Option<RevisionDto>,
    /// Counter of observed snapshots.
    pub generation: u64,
    /// The services that it is served without, as they stay as they were or out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<QuarantinedDto>,
    /// When the source was last read with success.
    pub fetched_at: Option<Timestamp>,
    /// Why the source is not followed; none where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinDto>,
    /// What is wrong now, worst first.
    pub faults: Vec<FaultDto>,
    /// What operators decided, as long as it holds, by target.
    #[serde(default)]
    pub overrides: Vec<OverrideDto>,
    /// Sites by name.
    pub sites: Vec<SiteDto>,
    /// Services by name.
    pub services: Vec<ServiceDto>,
    /// Edges by name.
    pub edges: Vec<EdgeDto>,
    /// What happened to sites, tunnels, the prober and the forge lately, newest first.
    #[serde(default)]
    pub events: Vec<EventDto>,
    /// Whether connections to vanished backends are ended; none where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sever: Option<SeverDto>,
    /// Whether a forge is told how commits stand; none where none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeDto>,
}

/// Whether connections to vanished backends are ended (`bascule run --sever`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SeverDto {
    /// They are.
    On {
        /// How many were, since bascule started.
        connections: u64,
    },
    /// It was asked for and cannot be done here.
    Unable {
        /// Why.
        reason: String,
    },
}

/// A revision of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionDto {
    /// Commit id.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// First line of its message.
    pub subject: String,
    /// When it was committed.
    pub committed_at: Timestamp,
}

impl RevisionDto {
    /// Shows a revision.
    pub fn of(info: &RevisionInfo) -> Self {
        let RevisionInfo { id, author, subject, committed_at } = info;
        Self { id: id.to_string(), author: author.clone(), subject: subject.clone(), committed_at: *committed_at }
    }

    /// The first 12 characters of the id, for people.
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultDto {
    /// What it is about: `source`, `inventory`, `edge ovh`, `service api`.
    pub scope: String,
    /// What is wrong, and what goes on all the same.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// How long, in seconds.
    pub age_seconds: u64,
    /// More lines, such as every diagnostic of a refused revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceDto {
    /// Name.
    pub name: String,
    /// Host names.
    pub domains: Vec<String>,
    /// Path prefixes.
    pub paths: Vec<String>,
    /// `full`, `degraded`, `all_down`, `page`, `nothing` or `maintenance`.
    pub serving: String,
    /// How much of its traffic has come back to the tier that it prefers, in percent, while it does so in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returning: Option<u8>,
    /// Its backends.
    pub backends: Vec<BackendDto>,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackendDto {
    /// Name.
    pub name: String,
    /// Site.
    pub site: String,
    /// Address that edges dial.
    pub upstream: String,
    /// What routing goes by: `up`, `down` or `unknown`.
    pub verdict: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How it stands: its verdict, or `stale` where the newest observation is too old to say.
    #[serde(default)]
    pub state: String,
    /// Seconds since the newest observation; none while there is none.
    #[serde(default)]
    pub age_seconds: Option<u64>,
    /// True when it gets traffic.
    pub in_rotation: bool,
    /// Its tier, from 0.
    #[serde(default)]
    pub tier: usize,
    /// Why (not), where there is something to say.
    pub reason: Option<String>,
    /// Declared weight.
    pub weight: u16,
    /// Passes in a row.
    pub passes: u32,
    /// Failures in a row.
    pub fails: u32,
    /// The newest sample.
    pub last: Option<LastSampleDto>,
    /// Share of passed probes in the last 24 hours, from 0 to 1.
    pub availability: Option<f64>,
    /// Of how long that is, in seconds: a day at most.
    #[serde(default)]
    pub availability_seconds: Option<u64>,
    /// When its certificate ends; none where it has presented none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
    /// What somebody should look at though it takes nothing out, such as a certificate that ends soon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastSampleDto {
    /// When the probe ended.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub latency_ms: f64,
    /// Why it failed; none when it passed.
    pub failure: Option<String>,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeDto {
    /// Name.
    pub name: String,
    /// Admin address.
    pub admin: String,
    /// How it stands.
    pub state: EdgeState,
    /// Since when; none while nothing was tried.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Seconds since it was last seen to run what `applied` says.
    #[serde(default)]
    pub age_seconds: Option<u64>,
    /// Digest of what it should run.
    pub rendered: Option<String>,
    /// What it was last seen to run.
    pub applied: Option<AppliedDto>,
    /// Services that it refuses, and that stay there as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedServiceDto>,
    /// Whether its verdict relay asks; none where it has no relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayState>,
    /// What is open to backends that get nothing new, as of the last look at the edge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<Leaving>,
    /// Configurations sent since bascule started.
    pub pushes: u64,
    /// Times that it was found to run something nobody committed.
    pub drifts: u64,
}

/// What an edge was last seen to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedDto {
    /// Digest.
    pub digest: String,
    /// Revision it was rendered from.
    pub revision: String,
    /// When it was confirmed last.
    pub at: Timestamp,
}

/// Whether an edge's verdict relay asks bascule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayState {
    /// It does: verdicts act within a check interval, without a push.
    Asked,
    /// It has not for a while: every change of verdict is pushed.
    Silent,
}

/// How an edge stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeState {
    /// Nothing has been tried yet.
    #[default]
    Pending,
    /// It runs what it should.
    InSync,
    /// It refused what it should run; nothing is sent until something changes.
    Stalled,
    /// It could not be reached or did not do as asked; it is tried again.
    Retrying,
}

impl EdgeState {
    /// The state as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InSync => "in_sync",
            Self::Stalled => "stalled",
            Self::Retrying => "retrying",
        }
    }
}
