use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::model::{AdminAddress, DialAddress, EdgeName, Email, Listener, TimeSpan};

/// An edge: a Caddy that serves the public, which bascule configures through Caddy's admin API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bascule edge", extend("examples" = [{
    "name": "ovh", "admin": "http://127.0.0.1:2019", "listen": [":443", ":80"],
    "tls": {"mode": "acme", "email": "ops@acecinema.fr"},
}]))]
pub struct EdgeDoc {
    /// Unique name of the edge.
    pub name: EdgeName,
    /// Where Caddy's admin API is: `http://HOST:PORT` or `unix/` and an absolute path.
    pub admin: AdminAddress,
    /// Addresses that the edge listens on. Port 80 speaks plain HTTP and every other port HTTPS, unless the address
    /// begins with `http://` or `https://`.
    #[schemars(length(min = 1))]
    pub listen: Vec<Listener>,
    /// Certificates.
    pub tls: TlsDoc,
    /// What of the edge's Caddy is bascule's. Default: `config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeDoc>,
    /// How the edge learns of verdicts between two pushes. Default: on, where `admin` is a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayDoc>,
    /// Longest time that Caddy, told to end, waits for requests under way; it takes no new ones meanwhile. An edge with TLS
    /// also cuts HTTP/3 requests so long after every change of its configuration. Default: 2s without TLS; with TLS Caddy
    /// waits until the last request is through, or until its service manager kills it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<TimeSpan>,
}

/// What of an edge's Caddy is bascule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ScopeDoc {
    /// The whole configuration, but for its `admin` section. What else is in it is replaced.
    Config,
    /// The servers whose names begin with `bascule-`, and nothing else: the rest of the configuration is somebody else's, and
    /// stays as it is.
    Server,
}

/// The verdict relay: a small server inside the edge's Caddy that asks bascule which backends should get traffic, and
/// the backends themselves while bascule is away. Without it, every change of verdict is a push.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RelayDoc {
    /// False: no relay; every change of verdict is pushed. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where the edge reaches bascule's relay listener (`bascule run --relay`). Default: `127.0.0.1:7501`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bascule: Option<DialAddress>,
    /// Where the relay listens inside the edge's Caddy; nobody else should reach it. Default: `127.0.0.1:2020`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listener>,
    /// True: the edge also tells bascule when clients are answered with 500 or more, and the backend is probed at once
    /// instead of at its next turn. Service, address and status are told, nothing of the request; by UDP, to the host and
    /// port of `bascule`. Default: true, or false where `bascule` is a socket file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<bool>,
}

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct TlsDoc {
    /// Who issues the certificates.
    pub mode: TlsModeDoc,
    /// Account address for the certificate authority. Needed with `mode: acme`, an error with every other mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

/// Who issues certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum TlsModeDoc {
    /// A public authority, by ACME. Plain HTTP is redirected to HTTPS.
    Acme,
    /// Caddy's own local authority. Plain HTTP is redirected to HTTPS.
    Internal,
    /// The rest of the edge's configuration, by Caddy's automatic HTTPS; with `scope: server` alone. Plain HTTP is redirected to
    /// HTTPS.
    Edge,
    /// Nobody: plain HTTP on every listener.
    Off,
}
