//! What happens to the world, drawn from the seed. Each seed has its own temper: most kinds of events are left out, so that
//! some seeds have many of the rest.

mod edges;
mod orders;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bascule::core::inventory::load;
use bascule::core::model::{FileSet, Revision, RevisionInfo};
use bascule::core::routing::OverrideDoc;
use bascule::core::steering::SteerDoc;
use fastrand::Rng;
use tokio::time::Instant;

use super::clock;
use super::edge::Reach;
use super::inventory::{Inventory, SITES};
use super::planning::declared;
use super::source::Branch;
use super::truth::Condition;
use super::world::World;

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Commit,
    BadCommit,
    EmptiedCommit,
    ForcePush,
    CommitStorm,
    SourceLost,
    BackendSick,
    BackendFlaps,
    SiteCut,
    ProberIsolated,
    ProberExhausted,
    EdgeRestart,
    EdgeHangs,
    EdgeRejects,
    EdgeLosesAnswers,
    EdgeSlow,
    SecondWriter,
    Crash,
    Restart,
    ClockJump,
    Override,
    FailBack,
    RelayHangs,
    SlowDisk,
    Steering,
}

use Kind::*;

const KINDS: [Kind; 25] = [
    Commit,
    BadCommit,
    EmptiedCommit,
    ForcePush,
    CommitStorm,
    SourceLost,
    BackendSick,
    BackendFlaps,
    SiteCut,
    ProberIsolated,
    ProberExhausted,
    EdgeRestart,
    EdgeHangs,
    EdgeRejects,
    EdgeLosesAnswers,
    EdgeSlow,
    SecondWriter,
    Crash,
    Restart,
    ClockJump,
    Override,
    FailBack,
    RelayHangs,
    SlowDisk,
    Steering,
];

/// What is undone later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Undo {
    /// Another commit, and so many more.
    Storm(u8),
    SourceLost,
    Backend(SocketAddr),
    /// Sick again, and so on, so many times.
    Flap(SocketAddr, u8),
    Site(u8),
    Isolation,
    Exhaustion,
    Restart(&'static str, bool),
    Hang(&'static str),
    Lost(&'static str),
    Slow(&'static str),
    Relay,
    Disk,
}

/// Lets a revision take out as much as it likes.
const ALLOWING: &str = "Tidy up\n\nBascule-Allow: remove=1000\n";

/// What the driver must do itself: the controller is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Nothing,
    /// The controller may be told that the source changed.
    Wake,
    Crash,
    Stop,
    Override(OverrideDoc),
    FailBack(String),
    Steer(SteerDoc),
}

pub(crate) struct Events {
    temper: Vec<Kind>,
    inventory: Inventory,
    /// Inventories that were served, for force-pushes.
    past: Vec<Inventory>,
    commits: u32,
    undo: BTreeMap<(Instant, u64), Undo>,
    number: u64,
}

impl Events {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut temper: Vec<Kind> = Vec::new();
        for kind in KINDS {
            let share = [0, 0, 0, 1, 1, 4][rng.usize(..6)];
            temper.extend(std::iter::repeat_n(kind, share));
        }
        if temper.is_empty() {
            temper.push(BackendSick);
        }
        let inventory = std::iter::repeat_with(|| Inventory::draw(rng)).find(is_good).expect("most are");
        Self { temper, inventory, past: Vec::new(), commits: 0, undo: BTreeMap::new(), number: 0 }
    }

    /// When something is to be undone next.
    pub(crate) fn next_undo(&self) -> Option<Instant> {
        self.undo.first_key_value().map(|((at, _), _)| *at)
    }

    fn later(&mut self, world: &mut World, (least, most): (u64, u64), undo: Undo) {
        self.number += 1;
        let at = Instant::now() + Duration::from_millis(world.rng.u64(least..=most));
        self.undo.insert((at, self.number), undo);
    }

    /// Makes something happen.
    pub(crate) fn happen(&mut self, world: &mut World) -> Deed {
        let kind = self.temper[world.rng.usize(..self.temper.len())];
        match kind {
            Commit | BadCommit | EmptiedCommit | ForcePush => self.commit(world, kind),
            CommitStorm => {
                let commits = world.rng.u8(4..=20);
                self.undo(world, Undo::Storm(commits));
                Deed::Wake
            }
            SourceLost => {
                world.branch.is_readable = false;
                world.note("the source cannot be read");
                self.later(world, (1000, 20_000), Undo::SourceLost);
                Deed::Nothing
            }
            BackendSick | BackendFlaps | SiteCut | ProberIsolated | ProberExhausted => self.backends(world, kind),
            EdgeRestart | EdgeHangs | EdgeRejects | EdgeLosesAnswers | EdgeSlow | SecondWriter => {
                self.edge(world, kind)
            }
            Crash => Deed::Crash,
            Restart => Deed::Stop,
            ClockJump => {
                let size = *world.rng.choice([800, 5000, 40_000, 7_200_000].iter()).expect("sizes");
                let millis = world.rng.i64(1..=size) * if world.rng.bool() { 1 } else { -1 };
                world.operators.forget_ended();
                clock::set_by(millis);
                world.operators.forget_ended();
                world.note(&format!("the clock is set by {millis} ms"));
                Deed::Nothing
            }
            Override => orders::decide(world),
            FailBack => orders::fail_back(world),
            Steering => orders::steer(world),
            RelayHangs => {
                world.is_relay_hung = true;
                world.note("bascule answers no relay");
                self.later(world, (500, 70_000), Undo::Relay);
                Deed::Nothing
            }
            SlowDisk => {
                world.commit_ms = *world.rng.choice([60, 400, 3000].iter()).expect("times");
                world.note(&format!("a commit to the state file takes up to {} ms", world.commit_ms));
                self.later(world, (1000, 15_000), Undo::Disk);
                Deed::Nothing
            }
        }
    }

    fn commit(&mut self, world: &mut World, kind: Kind) -> Deed {
        // What earlier commits allow, and was not made use of, would let an emptied inventory pass.
        let kind = if kind == EmptiedCommit && self.may_be_allowed(world) { Commit } else { kind };
        let mut spoiled = None;
        let before = self.inventory.clone();
        let files = match kind {
            BadCommit => {
                // Services that are not at fault change with it.
                self.inventory.change(&mut world.rng);
                if !is_good(&self.inventory) {
                    self.inventory = before.clone();
                }
                let (files, of) = self.inventory.spoiled(&mut world.rng);
                spoiled = Some(of);
                files
            }
            EmptiedCommit => self.inventory.emptied(&mut world.rng),
            ForcePush if !self.past.is_empty() => {
                let past = world.rng.usize(..self.past.len());
                self.inventory = self.past[past].clone();
                self.inventory.files()
            }
            _ => {
                for _ in 0..world.rng.usize(1..=3) {
                    self.inventory.change(&mut world.rng);
                }
                self.inventory.files()
            }
        };
        let meant = self.inventory.clone();
        // Some changes make no sense, and are not served; whoever made them takes them back.
        if is_good(&self.inventory) {
            self.past.push(before);
        } else {
            self.inventory = before;
        }
        // Now and then somebody who takes out much does not say that it is meant, and nothing more is served for now.
        let is_allowed = matches!(kind, Commit | ForcePush) && world.rng.u8(..4) > 0;
        let deed = self.push(world, files, (kind, if is_allowed { ALLOWING } else { "" }));
        let Branch { info, files, .. } = &world.branch;
        world.quarantine.committed(&info.id, files, &meant, spoiled.as_deref());
        deed
    }

    /// True while commits that let a revision take out much may not be served. Those before a revision that operators may
    /// roll back to count again.
    fn may_be_allowed(&self, world: &World) -> bool {
        let log = &world.branch.log;
        let served = world.planning.last.as_ref().map(|snapshot| &snapshot.plan.revision);
        let served_at = log.iter().rposition(|(id, _)| Some(id) == served && !self.temper.contains(&Steering));
        log.iter().skip(served_at.map_or(0, |index| index + 1)).any(|(_, message)| !message.is_empty())
    }

    /// Puts a commit on the branch.
    fn push(&mut self, world: &mut World, files: FileSet, (kind, message): (Kind, &str)) -> Deed {
        self.commits += 1;
        let id = Revision::new(format!("{:040x}", self.commits));
        if kind == ForcePush {
            world.branch.log.clear();
        }
        world.branch.log.push((id.clone(), message.to_owned()));
        let subject = format!("{kind:?}");
        world.branch.info =
            RevisionInfo { id, author: "Ana <ana@example.org>".to_owned(), subject, committed_at: clock::now() };
        world.branch.files = files;
        world.branch.is_rewritten = kind == ForcePush;
        world.note(&format!("commit {}: {kind:?}", self.commits));
        if world.rng.u8(..4) > 0 { Deed::Wake } else { Deed::Nothing }
    }

    /// Puts the inventory on the branch, without faults. An edge that has refused what it is sent is sent something else.
    pub(crate) fn push_good(&mut self, world: &mut World) -> Deed {
        self.inventory.touch(self.commits + 1);
        let files = self.inventory.files();
        let deed = self.push(world, files, (Commit, ALLOWING));
        let Branch { info, files, .. } = &world.branch;
        world.quarantine.committed(&info.id, files, &self.inventory, None);
        deed
    }

    fn backends(&mut self, world: &mut World, kind: Kind) -> Deed {
        match kind {
            SiteCut => {
                let (name, octet) = SITES[world.rng.usize(..SITES.len())];
                world.truth.cut(octet);
                world.note(&format!("site {name} is cut"));
                self.later(world, (500, 25_000), Undo::Site(octet));
            }
            ProberIsolated => {
                world.truth.isolated_since.get_or_insert_with(Instant::now);
                world.note("the prober is isolated");
                self.later(world, (500, 15_000), Undo::Isolation);
            }
            ProberExhausted => {
                world.truth.is_prober_exhausted = true;
                world.note("the prober has no sockets");
                self.later(world, (500, 45_000), Undo::Exhaustion);
            }
            _ => {
                let upstreams: Vec<SocketAddr> = upstreams(world);
                if upstreams.is_empty() {
                    return Deed::Nothing;
                }
                let addr = upstreams[world.rng.usize(..upstreams.len())];
                sicken(world, addr);
                if kind == BackendFlaps {
                    let times = world.rng.u8(1..=16);
                    self.later(world, (300, 4000), Undo::Flap(addr, times));
                } else {
                    self.later(world, (500, 40_000), Undo::Backend(addr));
                }
            }
        }
        Deed::Nothing
    }

    /// Undoes what is due.
    pub(crate) fn undo_due(&mut self, world: &mut World) -> Deed {
        let mut deed = Deed::Nothing;
        while let Some(((at, number), undo)) = self.undo.pop_first() {
            if at > Instant::now() {
                self.undo.insert((at, number), undo);
                break;
            }
            if matches!(undo, Undo::Storm(_)) {
                deed = Deed::Wake;
            }
            self.undo(world, undo);
        }
        deed
    }

    fn undo(&mut self, world: &mut World, undo: Undo) {
        world.note(&format!("over: {undo:?}"));
        if let Undo::Restart(name, _) | Undo::Hang(name) | Undo::Lost(name) | Undo::Slow(name) = undo {
            world.trouble(name);
        }
        match undo {
            Undo::Storm(left) => {
                self.inventory.touch(self.commits + 1);
                self.commit(world, Commit);
                if left > 0 {
                    self.later(world, (100, 450), Undo::Storm(left - 1));
                }
            }
            Undo::SourceLost => world.branch.is_readable = true,
            Undo::Backend(addr) => world.truth.set(addr, Condition::Well),
            Undo::Flap(addr, left) => {
                if world.truth.is_sick(addr) {
                    world.truth.set(addr, Condition::Well);
                } else {
                    sicken(world, addr);
                }
                let next = if left == 0 { Undo::Backend(addr) } else { Undo::Flap(addr, left - 1) };
                self.later(world, (300, 4000), next);
            }
            Undo::Site(octet) => world.truth.mend(octet),
            Undo::Isolation => world.truth.isolated_since = None,
            Undo::Exhaustion => world.truth.is_prober_exhausted = false,
            Undo::Restart(name, is_resumed) => world.on_edge(name, |edge, seen| edge.restart(is_resumed, seen)),
            Undo::Hang(name) => {
                let edge = world.edge(name);
                if edge.reach == Reach::Hung {
                    edge.reach = Reach::Answers;
                }
            }
            Undo::Lost(name) => world.edge(name).lost = 0,
            Undo::Slow(name) => world.edge(name).load_ms = 20,
            Undo::Relay => world.is_relay_hung = false,
            Undo::Disk => world.commit_ms = 5,
        }
    }

    /// All faults stop now.
    pub(crate) fn heal(&mut self, world: &mut World) {
        let left: Vec<Undo> = std::mem::take(&mut self.undo).into_values().collect();
        for undo in left {
            match undo {
                Undo::Flap(addr, _) => self.undo(world, Undo::Backend(addr)),
                Undo::Storm(_) => {}
                undo => self.undo(world, undo),
            }
        }
        world.truth.heal();
        for edge in &mut world.edges {
            (edge.rejects_until, edge.lacking) = (None, None);
            edge.troubled_at = Instant::now();
        }
        world.note("all faults stop");
    }
}

fn sicken(world: &mut World, addr: SocketAddr) {
    let conditions = [Condition::Refusing, Condition::Hanging, Condition::Erring, Condition::Vanished];
    let condition = conditions[world.rng.usize(..conditions.len())];
    world.truth.set(addr, condition);
    world.note(&format!("{addr} is {condition:?}"));
}

fn is_good(inventory: &Inventory) -> bool {
    load(&inventory.files(), Revision::new("draft")).desired.is_some()
}

/// Addresses of backends that edges may dial, and some that they did.
fn upstreams(world: &World) -> Vec<SocketAddr> {
    let desired = declared(&world.planning);
    let mut found: Vec<SocketAddr> =
        desired.iter().flat_map(|desired| desired.backends.values()).map(|backend| backend.upstream()).collect();
    found.sort_unstable();
    found
}
