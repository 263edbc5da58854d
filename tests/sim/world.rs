//! Everything that is not bascule, behind one lock; there is one thread, so nobody waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bascule::controller::Answering;
use bascule::core::inventory::Desired;
use bascule::core::model::{FileSet, Revision, RevisionInfo};
use fastrand::Rng;
use serde_json::Value;
use tokio::time::Instant;

use super::clock;
use super::damping::Damping;
use super::edge::{Author, Edge, Seen};
use super::history::{History, Kept};
use super::inventory::EDGES;
use super::observing::Observing;
use super::operators::Operators;
use super::planning::Planning;
use super::pushing;
use super::quarantine::Quarantine;
use super::source::Branch;
use super::truth::Truth;

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) truth: Truth,
    pub(crate) branch: Branch,
    pub(crate) edges: Vec<Edge>,
    /// Bascule's answers to relays; none while it is away.
    pub(crate) answering: Option<Answering>,
    /// Bascule's relay listener takes questions and does not answer.
    pub(crate) is_relay_hung: bool,
    /// Longest time that a commit to the state file takes.
    pub(crate) commit_ms: u64,
    /// When the controller was started last.
    pub(crate) started_at: Instant,
    pub(crate) observing: Observing,
    pub(crate) damping: Damping,
    pub(crate) planning: Planning,
    pub(crate) operators: Operators,
    pub(crate) quarantine: Quarantine,
    /// What each edge may run: all that was declared when it was last pushed to, and shortly before.
    pub(crate) declared: BTreeMap<&'static str, Vec<Arc<Desired>>>,
    pub(crate) history: History,
}

impl World {
    pub(crate) fn new(seed: u64, kept: Kept) -> Self {
        let info = RevisionInfo {
            id: Revision::new("none"),
            author: String::new(),
            subject: String::new(),
            committed_at: clock::now(),
        };
        Self {
            rng: Rng::with_seed(seed),
            truth: Truth::default(),
            branch: Branch { info, files: FileSet::new(), is_rewritten: false, log: Vec::new(), is_readable: true },
            edges: EDGES.iter().map(|name| Edge::new(name)).collect(),
            answering: None,
            is_relay_hung: false,
            commit_ms: 5,
            started_at: Instant::now(),
            observing: Observing::default(),
            damping: Damping::default(),
            planning: Planning::default(),
            operators: Operators::default(),
            quarantine: Quarantine::default(),
            declared: BTreeMap::new(),
            history: History::new(kept),
        }
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.history.note(what);
    }

    pub(crate) fn broken(&mut self, invariant: &'static str, detail: String) {
        self.history.broken(invariant, detail);
    }

    pub(crate) fn edge(&mut self, name: &str) -> &mut Edge {
        self.edges.iter_mut().find(|edge| edge.name == name).expect("an edge of the simulation")
    }

    /// Gives an edge to change, with what its checks meet.
    pub(crate) fn on_edge<T>(&mut self, name: &str, change: impl FnOnce(&mut Edge, &Seen<'_>) -> T) -> T {
        let answering = self.answering.as_ref().filter(|_| !self.is_relay_hung);
        let seen = Seen { truth: &self.truth, answering };
        let edge = self.edges.iter_mut().find(|edge| edge.name == name).expect("an edge of the simulation");
        change(edge, &seen)
    }

    pub(crate) fn load(&mut self, name: &str, json: Value, author: Author) -> Result<(), String> {
        self.on_edge(name, |edge, seen| edge.load(json, author, seen))
    }

    /// Writes that have arrived at edges so far.
    pub(crate) fn writes(&self) -> u64 {
        self.edges.iter().map(|edge| edge.written).sum()
    }

    /// A write of bascule's has arrived at an edge.
    pub(crate) fn wrote(&mut self, name: &'static str) {
        pushing::wrote(self, name);
    }

    /// An edge runs what bascule has sent.
    pub(crate) fn pushed(&mut self, name: &'static str) {
        pushing::pushed(self, name);
    }

    /// Something is wrong with an edge from now on, or was until now.
    pub(crate) fn trouble(&mut self, name: &str) {
        self.edge(name).troubled_at = Instant::now();
    }
}

/// The world, for all that live in it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
