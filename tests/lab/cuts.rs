//! What is done to the world, and how it is undone.

use std::time::{Duration, Instant};

use super::backends::{Backend, Mode};
use super::namespace::Namespace;
use super::waiting::pass_until;
use super::world::{SITES, Site, World, uplink};

/// The site that is cut where one is.
const VICTIM: &str = SITES[0];
/// How long a flapping site is away, and then there.
const FLAP: Duration = Duration::from_millis(1500);

/// A way for a site to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cut {
    /// The site's packets vanish.
    Wan,
    /// The site's WireGuard process is killed.
    Vpn,
    /// The site's machine is off: no link, no process.
    Off,
    /// The site's backends are killed: connections are refused.
    Crash,
    /// The site's backends are stopped: connections are accepted, and nobody answers.
    Hang,
    /// The site's backends answer 500.
    Error,
    /// The site's backends answer after five seconds.
    Slow,
    /// Of the site's packets, 30 % vanish, in each direction.
    Loss,
    /// The site's packets vanish for 1.5 s, again and again.
    Flap,
    /// One backend of the site is killed.
    Partial,
    /// The packets of all sites vanish.
    Isolate,
}

impl Cut {
    pub(crate) const ALL: [Self; 11] = [
        Self::Wan,
        Self::Vpn,
        Self::Off,
        Self::Crash,
        Self::Hang,
        Self::Error,
        Self::Slow,
        Self::Loss,
        Self::Flap,
        Self::Partial,
        Self::Isolate,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wan => "wan",
            Self::Vpn => "vpn",
            Self::Off => "off",
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Error => "500",
            Self::Slow => "slow",
            Self::Loss => "loss",
            Self::Flap => "flap",
            Self::Partial => "partial",
            Self::Isolate => "isolate",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Wan => "the packets of dijon vanish",
            Self::Vpn => "WireGuard of dijon is killed",
            Self::Off => "dijon is off",
            Self::Crash => "the backends of dijon are killed",
            Self::Hang => "the backends of dijon accept and never answer",
            Self::Error => "the backends of dijon answer 500",
            Self::Slow => "the backends of dijon answer after 5 s",
            Self::Loss => "30 % of the packets of dijon vanish, each way",
            Self::Flap => "dijon is away for 1.5 s and there for 1.5 s, again and again",
            Self::Partial => "dijon-1 is killed",
            Self::Isolate => "the packets of all sites vanish",
        }
    }

    /// Names of the backends that it strikes.
    pub(crate) fn victims(self, world: &World) -> Vec<String> {
        let is_struck = |name: &str, site: &str| match self {
            Self::Isolate => true,
            Self::Partial => name == format!("{VICTIM}-1"),
            _ => site == VICTIM,
        };
        let struck = world.backends().filter(|backend| is_struck(&backend.name, backend.site));
        struck.map(|backend| backend.name.clone()).collect()
    }

    pub(crate) fn begin(self, world: &mut World) {
        match self {
            Self::Wan | Self::Flap => vanish(world, &[VICTIM], ""),
            Self::Isolate => vanish(world, &SITES, ""),
            Self::Loss => vanish(world, &[VICTIM], "numgen random mod 100 < 30"),
            Self::Vpn => victim(world).kill_tunnel(),
            Self::Off => {
                let site = victim(world);
                // The link first: a machine that loses power says no farewell.
                site.namespace.ip("link set wan down");
                site.kill_tunnel();
                site.kill_backends();
            }
            Self::Crash => victim(world).kill_backends(),
            Self::Partial => victim(world).backends[0].kill(),
            Self::Hang => victim(world).backends.iter().for_each(Backend::pause),
            Self::Error => set(world, Mode::Error),
            Self::Slow => set(world, Mode::Slow),
        }
    }

    /// Lets the cut last until `end`. Returns when it came again meanwhile.
    pub(crate) fn last(self, world: &World, end: Instant) -> Vec<Instant> {
        let mut at = Instant::now();
        let mut again = Vec::new();
        while self == Self::Flap && at + 2 * FLAP < end {
            pass_until(at + FLAP);
            appear(world);
            pass_until(at + 2 * FLAP);
            vanish(world, &[VICTIM], "");
            again.push(Instant::now());
            at += 2 * FLAP;
        }
        pass_until(end);
        again
    }

    pub(crate) fn heal(self, world: &mut World) {
        match self {
            Self::Wan | Self::Flap | Self::Isolate | Self::Loss => appear(world),
            Self::Vpn => victim(world).start_tunnel(),
            Self::Off => {
                let site = victim(world);
                site.namespace.ip("link set wan up");
                site.start_tunnel();
                site.start_backends();
            }
            Self::Crash | Self::Partial => victim(world).start_backends(),
            Self::Hang => victim(world).backends.iter().for_each(Backend::resume),
            Self::Error | Self::Slow => set(world, Mode::Well),
        }
    }
}

fn victim(world: &mut World) -> &mut Site {
    world.sites.iter_mut().find(|site| site.name == VICTIM).expect("it is a site of the world")
}

fn set(world: &mut World, mode: Mode) {
    for backend in &mut victim(world).backends {
        backend.set(mode);
    }
}

fn vanish(world: &World, sites: &[&str], which: &str) {
    for site in world.sites.iter().filter(|site| sites.contains(&site.name)) {
        world.hub.drop(Namespace::UNDERLAY, &format!("iifname {} {which}", uplink(site.name)));
        site.namespace.drop(Namespace::UNDERLAY, &format!("iifname wan {which}"));
    }
}

fn appear(world: &World) {
    let sites = world.sites.iter().map(|site| &site.namespace);
    sites.chain([&world.hub]).for_each(|namespace| namespace.flush(Namespace::UNDERLAY));
}
