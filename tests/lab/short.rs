//! The tests of this binary: the measuring itself, and the short form of the lab, which is three cases, judged by
//! those rules that hold on a busy machine. The long form has more cases and judges by all rules.

use std::time::Duration;

use super::contender::Contender;
use super::cuts::Cut;
use super::experiment::{Case, Timing, run};
use super::faults::Fault;
use super::judge::{Finding, Rule, judge};
use super::load::Offer;
use super::report::{Entry, print_case};
use super::world::{World, obstacle};
use super::{proof, waiting};

/// A test of this binary.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
}

pub(crate) const TESTS: [Test; 6] = [
    Test { name: "figures_are_right", run: proof::figures_are_right },
    Test { name: "faults_are_found", run: proof::faults_are_found },
    Test { name: "wan", run: wan },
    Test { name: "crash", run: crash },
    Test { name: "bascule_killed", run: bascule_killed },
    Test { name: "silence", run: super::silence::slow_requests_are_free_at_the_verdict },
];

fn wan() {
    // How soon POSTs are safe again, and how long anybody waits, is a matter of a busy machine, too: the long form judges it.
    hold(Case::Cut(Cut::Wan), &[Rule::NoFailedGet, Rule::NothingTwice, Rule::StreamsElsewhere, Rule::Back]);
}

fn crash() {
    let rules = [Rule::NoFailedGet, Rule::NoFailedPost, Rule::NothingTwice, Rule::StreamsElsewhere, Rule::Back];
    hold(Case::Cut(Cut::Crash), &rules);
}

fn bascule_killed() {
    let rules = [Rule::NoFailedGet, Rule::NothingTwice, Rule::StreamsElsewhere, Rule::Back, Rule::Recovered];
    hold(Case::Fault(Fault::Killed), &rules);
}

const OFFER: Offer = Offer { rate: 100, patience: Duration::from_secs(10) };
const TIMING: Timing =
    Timing { before: Duration::from_secs(1), cut: Duration::from_secs(5), after: Duration::from_secs(1) };

/// Runs a case. Panics where one of the rules does not hold, and where the lab cannot run: a lab that is left out silently
/// proves nothing.
fn hold(case: Case, rules: &[Rule]) {
    if let Some(reason) = obstacle() {
        panic!("the lab cannot run here: {reason}\n`make test LAB=no` runs everything else");
    }
    waiting::catch_signals();
    let mut world = World::build();
    let contender = Contender::Bascule;
    let figures = run(&mut world, contender, case, OFFER, TIMING);
    let findings = judge(case, &figures, None);
    print_case(case, &[&Entry { case, contender, figures }]);
    for Finding { rule, held, seen } in &findings {
        println!("  {}: {} ({seen})", if *held { "held" } else { "not held" }, rule.words());
    }
    for rule in rules {
        let finding = findings.iter().find(|finding| finding.rule == *rule).expect("the rule is judged in this case");
        assert!(finding.held, "{}: {}", rule.words(), finding.seen);
    }
}
