//! How things really are: which machines answer, and who can reach them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

/// How a backend answers whoever reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// As it should.
    Well,
    /// Nobody listens.
    Refusing,
    /// The connection opens, and no answer comes.
    Hanging,
    /// 503.
    Erring,
    /// Packets vanish.
    Vanished,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vantage {
    Edge,
    Prober,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    sick: BTreeMap<SocketAddr, Condition>,
    cut: BTreeSet<u8>,
    /// Since when the prober reaches nobody.
    pub(crate) isolated_since: Option<Instant>,
    /// The prober has no free socket.
    pub(crate) is_prober_exhausted: bool,
}

impl Truth {
    pub(crate) fn of(&self, addr: SocketAddr, vantage: Vantage) -> Condition {
        if self.cut.contains(&site(addr)) || vantage == Vantage::Prober && self.isolated_since.is_some() {
            return Condition::Vanished;
        }
        self.sick.get(&addr).copied().unwrap_or(Condition::Well)
    }

    /// True where a request gets an answer that is no error.
    pub(crate) fn answers(&self, addr: SocketAddr) -> bool {
        self.of(addr, Vantage::Edge) == Condition::Well
    }

    pub(crate) fn set(&mut self, addr: SocketAddr, condition: Condition) {
        if condition == Condition::Well {
            self.sick.remove(&addr);
        } else {
            self.sick.insert(addr, condition);
        }
    }

    pub(crate) fn is_sick(&self, addr: SocketAddr) -> bool {
        self.sick.contains_key(&addr)
    }

    pub(crate) fn cut(&mut self, site: u8) {
        self.cut.insert(site);
    }

    pub(crate) fn mend(&mut self, site: u8) {
        self.cut.remove(&site);
    }

    pub(crate) fn heal(&mut self) {
        *self = Self::default();
    }
}

/// The site of an address by its second part, as the inventories of the simulation have it.
pub(crate) fn site(addr: SocketAddr) -> u8 {
    match addr.ip() {
        IpAddr::V4(ip) => ip.octets()[1],
        IpAddr::V6(_) => 0,
    }
}
