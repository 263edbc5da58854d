//! What is done to the control plane, before a site is cut: what then still works is the edge's own doing.

use rustix::process::Signal;

use super::actors::{ADMIN_PORT, Bascule};
use super::namespace::Namespace;
use super::world::World;

/// A fault of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Bascule is killed.
    Killed,
    /// Bascule is stopped (SIGSTOP): it holds its connections and answers nothing.
    Stopped,
    /// Bascule loses its state file and is started without it.
    StateGone,
    /// Caddy is restarted.
    CaddyRestarted,
    /// Caddy's admin API does not answer.
    AdminHung,
    /// The git server does not answer.
    GitHung,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::Killed, Self::Stopped, Self::StateGone, Self::CaddyRestarted, Self::AdminHung, Self::GitHung];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "bascule-killed",
            Self::Stopped => "bascule-stopped",
            Self::StateGone => "state-gone",
            Self::CaddyRestarted => "caddy-restarted",
            Self::AdminHung => "admin-hung",
            Self::GitHung => "git-hung",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Killed => "bascule is killed; then the packets of dijon vanish",
            Self::Stopped => "bascule is stopped; then the packets of dijon vanish",
            Self::StateGone => "bascule is killed and started without its state file; then the packets of dijon vanish",
            Self::CaddyRestarted => "Caddy is restarted; then the packets of dijon vanish",
            Self::AdminHung => "Caddy's admin API hangs; then the packets of dijon vanish",
            Self::GitHung => "the git server hangs; then the packets of dijon vanish",
        }
    }

    pub(crate) fn begin(self, world: &World, bascule: &mut Bascule) {
        match self {
            Self::Killed => bascule.kill(),
            Self::Stopped => bascule.signal(Signal::STOP),
            Self::StateGone => {
                bascule.kill();
                bascule.remove_state();
                bascule.start(world);
            }
            Self::CaddyRestarted => bascule.restart_caddy(world),
            Self::AdminHung => {
                world.hub.drop(Namespace::LOOPBACK, &format!("iifname lo tcp dport {ADMIN_PORT}"));
            }
            Self::GitHung => bascule.forge.signal(Signal::STOP),
        }
    }

    pub(crate) fn heal(self, world: &World, bascule: &mut Bascule) {
        match self {
            Self::Killed => bascule.start(world),
            Self::Stopped => bascule.signal(Signal::CONT),
            Self::StateGone | Self::CaddyRestarted => {}
            Self::AdminHung => world.hub.flush(Namespace::LOOPBACK),
            Self::GitHung => bascule.forge.signal(Signal::CONT),
        }
    }
}
