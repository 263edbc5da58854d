//! Desired state: what an inventory means, once nothing is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

mod body;
mod probe;
mod routing;
mod secret;
mod tries;
mod tunnel;

use ipnet::IpNet;

pub use self::body::{BodyExpectation, BodyPattern};
pub use self::probe::{GrpcProbe, HttpProbe, Probe, ProbeKind, ProbeMethod};
pub use self::routing::{Failback, Page, Policy, Routing, Tier, WhenAllDown};
pub use self::secret::{SecretName, SecretText};
pub use self::tries::{Tries, Try};
pub use self::tunnel::{Tunnel, WireguardPeer};
use crate::core::model::{
    AdminAddress, BackendName, DialAddress, Digest, EdgeName, Email, Hostname, Listener, PathPrefix, Port, Revision,
    ServiceName, SiteName, Tag,
};

/// Everything an inventory declares at one revision. Every name that is referred to exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The revision it was read from.
    pub revision: Revision,
    /// Sites by name.
    pub sites: BTreeMap<SiteName, Arc<Site>>,
    /// Services by name.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// Backends by name. Their names are unique in the whole inventory.
    pub backends: BTreeMap<BackendName, Arc<Backend>>,
    /// Edges by name.
    pub edges: BTreeMap<EdgeName, Arc<Edge>>,
}

impl Desired {
    /// Nothing at all.
    pub const fn empty(revision: Revision) -> Self {
        Self {
            revision,
            sites: BTreeMap::new(),
            services: BTreeMap::new(),
            backends: BTreeMap::new(),
            edges: BTreeMap::new(),
        }
    }
}

/// A place that can be cut off as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Unique name.
    pub name: SiteName,
    /// For people.
    pub description: Option<String>,
    /// Networks of the site.
    pub subnets: Vec<IpNet>,
    /// What edges reach it through, where that is declared.
    pub tunnel: Option<Tunnel>,
    /// True: its backends get no new request.
    pub maintenance: bool,
    /// Free labels.
    pub tags: BTreeSet<Tag>,
}

/// A public endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Unique name.
    pub name: ServiceName,
    /// For people.
    pub description: Option<String>,
    /// Host names, sorted, at least one.
    pub domains: Vec<Hostname>,
    /// Path prefixes, sorted, at least one; `/` alone is everything.
    pub paths: Vec<PathPrefix>,
    /// The probe that its backends inherit.
    pub probe: Probe,
    /// How backends are chosen.
    pub routing: Routing,
    /// True: clients get the page.
    pub maintenance: bool,
    /// How edges speak with backends.
    pub upstream: UpstreamProtocol,
    /// Whether edges keep connections to backends.
    pub connections: Connections,
    /// How long edges wait.
    pub timeouts: Timeouts,
    /// True where no single loss may take it down.
    pub critical: bool,
    /// Free labels.
    pub tags: BTreeSet<Tag>,
}

/// An instance of a service at a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Unique name.
    pub name: BackendName,
    /// The service it is an instance of.
    pub service: ServiceName,
    /// Where it runs.
    pub site: SiteName,
    /// IP address that edges dial.
    pub addr: IpAddr,
    /// TCP port that edges dial.
    pub port: Port,
    /// The service's probe, with this backend's own path where it says one.
    pub probe: Probe,
    /// Share of the traffic; 0 is none.
    pub weight: u16,
    /// Free labels.
    pub tags: BTreeSet<Tag>,
    /// Whether it takes traffic.
    pub state: BackendState,
    /// How it came into the inventory.
    pub origin: Origin,
}

impl Backend {
    /// The address that edges dial: the *upstream*.
    pub fn upstream(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port.get())
    }

    /// Identity of what is probed: the address, and what is asked there. How often it is asked, and how many answers it
    /// takes to believe them, are no part of it. The text that is hashed may change with a version: then all is probed anew.
    pub fn probe_target(&self) -> Digest {
        Digest::of(self.probe.tries.identity(self.upstream()).as_bytes())
    }
}

/// Whether a backend takes traffic by its owner's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendState {
    /// Takes traffic.
    Active,
    /// Takes no new request; still probed.
    Drain,
    /// Not routed and not probed.
    Disabled,
}

/// How a backend came into the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Somebody committed it.
    Declared,
}

/// How edges speak with the backends of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https(UpstreamTls),
}

/// Whether edges keep connections to backends open between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// One for each request.
    Fresh,
    /// Kept ones.
    Reuse,
}

/// TLS towards backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name that certificates must carry.
    pub server_name: Option<Hostname>,
    /// False takes any certificate.
    pub verify: bool,
}

/// How long edges wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to a backend.
    pub dial: Duration,
    /// For the first byte of an answer to a request that may be sent again.
    pub response: Duration,
    /// For the first byte of an answer to any other.
    pub response_unsafe: Duration,
    /// That an upgraded connection outlives a configuration change.
    pub stream_close: Duration,
    /// That what is open to a backend outlives its leaving.
    pub drain: Duration,
}

/// A Caddy that plans are applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Unique name.
    pub name: EdgeName,
    /// Its admin API.
    pub admin: AdminAddress,
    /// What of it is bascule's.
    pub scope: Scope,
    /// Where it listens, sorted, at least one.
    pub listen: Vec<Listener>,
    /// Where certificates come from.
    pub tls: Tls,
    /// How it learns of verdicts between two pushes; none: every change of verdict is pushed.
    pub relay: Option<Relay>,
    /// Longest wait for requests under way when Caddy ends; none: until the last one is through.
    pub grace: Option<Duration>,
}

/// What of an edge's Caddy is bascule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole configuration, but for its `admin` section.
    Config,
    /// The servers that bascule names, and nothing else.
    Server,
}

/// The verdict relay of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Where the edge reaches bascule's relay listener.
    pub bascule: DialAddress,
    /// Where the relay listens inside the edge's Caddy.
    pub listen: Listener,
    /// True: the edge tells bascule of the errors that clients meet. Never where bascule is reached by a socket file.
    pub evidence: bool,
}

/// Where an edge's certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A public authority, by ACME.
    Acme {
        /// Account address.
        email: Email,
    },
    /// Caddy's local authority.
    Internal,
    /// Whatever the rest of the edge's configuration says.
    Edge,
    /// No TLS on any listener.
    Off,
}
