//! What must hold of Bascule, and whether it does.

use std::time::Duration;

use super::actors::{FALL, INTERVAL, RISE, TIMEOUT};
use super::cuts::Cut;
use super::experiment::Case;
use super::faults::Fault;
use super::measure::{Figures, Ms, Recovery};

/// Longest wait of a request that began after packets began to vanish.
const STALL_MAX: Ms = Ms(1500);
/// What traffic may take to come back beyond `rise` probes.
const RETURN_MARGIN: Duration = Duration::from_secs(2);

/// One thing that must hold, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) held: bool,
    pub(crate) seen: String,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    NoFailedGet,
    NoFailedPost,
    NothingTwice,
    ShortStall,
    StallOfTheBestPeer,
    StreamsElsewhere,
    Moved,
    Back,
    Recovered,
    NothingTakenOut,
    CauseNamed,
}

impl Rule {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NoFailedGet => "no GET fails",
            Self::NoFailedPost => {
                "no POST fails that begins later than a second after the cut (at a crash: after the cut)"
            }
            Self::NothingTwice => "no POST is carried out twice",
            Self::ShortStall => "no request that begins after the cut waits for 1.5 s",
            Self::StallOfTheBestPeer => "none waits longer than with the best peer",
            Self::StreamsElsewhere => "no stream of another site is lost",
            Self::Moved => "the edge by itself moves traffic within two intervals and a timeout",
            Self::Back => "traffic is back within rise x interval + 2 s",
            Self::Recovered => "all is well again after the fault",
            Self::NothingTakenOut => "no backend is taken out",
            Self::CauseNamed => "the status names the cause",
        }
    }
}

/// Judges Bascule in one experiment. `best_peer` is the shortest stall of the peers in the same case, where there were any.
pub(crate) fn judge(case: Case, figures: &Figures, best_peer: Option<Ms>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |rule, held, seen: String| findings.push(Finding { rule, held, seen });
    let (get, post) = (figures.get, figures.post);
    let is_dark = case == Case::Cut(Cut::Isolate);
    let is_restart = case == Case::Fault(Fault::CaddyRestarted);
    if is_dark {
        find(Rule::NothingTakenOut, figures.out == Some(0), format!("{:?} out of rotation", figures.out));
        let names_cause = figures.faults.iter().any(|fault| fault.contains("network"));
        find(Rule::CauseNamed, names_cause, figures.faults.first().cloned().unwrap_or_else(|| "no fault".into()));
    } else if !is_restart {
        // A Caddy that is being restarted answers nobody; that is shown and not judged.
        let seen =
            format!("{} begun before, {} in the first second, {} later", get.in_flight, get.first_second, get.later);
        find(Rule::NoFailedGet, get.all() == 0, seen);
        let seen =
            format!("{} begun before, {} in the first second, {} later", post.in_flight, post.first_second, post.later);
        find(Rule::NoFailedPost, late_posts(case, figures) == 0, seen);
        let seen = format!("{} of {}", figures.lost_elsewhere, figures.streams_elsewhere);
        find(Rule::StreamsElsewhere, figures.lost_elsewhere == 0, seen);
    }
    find(Rule::NothingTwice, figures.twice == 0, figures.twice.to_string());
    if matches!(case, Case::Cut(Cut::Wan | Cut::Vpn | Cut::Off)) {
        let names_cause = figures.faults.iter().any(|it| it.starts_with("site dijon: ") && it.contains("tunnel down"));
        find(Rule::CauseNamed, names_cause, figures.faults.first().cloned().unwrap_or_else(|| "no fault".into()));
        find(Rule::ShortStall, figures.stall < STALL_MAX, format!("{} ms", figures.stall.0));
        if let Some(best) = best_peer {
            let seen = format!("{} ms, best peer {} ms", figures.stall.0, best.0);
            find(Rule::StallOfTheBestPeer, figures.stall <= best, seen);
        }
    }
    if matches!(case, Case::Fault(Fault::Killed | Fault::Stopped)) {
        let limit = Ms::from(INTERVAL * FALL + TIMEOUT);
        find(Rule::Moved, figures.moved.is_some_and(|moved| moved <= limit), shown(figures.moved));
    }
    if let Case::Fault(_) = case {
        let held = matches!(figures.recovery, Recovery::After(_));
        find(Rule::Recovered, held, format!("{:?}", figures.recovery));
    }
    let limit = Ms::from(INTERVAL * RISE + RETURN_MARGIN);
    find(Rule::Back, figures.back.is_some_and(|back| back <= limit), shown(figures.back));
    findings
}

/// POSTs that failed though the edge could have known better.
const fn late_posts(case: Case, figures: &Figures) -> usize {
    let post = figures.post;
    // A refused connection tells at once.
    if matches!(case.cut(), Cut::Crash | Cut::Partial) { post.first_second + post.later } else { post.later }
}

fn shown(time: Option<Ms>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{} ms", time.0))
}
