//! A thousand drawn pairs of inventories, each with an edit between the two: what is planned for them, foretold of them and
//! served of them is the same.
//!
//! A pair that fails names its seed; `BASCULE_PAIR_SEED=17` draws that one alone.

mod draft;
mod engine;
mod foretold;
mod store;
mod traffic;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bascule::core::caddy::{Pool, diff, render};
use bascule::core::health::{BackendHealth, Observed, Verdict};
use bascule::core::inventory::{Desired, load};
use bascule::core::model::{FileSet, Revision};
use bascule::core::review::{review, review_live};
use bascule::core::routing::{Action, Effective, Inputs, Live, Override, Overrides, Target, plan};
use bascule::core::status::LiveDto;
use fastrand::Rng;

use self::draft::Draft;
use self::engine::BEGIN;

const PAIRS: u64 = 1000;

/// Two inventories, the second an edit of the first.
struct Pair {
    drafts: [Draft; 2],
    files: [FileSet; 2],
    desired: [Desired; 2],
    rng: Rng,
}

impl Pair {
    /// Draws until both are valid.
    fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let before = loop {
            let draft = Draft::draw(&mut rng);
            if let Some(desired) = valid(&draft, "a") {
                break (draft, desired);
            }
        };
        loop {
            let draft = before.0.changed(&mut rng);
            if let Some(desired) = valid(&draft, "b") {
                let files = [before.0.files(), draft.files()];
                return Self { drafts: [before.0, draft], files, desired: [before.1, desired], rng };
            }
        }
    }
}

fn valid(draft: &Draft, revision: &str) -> Option<Desired> {
    load(&draft.files(), Revision::new(revision.repeat(40))).desired
}

/// Runs a property for every pair below a number, on all cores, and names the seed of the first that fails.
fn for_pairs(count: u64, property: impl Fn(Pair) + Sync) {
    if let Some(seed) = std::env::var("BASCULE_PAIR_SEED").ok().map(|seed| seed.parse().expect("a number")) {
        return property(Pair::draw(seed));
    }
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            let held = catch_unwind(AssertUnwindSafe(|| property(Pair::draw(seed))));
            assert!(held.is_ok(), "the pair of seed {seed} fails: draw it alone with BASCULE_PAIR_SEED={seed}");
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    assert!(next.load(Ordering::Relaxed) >= count, "not every pair was drawn");
}

/// What a controller of the first inventory goes by, with verdicts and decisions as they may be.
fn drawn_live(desired: &Desired, rng: &mut Rng) -> Live {
    let ago = |rng: &mut Rng| BEGIN.minus(Duration::from_secs(rng.u64(0..200)));
    let mut observed = Observed { revision: Some(desired.revision.clone()), ..Observed::new() };
    for backend in desired.backends.values() {
        let mut health = BackendHealth {
            target: Some(backend.probe_target()),
            verdict: *rng
                .choice([Verdict::Up, Verdict::Up, Verdict::Up, Verdict::Down, Verdict::Unknown].iter())
                .expect("some"),
            since: Some(ago(rng)),
            ..BackendHealth::default()
        };
        if rng.u8(..6) == 0 {
            (0..5).for_each(|number| health.flap.count(BEGIN.minus(Duration::from_secs(50 - number * 10))));
        }
        observed.backends.insert(backend.name.clone(), health);
    }
    let mut overrides = Overrides::new();
    for backend in desired.backends.keys().filter(|_| rng.u8(..10) == 0).cloned().collect::<Vec<_>>() {
        overrides.insert(Override {
            target: Target::Backend(backend),
            action: *rng.choice([Action::Up, Action::Down, Action::Drain].iter()).expect("some"),
            reason: "drawn".to_owned(),
            by: String::new(),
            set_at: BEGIN,
            until: BEGIN.plus(Duration::from_hours(1)),
        });
    }
    // A plan of before, when all was well, and one of now.
    let mut live = Live { now: BEGIN, observed, overrides, planned: Effective::default(), guard: None };
    let earlier = BEGIN.minus(Duration::from_mins(5));
    live.planned = plan(&Inputs { now: earlier, ..Inputs::declared(desired) }).effective;
    live.planned = plan(&live.inputs(desired)).effective;
    live
}

#[test]
fn what_is_applied_leaves_nothing_to_plan() {
    for_pairs(PAIRS, |mut pair| {
        let [before, after] = &pair.desired;
        let live = drawn_live(before, &mut pair.rng);
        let known = live.observed.follow(before, after);
        let inputs = Inputs { observed: &known, ..live.inputs(after) };
        let applied = plan(&inputs);
        let again = plan(&Inputs { previous: Some(&applied.effective), ..inputs });
        assert_eq!((&again.effective, again.changes.len()), (&applied.effective, 0));
        assert_eq!((again.holds, again.next_at), (applied.holds.clone(), applied.next_at));
        for edge in after.edges.values() {
            let rendered = render(&applied.effective, edge, &Pool::strict());
            assert_eq!(render(&again.effective, edge, &Pool::strict()).digest, rendered.digest);
            assert_eq!(diff(&rendered.config(), &rendered.config()), []);
            let Some(old) = before.edges.get(&edge.name) else { continue };
            let old = render(&live.planned, old, &Pool::strict());
            assert_eq!(diff(&old.config(), &rendered.config()).is_empty(), old.digest == rendered.digest);
        }
        // A controller that serves the second one by now.
        let served = Live { observed: known, planned: applied.effective, ..live.clone() };
        assert!(review_live(after, after, &served).is_empty());
        let reviewed = review_live(before, after, &live);
        assert_eq!(review_live(before, after, &live), reviewed, "the same inputs, the same review");
        let is_same = before.services == after.services && before.backends == after.backends;
        assert!(!is_same || before.sites != after.sites || reviewed.services.is_empty(), "{reviewed:?}");
        assert!(review(after, after).is_empty());
    });
}

#[test]
fn what_a_controller_knows_comes_through_its_api_unharmed() {
    for_pairs(PAIRS, |mut pair| {
        let [before, after] = &pair.desired;
        let live = drawn_live(before, &mut pair.rng);
        let planned = plan(&live.inputs(before));
        let dto = LiveDto::of((&planned, before), &pair.files[0], (&live.observed, &live.overrides), None, live.now);
        let dto: LiveDto = serde_json::from_str(&serde_json::to_string(&dto).expect("JSON")).expect("the same");
        let read = dto.read(before).expect("names");
        let known = Live { planned: planned.effective, ..live };
        assert_eq!(plan(&read.inputs(before)).effective, known.planned);
        assert_eq!(review_live(before, after, &read), review_live(before, after, &known));
    });
}
