mod suspicion;

use std::collections::HashMap;

use std::ops::Range;

use super::*;
use crate::core::health::Failure;
use crate::core::inventory::{Probe, ProbeKind};

const INTERVAL: Duration = Duration::from_secs(5);

/// A connection is a number here.
struct Rig {
    schedule: Schedule<u32>,
    epoch: Instant,
}

fn name(number: usize) -> BackendName {
    format!("api-{number}").parse().expect("a name")
}

fn target(port: u16) -> ProbeTarget {
    // No pace but one, where a test does not say otherwise.
    let probe = Probe { interval: INTERVAL, fast_interval: INTERVAL, ..Probe::new(ProbeKind::Tcp) };
    ProbeTarget { upstream: ([127, 0, 0, 1], port).into(), probe }
}

fn set(numbers: impl IntoIterator<Item = usize>) -> ProbeSet {
    numbers.into_iter().map(|number| (name(number), target(1))).collect()
}

impl Rig {
    fn new(concurrency: usize, idle_connections: usize) -> Self {
        let epoch = Instant::now();
        let concurrency = NonZeroUsize::new(concurrency).expect("not zero");
        Self { schedule: Schedule::new(epoch, Bounds { concurrency, idle_connections, fast: 2 }), epoch }
    }

    fn at(&self, millis: u64) -> Instant {
        self.epoch + Duration::from_millis(millis)
    }

    fn update(&mut self, millis: u64, set: &ProbeSet) -> Vec<Ticket> {
        let now = self.at(millis);
        self.schedule.update(set, now)
    }

    fn start(&mut self, millis: u64) -> Option<Start<u32>> {
        let now = self.at(millis);
        self.schedule.start(now)
    }

    fn finish(&mut self, ticket: Ticket, idle: impl IntoIterator<Item = u32>, millis: u64) -> u64 {
        let now = self.at(millis);
        self.schedule.finish(ticket, &Outcome::Pass, idle.into_iter().collect(), now)
    }

    /// Runs from one moment to another, a millisecond at a time, with probes that take no time. Returns who was asked when.
    fn run(&mut self, from: u64, to: u64) -> Vec<(u64, BackendName)> {
        let mut asked = Vec::new();
        for millis in from..to {
            while let Some(start) = self.start(millis) {
                self.finish(start.ticket, None, millis);
                asked.push((millis, start.backend));
            }
        }
        asked
    }

    /// The same, and each backend's answers are what is said of it: true passes.
    fn run_with(
        &mut self,
        times: Range<u64>,
        mut answer: impl FnMut(&BackendName, u64) -> bool,
    ) -> Vec<(u64, BackendName)> {
        let mut asked = Vec::new();
        for millis in times {
            while let Some(start) = self.start(millis) {
                let is_pass = answer(&start.backend, millis);
                let outcome = if is_pass { Outcome::Pass } else { Outcome::Fail(Failure::Timeout) };
                let now = self.at(millis);
                self.schedule.finish(start.ticket, &outcome, Vec::new(), now);
                asked.push((millis, start.backend));
            }
        }
        asked
    }

    fn names_started(&mut self, millis: u64) -> Vec<BackendName> {
        std::iter::from_fn(|| self.start(millis)).map(|start| start.backend).collect()
    }
}

fn times_of(asked: &[(u64, BackendName)], wanted: &BackendName) -> Vec<u64> {
    asked.iter().filter(|(_, backend)| backend == wanted).map(|(millis, _)| *millis).collect()
}

#[test]
fn ten_thousand_backends_spread_evenly() {
    let mut rig = Rig::new(512, 0);
    rig.update(0, &set(0..10_000));
    assert_eq!(rig.run(0, 1).len(), 10_000, "each is asked at once when it is new");
    rig.run(1, 10_000);
    let asked = rig.run(10_000, 15_000);
    assert_eq!(asked.len(), 10_000, "each is asked once an interval");
    let mut windows = [0_u32; 500];
    for (millis, _) in &asked {
        windows[usize::try_from((millis - 10_000) / 10).expect("small")] += 1;
    }
    // Each window's share is 20. That many hashes leave none of 500 windows above 45 or below 3 but once in 10^4 sets of
    // names; these names are always the same.
    let (least, most) = (windows.iter().min().expect("500"), windows.iter().max().expect("500"));
    assert!(*least >= 3 && *most <= 45, "{least} to {most} in 10 ms");
}

#[test]
fn turns_do_not_drift() {
    let mut rig = Rig::new(8, 0);
    rig.update(0, &set(0..3));
    let asked = rig.run(0, 1_000_000);
    for number in 0..3 {
        let times = times_of(&asked, &name(number));
        let gap = times[1] - times[0];
        assert!((2_500..=7_500).contains(&gap), "first gap {gap}");
        let phase = times[1] % 5_000;
        assert!(times[1..].iter().all(|at| at % 5_000 == phase), "{times:?}");
        assert_eq!(times.len(), 201 - usize::from(times[1] > 5_000), "{times:?}");
    }
}

#[test]
fn a_late_start_does_not_shift_the_next_turn() {
    let mut rig = Rig::new(8, 0);
    rig.update(0, &set([0]));
    let times = times_of(&rig.run(0, 20_000), &name(0));
    let turn = times.last().expect("asked") + 5_000;
    let start = rig.start(turn + 1_200).expect("due");
    let lag = start.lag.expect("has a due time").as_millis();
    assert!((1_200..=1_201).contains(&lag), "{lag}");
    assert_eq!(rig.finish(start.ticket, None, turn + 1_300), 0);
    assert!(rig.start(turn + 4_998).is_none());
    assert!(rig.start(turn + 5_000).is_some());
}

#[test]
fn a_probe_never_overlaps_itself() {
    let mut rig = Rig::new(8, 0);
    rig.update(0, &set([0]));
    let times = times_of(&rig.run(0, 20_000), &name(0));
    let turn = times.last().expect("asked") + 5_000;
    let start = rig.start(turn).expect("due");
    assert!((turn..turn + 22_000).step_by(100).all(|millis| rig.start(millis).is_none()));
    // It ran through the turns at 5, 10, 15 and 20 s: the last is made up for, the others are skipped.
    assert_eq!(rig.finish(start.ticket, None, turn + 22_000), 3);
    let start = rig.start(turn + 22_000).expect("made up for");
    assert_eq!(rig.finish(start.ticket, None, turn + 22_001), 0);
    assert!(rig.start(turn + 24_998).is_none());
    assert!(rig.start(turn + 25_000).is_some());
}

#[test]
fn a_change_touches_only_what_changed() {
    let mut changed = set((0..100).filter(|number| *number != 7));
    changed.insert(name(500), target(1));
    changed.insert(name(8), target(2));
    let mut disturbed = Rig::new(512, 0);
    let mut left_alone = Rig::new(512, 0);
    for rig in [&mut disturbed, &mut left_alone] {
        rig.update(0, &set(0..100));
        rig.run(0, 12_345);
    }
    disturbed.update(12_345, &changed);
    let (asked, expected) = (disturbed.run(12_345, 30_000), left_alone.run(12_345, 30_000));
    for number in (0..100).filter(|number| ![7, 8].contains(number)) {
        assert_eq!(times_of(&asked, &name(number)), times_of(&expected, &name(number)), "{number}");
    }
    assert_eq!(times_of(&asked, &name(7)), [0_u64; 0], "removed");
    assert_eq!(times_of(&asked, &name(8))[0], 12_345, "asks another address");
    assert_eq!(times_of(&asked, &name(500))[0], 12_345, "new");
}

#[test]
fn another_interval_is_followed_without_losing_the_connection() {
    let mut rig = Rig::new(8, 8);
    rig.update(0, &set([0]));
    let first = rig.start(0).expect("new");
    rig.finish(first.ticket, Some(42), 0);
    let mut faster = set([0]);
    let probe = &mut faster.get_mut(&name(0)).expect("there").probe;
    (probe.interval, probe.fast_interval) = (Duration::from_millis(500), Duration::from_millis(500));
    assert_eq!(rig.update(100, &faster), []);
    let start = (100..=601).find_map(|millis| rig.start(millis)).expect("due within the new interval");
    assert_eq!((start.idle, start.target.probe.interval), (vec![42], Duration::from_millis(500)));
}

#[test]
fn probes_of_removed_and_changed_backends_are_obsolete() {
    let mut rig = Rig::new(8, 8);
    rig.update(0, &set(0..3));
    let tickets: HashMap<_, _> =
        std::iter::from_fn(|| rig.start(0)).map(|start| (start.backend, start.ticket)).collect();
    let mut changed = set(1..3);
    changed.insert(name(1), target(2));
    let mut obsolete = rig.update(10, &changed);
    obsolete.sort();
    let mut expected = vec![tickets[&name(0)], tickets[&name(1)]];
    expected.sort();
    assert_eq!(obsolete, expected);
    assert_eq!(rig.schedule.running(), 1);
    // An end that was already on its way is nobody's: neither its connection nor its turn.
    rig.finish(tickets[&name(1)], Some(1), 20);
    let again = rig.start(20).expect("asked at once");
    assert_eq!((again.backend, again.idle), (name(1), vec![]));
}

#[test]
fn connections_are_kept_up_to_the_bound() {
    let mut rig = Rig::new(8, 2);
    rig.update(0, &set(0..3));
    for number in 0..3 {
        let start = rig.start(0).expect("new");
        rig.finish(start.ticket, Some(number), 0);
    }
    let mut kept = Vec::new();
    for millis in 0..7_501 {
        while let Some(start) = rig.start(millis) {
            kept.extend(start.idle);
        }
    }
    assert_eq!(kept.len(), 2);
    assert_eq!(rig.schedule.idle_count, 0);
}

#[test]
fn the_connections_of_one_backend_are_kept_together_or_not_at_all() {
    let mut rig = Rig::new(8, 3);
    rig.update(0, &set(0..2));
    let starts: Vec<_> = std::iter::from_fn(|| rig.start(0)).collect();
    for (start, kept) in starts.iter().zip([[1, 2], [3, 4]]) {
        rig.finish(start.ticket, kept, 0);
    }
    assert_eq!(rig.schedule.idle_count, 2);
    let idle: Vec<_> = (0..=20_000).filter_map(|millis| rig.start(millis)).map(|start| start.idle).collect();
    assert!(idle.len() == 2 && idle.contains(&vec![1, 2]) && idle.contains(&vec![]), "{idle:?}");
    assert_eq!(rig.schedule.idle_count, 0);
}

#[test]
fn no_more_run_than_there_are_slots_and_the_oldest_go_first() {
    let mut rig = Rig::new(4, 0);
    rig.update(0, &set(0..100));
    rig.run(0, 10_000);
    let started: Vec<_> = std::iter::from_fn(|| rig.start(15_000)).collect();
    assert_eq!(started.len(), 4);
    assert_eq!(rig.schedule.next_due(), None, "nothing to wait for but a free slot");
    assert!(rig.schedule.oldest_due().is_some_and(|due| due < rig.at(15_000)), "what waits is seen");
    let mut lags: Vec<_> = started.iter().map(|start| start.lag.expect("not first")).collect();
    let mut running = started;
    while let Some(start) = running.pop() {
        rig.finish(start.ticket, None, 15_000);
        if let Some(next) = rig.start(15_000) {
            lags.push(next.lag.expect("not first"));
            running.push(next);
        }
        assert!(rig.schedule.running() <= 4);
    }
    assert_eq!(lags.len(), 100);
    assert!(lags.is_sorted_by(|before, after| before >= after), "the longest wait goes first");
}

#[test]
fn many_new_backends_do_not_hold_up_the_others() {
    let mut rig = Rig::new(4, 0);
    rig.update(0, &set(0..100));
    rig.run(0, 10_000);
    rig.update(15_000, &set(0..1_000));
    let started = rig.names_started(15_000);
    let old = (0..100).map(name).filter(|name| started.contains(name)).count();
    assert_eq!((started.len(), old), (4, 2), "half of the slots are for those that wait for their turn");
}

fn fast_set(numbers: Range<usize>) -> ProbeSet {
    let mut set = set(numbers);
    for target in set.values_mut() {
        target.probe.fast_interval = Duration::from_secs(1);
    }
    set
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn a_backend_in_doubt_is_asked_sooner() {
    let mut rig = Rig::new(8, 0);
    rig.update(0, &fast_set(0..1));
    // It comes up, fails from 20 s to 40 s, and comes up again.
    let asked = rig.run_with(0..60_000, |_, millis| !(20_000..40_000).contains(&millis));
    let times = times_of(&asked, &name(0));
    let between = |from, to| times.iter().copied().filter(|at| (from..to).contains(at)).collect::<Vec<u64>>();
    let first = gaps(&between(0, 20_000));
    assert!((500..=1_500).contains(&first[0]), "unknown, so the second pass comes soon: {first:?}");
    assert!(first[1..].iter().all(|gap| *gap >= 2_500), "up, so at leisure: {first:?}");
    let failing = gaps(&between(20_000, 40_000));
    assert!(failing[..2].iter().all(|gap| (500..=1_500).contains(gap)), "{failing:?}");
    assert!(failing[2..].iter().all(|gap| *gap >= 2_500), "down, so at leisure: {failing:?}");
    let back = gaps(&between(40_000, 60_000));
    assert!(back[..2].iter().all(|gap| (500..=1_500).contains(gap)), "it may have to pass once more: {back:?}");
    assert!(back[2..].iter().all(|gap| *gap >= 2_500), "{back:?}");
}

#[test]
fn only_so_many_are_asked_sooner_at_a_time() {
    let mut rig = Rig::new(8, 0);
    rig.update(0, &fast_set(0..10));
    // They pass and fail in turn, so that nothing is ever believed of them.
    let mut turns = BTreeMap::new();
    let asked = rig.run_with(0..100_000, |backend, _| {
        let is_pass = turns.entry(backend.clone()).or_insert(true);
        *is_pass = !*is_pass;
        *is_pass
    });
    assert!((300..=400).contains(&asked.len()), "eight each 5 s and two each second: {}", asked.len());
    assert_eq!(rig.schedule.fast_count, 2);
    rig.update(100_000, &fast_set(5..10));
    rig.update(100_000, &fast_set(0..0));
    assert_eq!(rig.schedule.fast_count, 0, "what is gone is not counted");
}

#[test]
fn a_probe_that_outlasts_the_fast_interval_skips_nothing() {
    let mut rig = Rig::new(8, 0);
    rig.update(0, &fast_set(0..1));
    let start = rig.start(0).expect("new");
    let now = rig.at(3_000);
    assert_eq!(rig.schedule.finish(start.ticket, &Outcome::Fail(Failure::Timeout), Vec::new(), now), 0);
    assert!(rig.start(3_000).is_some(), "asked again at once");
}
