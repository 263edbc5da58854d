use serde::{Deserialize, Serialize};

use crate::core::model::Timestamp;

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteDto {
    /// Name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Networks.
    pub subnets: Vec<String>,
    /// What edges reach it through, where that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelDto>,
    /// How it stands, by the verdicts of its backends together.
    #[serde(default)]
    pub state: SiteState,
    /// When a verdict of one of them changed last; none where none is known.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Seconds since one of them was last asked; none where none was.
    #[serde(default)]
    pub age_seconds: Option<u64>,
    /// Where the way ends, for a site that is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How many backends are here.
    pub backends: usize,
    /// How many of them are up.
    pub up: usize,
    /// How many of them are down.
    pub down: usize,
    /// Of how many the newest observation is too old.
    #[serde(default)]
    pub stale: usize,
}

/// How a site stands, by the verdicts of all of its backends that are probed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteState {
    /// All are up.
    Up,
    /// All are down.
    Down,
    /// Neither.
    Partial,
    /// Nothing new has been heard of any for too long.
    Stale,
    /// Nothing is known of any.
    #[default]
    Unknown,
}

/// The tunnel to a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelDto {
    /// How it stands.
    pub state: TunnelState,
    /// Since when; none while it was never known.
    pub since: Option<Timestamp>,
    /// Seconds since anything was last learned of it; none while nothing was.
    pub age_seconds: Option<u64>,
    /// Why, in words.
    pub cause: String,
    /// The peer that the site is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<WireguardDto>,
    /// The machine at the far end that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// How a tunnel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelState {
    /// Something comes through.
    Up,
    /// Nothing does.
    Down,
    /// Nothing new has been learned of it for too long.
    Stale,
    /// Nothing is known of it: it has not been looked at, cannot be, or nobody uses it.
    Unknown,
}

/// A WireGuard peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardDto {
    /// The interface.
    pub interface: String,
    /// The peer's public key.
    pub peer: String,
    /// When a session was last agreed on.
    pub handshake_at: Option<Timestamp>,
    /// Bytes received from it.
    pub received_bytes: Option<u64>,
    /// Bytes sent to it.
    pub sent_bytes: Option<u64>,
    /// Why the interface cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// Something that happened to a site, a tunnel or the prober.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDto {
    /// When.
    pub at: Timestamp,
    /// How long ago, in seconds.
    pub age_seconds: u64,
    /// To what: `site:dijon`, `tunnel:dijon`, `prober`.
    pub subject: String,
    /// How it stood before: `up`, `down` or `unknown`.
    pub from: String,
    /// How it stands since.
    pub to: String,
    /// Why, in words.
    pub cause: String,
    /// How many backends went with it; 0 where it says nothing of them.
    pub backends: u32,
}
