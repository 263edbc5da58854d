//! The short form: three cases as tests, with what holds today: the long form judges by stricter rules.

use std::time::Duration;

use super::contender::Contender;
use super::cuts::Cut;
use super::experiment::{Case, Timing, run};
use super::faults::Fault;
use super::judge::{Rule, judge, judge_by_weaker};
use super::load::Offer;
use super::report::{Entry, print_case};
use super::waiting;
use super::world::{World, obstacle};

/// A test: its name, its case, and the rules that must hold. The long form judges by all rules.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    case: Case,
    rules: &'static [Rule],
}

pub(crate) const TESTS: [Test; 3] = [
    Test {
        name: "wan",
        case: Case::Cut(Cut::Wan),
        rules: &[Rule::NothingLostToTheCut, Rule::NothingTwice, Rule::StreamsElsewhere, Rule::Back],
    },
    Test {
        name: "crash",
        case: Case::Cut(Cut::Crash),
        rules: &[Rule::NothingLostToTheCut, Rule::NothingTwice, Rule::StreamsElsewhere, Rule::Back],
    },
    Test {
        name: "bascule_killed",
        case: Case::Fault(Fault::Killed),
        rules: &[
            Rule::NothingLostToTheCut,
            Rule::NothingTwice,
            Rule::StreamsElsewhere,
            Rule::BackAfterPassive,
            Rule::Recovered,
        ],
    },
];

const OFFER: Offer = Offer { rate: 100, patience: Duration::from_secs(10) };
const TIMING: Timing =
    Timing { before: Duration::from_secs(1), cut: Duration::from_secs(5), after: Duration::from_secs(1) };

impl Test {
    /// Panics where a rule does not hold, and where the lab cannot run: a lab that is left out silently proves nothing.
    pub(crate) fn run(&self) {
        if let Some(reason) = obstacle() {
            panic!("the lab cannot run here: {reason}\n`make test LAB=no` runs everything else");
        }
        waiting::catch_signals();
        let mut world = World::build();
        let contender = Contender::Bascule;
        let figures = run(&mut world, contender, self.case, OFFER, TIMING);
        let findings = [judge(self.case, &figures, None), judge_by_weaker(self.case, &figures)].concat();
        print_case(self.case, &[&Entry { case: self.case, contender, figures }]);
        for finding in &findings {
            println!(
                "  {}: {} ({})",
                if finding.held { "held" } else { "not held" },
                finding.rule.words(),
                finding.seen
            );
        }
        for rule in self.rules {
            let finding =
                findings.iter().find(|finding| finding.rule == *rule).expect("the rule is judged in this case");
            assert!(finding.held, "{}: {}", rule.words(), finding.seen);
        }
    }
}
