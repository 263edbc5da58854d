//! Who is put at the edge.

use std::path::Path;

use super::actors::Bascule;
use super::peers;
use super::process::Program;
use super::world::World;

/// An edge that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Contender {
    Bascule,
    /// Caddy with active checks, as in the first example of its documentation.
    Caddy,
    /// Caddy with everything set that helps.
    CaddyTuned,
    Haproxy,
    Nginx,
    Envoy,
}

impl Contender {
    pub(crate) const ALL: [Self; 6] =
        [Self::Bascule, Self::Caddy, Self::CaddyTuned, Self::Haproxy, Self::Nginx, Self::Envoy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bascule => "bascule",
            Self::Caddy => "caddy",
            Self::CaddyTuned => "caddy tuned",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    /// Starts it in the hub.
    pub(crate) fn start(self, world: &World, folder: &Path) -> Edge {
        match self {
            Self::Bascule => Edge::Bascule(Box::new(Bascule::begin(world, folder))),
            Self::Caddy => Edge::Peer(peers::caddy::plain(world, folder)),
            Self::CaddyTuned => Edge::Peer(peers::caddy::tuned(world, folder)),
            Self::Haproxy => Edge::Peer(peers::haproxy::start(world, folder)),
            Self::Nginx => Edge::Peer(peers::nginx::start(world, folder)),
            Self::Envoy => Edge::Peer(peers::envoy::start(world, folder)),
        }
    }
}

/// A contender that runs. It ends with this value.
pub(crate) enum Edge {
    Bascule(Box<Bascule>),
    Peer(Program),
}

impl Edge {
    pub(crate) fn must_run(&mut self) {
        match self {
            Self::Bascule(bascule) => bascule.caddy.must_run(),
            Self::Peer(program) => program.must_run(),
        }
    }

    /// True once it knows all that it must know to be judged. That it serves is seen from outside.
    pub(crate) fn is_settled(&self, world: &World) -> bool {
        match self {
            Self::Bascule(_) => Bascule::is_settled(world),
            Self::Peer(_) => true,
        }
    }

    /// How often its data plane was given a configuration; none where that never happens.
    pub(crate) fn reloads(&self) -> Option<usize> {
        match self {
            Self::Bascule(bascule) => Some(bascule.reloads()),
            Self::Peer(_) => None,
        }
    }

    pub(crate) fn log_end(&self) -> String {
        match self {
            Self::Bascule(bascule) => bascule.log_end(),
            Self::Peer(program) => program.log_end(),
        }
    }
}
