//! Backends that clients meet errors of.

use super::*;

/// A backend with this probe that is believed to be up, asked last at its first turn after three seconds: at this time.
fn settled(rig: &mut Rig, probe: &Probe) -> u64 {
    let target = ProbeTarget { probe: probe.clone(), ..target(1) };
    rig.update(0, &ProbeSet::from([(name(0), target)]));
    rig.run(0, 20_000).last().expect("it is asked").0
}

fn probe() -> Probe {
    Probe { interval: INTERVAL, fall: 3, rise: 1, ..Probe::new(ProbeKind::Tcp) }
}

#[test]
fn what_clients_meet_is_confirmed_at_once() {
    let mut rig = Rig::new(8, 0);
    let last = settled(&mut rig, &probe());
    let turn = last + 5_000;
    rig.schedule.suspect(&name(0), rig.at(21_000));
    rig.schedule.suspect(&name(1), rig.at(21_000));
    let asked = times_of(&rig.run_with(21_000..30_000, |_, _| false), &name(0));
    assert_eq!(asked[..3], [21_000, 21_150, 21_300], "until `fall` decides; its turn is at {turn}");
    assert!(asked[3..].iter().all(|at| (at - last).is_multiple_of(5_000)), "then at its turns again: {asked:?}");
    assert_eq!(asked.len(), 5, "{asked:?}");
    // It is down, and stays in rotation under a guard: nobody is asked more often for it.
    rig.schedule.suspect(&name(0), rig.at(30_000));
    assert!(rig.run_with(30_000..31_000, |_, _| false).iter().all(|(at, _)| (at - last).is_multiple_of(5_000)));
}

#[test]
fn a_turn_right_after_a_suspicion_is_no_second_failure() {
    let mut rig = Rig::new(8, 0);
    let turn = settled(&mut rig, &probe()) + 5_000;
    rig.schedule.suspect(&name(0), rig.at(turn - 1));
    let asked = times_of(&rig.run_with(turn - 1..turn + 1_000, |_, _| false), &name(0));
    assert_eq!(asked[..3], [turn - 1, turn + 149, turn + 299]);
}

#[test]
fn a_bad_page_costs_four_probes_a_second_and_a_pass_ends_it() {
    let mut rig = Rig::new(8, 0);
    let last = settled(&mut rig, &probe());
    let mut asked = Vec::new();
    for at in 21_000..31_000 {
        rig.schedule.suspect(&name(0), rig.at(at));
        asked.extend(rig.run(at, at + 1));
    }
    let times = times_of(&asked, &name(0));
    assert!((40..=42).contains(&times.len()), "{}", times.len());
    // The last one may still be looked into once.
    assert!(rig.run(31_000, 31_250).len() <= 1);
    let after = times_of(&rig.run(31_250, 51_250), &name(0));
    assert_eq!(after.len(), 4, "{after:?}");
    assert!(after.iter().all(|at| (at - last).is_multiple_of(5_000)), "its turns stayed where they were: {after:?}");
}

#[test]
fn a_written_fast_interval_bounds_what_suspicion_does() {
    let mut rig = Rig::new(8, 0);
    let written = Duration::from_secs(1);
    let last = settled(&mut rig, &Probe { fast_interval: written, confirm_interval: written, ..probe() });
    for at in last + 1..last + 4_000 {
        rig.schedule.suspect(&name(0), rig.at(at));
        for (asked, _) in rig.run_with(at..at + 1, |_, _| false) {
            assert!((asked - last).is_multiple_of(1_000), "asked {} ms after {last}", asked - last);
        }
    }
}

#[test]
fn a_suspicion_during_a_probe_is_looked_into_after_it() {
    for (is_pass, next) in [(true, 250), (false, 150)] {
        let mut rig = Rig::new(8, 0);
        let last = settled(&mut rig, &probe()) + 5_000;
        let start = rig.start(last).expect("its turn");
        rig.schedule.suspect(&name(0), rig.at(last + 10));
        assert!(rig.start(last + 11).is_none(), "never twice at a time");
        let outcome = if is_pass { Outcome::Pass } else { Outcome::Fail(Failure::Timeout) };
        rig.schedule.finish(start.ticket, &outcome, Vec::new(), rig.at(last + 20));
        assert_eq!(rig.schedule.next_due(), Some(rig.at(last + next)));
    }
}

#[test]
fn old_suspicions_and_faults_of_the_prober_hurry_nobody() {
    let mut rig = Rig::new(8, 0);
    let last = settled(&mut rig, &Probe { fall: 9, ..probe() });
    rig.schedule.suspect(&name(0), rig.at(last + 1_000));
    let asked = times_of(&rig.run_with(last + 1_000..last + 3_000, |_, _| false), &name(0));
    // Clients meet nothing more: after a second it is asked at the pace of any doubt.
    let fast = asked.windows(2).filter(|pair| pair[1] - pair[0] == 150).count();
    assert_eq!(fast, 7, "{asked:?}");
    let mut rig = Rig::new(8, 0);
    let last = settled(&mut rig, &probe());
    rig.schedule.suspect(&name(0), rig.at(last + 1_000));
    let start = rig.start(last + 1_000).expect("it is asked");
    let fault = Outcome::Fail(Failure::Prober("too many open files".to_owned()));
    rig.schedule.finish(start.ticket, &fault, Vec::new(), rig.at(last + 1_001));
    assert_eq!(rig.run(last + 1_001, last + 6_000), [(last + 5_000, name(0))]);
}
