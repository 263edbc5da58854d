//! One contender, one case: load, cut, healing, and what was seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::actors::Bascule;
use super::backends::Backend;
use super::contender::{Contender, Edge};
use super::cuts::Cut;
use super::faults::Fault;
use super::load::{Load, Offer, Seen};
use super::measure::{Figures, Marks, Observed, Recovery};
use super::namespace;
use super::waiting::{pass, pass_until, wait, wait_for};
use super::world::World;

/// For a contender to serve from every backend.
const START: Duration = Duration::from_secs(40);
/// How long it must have served well before anything is done to it.
const CALM: Duration = Duration::from_secs(1);
/// For traffic to come back after healing.
const RETURN: Duration = Duration::from_secs(30);
/// Between a fault of the control plane and the cut.
const LEAD: Duration = Duration::from_secs(3);

/// What is done in one experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Cut(Cut),
    Fault(Fault),
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let cuts = Cut::ALL.into_iter().map(Self::Cut);
        cuts.chain(Fault::ALL.into_iter().map(Self::Fault)).collect()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cut(cut) => cut.name(),
            Self::Fault(fault) => fault.name(),
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Cut(cut) => cut.about(),
            Self::Fault(fault) => fault.about(),
        }
    }

    /// The cut in it.
    pub(crate) const fn cut(self) -> Cut {
        match self {
            Self::Cut(cut) => cut,
            Self::Fault(_) => Cut::Wan,
        }
    }

    /// True where it says something about others than Bascule.
    pub(crate) const fn is_for(self, contender: Contender) -> bool {
        matches!((self, contender), (Self::Cut(_), _) | (_, Contender::Bascule))
    }
}

/// Durations of the phases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Load before anything is done.
    pub(crate) before: Duration,
    /// How long the cut lasts.
    pub(crate) cut: Duration,
    /// Load after traffic has come back.
    pub(crate) after: Duration,
}

/// Puts a contender at the edge, does what the case says, and measures.
pub(crate) fn run(world: &mut World, contender: Contender, case: Case, offer: Offer, timing: Timing) -> Figures {
    let folder = tempfile::Builder::new().prefix(contender.name()).tempdir_in(world.folder()).expect("a folder");
    let id = folder.path().file_name().expect("it has a name").to_string_lossy().replace(' ', "-");
    let mut edge = contender.start(world, folder.path());
    let load = Load::start(&world.client, offer, &id);
    wait_until_calm(world, &mut edge, &load);
    let calm = Instant::now();
    pass(timing.before);
    for backend in world.backends() {
        backend.take_posts();
    }

    let reloads = edge.reloads();
    let cut = case.cut();
    let victims = cut.victims(world);
    let begin = Instant::now();
    if let (Case::Fault(fault), Edge::Bascule(bascule)) = (case, &mut edge) {
        fault.begin(world, bascule);
        pass_until(begin + LEAD);
    }
    cut.begin(world);
    // Its end: a request that began while backends were being killed was in flight at the cut.
    let cut_at = Instant::now();
    let again = cut.last(world, cut_at + timing.cut);
    let status = matches!(edge, Edge::Bascule(_)).then(|| Bascule::status(world)).flatten();
    let heal = Instant::now();
    cut.heal(world);
    let path = PathWatch::start(world, &victims);
    wait(RETURN, || victims.iter().all(|name| has_answered(&load, name, heal)).then_some(()));
    let mut recovery = Recovery::NotAsked;
    if let (Case::Fault(fault), Edge::Bascule(bascule)) = (case, &mut edge) {
        let from = Instant::now();
        fault.heal(world, bascule);
        recovery = wait(RETURN, || Bascule::is_settled(world).then(|| Recovery::After(from.elapsed().into())))
            .unwrap_or(Recovery::Never);
    }
    pass(timing.after);

    let seen = load.stop();
    let end = Instant::now();
    let posts = world.backends().flat_map(Backend::take_posts).collect();
    let reloads = edge.reloads().zip(reloads).map(|(after, before)| after.saturating_sub(before));
    let marks = Marks { calm, begin, cut: cut_at, again, heal, path: path.stop(), end };
    Figures::of(&Observed { seen, marks, victims, posts, reloads, status, recovery })
}

fn wait_until_calm(world: &World, edge: &mut Edge, load: &Load) {
    let is_calm = |seen: &Seen| {
        let from = Instant::now().checked_sub(CALM).expect("this machine is up for longer");
        let recent = seen.requests.iter().rev().take_while(|request| request.ended > from);
        let has_all = world
            .backends()
            .all(|backend| seen.requests.iter().rev().any(|request| request.backend.as_ref() == Some(&backend.name)));
        has_all && recent.clone().count() > 0 && recent.clone().all(|request| request.failure.is_none())
    };
    let ready = wait(START, || {
        edge.must_run();
        (edge.is_settled(world) && is_calm(&load.seen())).then_some(())
    });
    assert!(
        ready.is_some(),
        "the edge does not serve from every backend after {START:?}; its log ends with:\n{}",
        edge.log_end()
    );
}

fn has_answered(load: &Load, backend: &str, since: Instant) -> bool {
    let seen = load.seen();
    let late = seen.requests.iter().rev().take_while(|request| request.ended > since);
    late.filter(|request| request.begun > since && request.failure.is_none())
        .any(|request| request.backend.as_deref() == Some(backend))
}

/// Asks the cut backends from the hub, past the edge, until each has answered: from then on it is up to the edge.
struct PathWatch {
    found: Arc<Mutex<BTreeMap<String, Instant>>>,
    threads: Vec<JoinHandle<()>>,
}

impl PathWatch {
    const STEP: Duration = Duration::from_millis(50);
    const PATIENCE: Duration = Duration::from_millis(500);

    fn start(world: &World, victims: &[String]) -> Self {
        let found: Arc<Mutex<BTreeMap<_, _>>> = Arc::default();
        let struck = world.backends().filter(|backend| victims.contains(&backend.name));
        let threads = struck
            .map(|backend| {
                let (hub, name, address) = (world.hub.name().to_owned(), backend.name.clone(), backend.address);
                let (found, end) = (Arc::clone(&found), Instant::now() + RETURN);
                std::thread::spawn(move || {
                    namespace::enter(&hub);
                    while Instant::now() < end {
                        let asked = Instant::now();
                        if namespace::get(address, "/health", Self::PATIENCE).is_some_and(|answer| answer.0 == 200) {
                            found.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Instant::now());
                            return;
                        }
                        std::thread::sleep(Self::STEP.saturating_sub(asked.elapsed()));
                    }
                })
            })
            .collect();
        Self { found, threads }
    }

    /// When each backend answered.
    fn stop(self) -> BTreeMap<String, Instant> {
        for thread in self.threads {
            wait_for("the way to a site to be watched", RETURN * 2, || thread.is_finished().then_some(()));
        }
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
