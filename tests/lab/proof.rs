//! The measuring itself, held to a made-up experiment whose figures are known, and the judgement to planted faults.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bascule::core::status::StatusDto;

use super::cuts::Cut;
use super::experiment::Case;
use super::judge::{Rule, judge};
use super::load::{Failure, Kind, Lost, Request, Seen, StreamKind};
use super::measure::{Failed, Figures, Marks, Ms, Observed, Recovery};

/// The cut of the made-up experiment, and its healing, in ms after its begin.
const CUT: u64 = 10_000;
const HEAL: u64 = 20_000;

/// Figures of what was made up, one after the other; panics where one is not as it must be.
pub(crate) fn figures_are_right() {
    let mut made = Made::calm();
    made.request(Kind::Get, 9_990, 1_000, None);
    made.request(Kind::Post, 9_995, 1_000, Some(Failure::Status(504)));
    made.request(Kind::Get, 10_500, 700, None);
    made.request(Kind::Post, 10_900, 5, Some(Failure::Closed));
    made.request(Kind::Get, 12_345, 5, Some(Failure::Late));
    made.answer("dijon-1", 21_500);
    made.answer("dijon-2", 21_700);
    made.observed.posts = ["a", "b", "a"].map(str::to_owned).to_vec();
    for (backend, at) in [("dijon-1", 11_000), ("thory-1", 11_000), ("thory-1", 9_000)] {
        let lost = Lost { kind: StreamKind::WebSocket, backend: backend.to_owned(), at: made.at(at) };
        made.observed.seen.lost.push(lost);
    }
    let figures = Figures::of(&made.observed);
    assert_eq!(figures.get, Failed { in_flight: 0, first_second: 0, later: 1 });
    assert_eq!(figures.post, Failed { in_flight: 1, first_second: 1, later: 0 });
    assert_eq!((figures.stall, figures.stall_in_flight), (Ms(700), Ms(1_000)));
    assert_eq!(figures.moved, Some(Ms(2_345)), "the last one that failed");
    assert_eq!(
        (figures.path, figures.back),
        (Some(Ms(1_000)), Some(Ms(750))),
        "from the way back to the last first answer"
    );
    assert_eq!((figures.twice, figures.lost_elsewhere), (1, 1));
    assert_eq!(figures.p99, Ms(50));

    let mut made = Made::calm();
    made.observed.marks.again = vec![made.at(13_000)];
    for (begun, time) in [(10_500, 5), (12_500, 5), (12_900, 200), (13_900, 5), (14_100, 5)] {
        made.request(Kind::Post, begun, time, Some(Failure::Late));
    }
    let post = Figures::of(&made.observed).post;
    assert_eq!(post, Failed { in_flight: 1, first_second: 2, later: 2 }, "each cut counts");

    let mut made = Made::calm();
    made.request(Kind::Get, 19_500, 400, None);
    let figures = Figures::of(&made.observed);
    assert_eq!(figures.moved, None, "what is delayed up to the healing has not moved");
    assert_eq!(figures.back, None, "nobody that was cut has answered");
}

/// Plants one fault after the other; panics where the judgement does not find it, or finds another.
pub(crate) fn faults_are_found() {
    check(Cut::Wan, |_| {}, &[]);
    check(Cut::Wan, |made| made.request(Kind::Get, 12_000, 5, Some(Failure::Status(502))), &[Rule::NoFailedGet]);
    check(Cut::Wan, |made| made.request(Kind::Post, 10_900, 5, Some(Failure::Status(502))), &[]);
    check(Cut::Crash, |made| made.request(Kind::Post, 10_900, 5, Some(Failure::Status(502))), &[Rule::NoFailedPost]);
    check(Cut::Wan, |made| made.request(Kind::Get, 12_000, 1_600, None), &[Rule::ShortStall]);
    check(Cut::Wan, |made| made.request(Kind::Get, 12_000, 1_201, None), &[Rule::StallOfTheBestPeer]);
    check(Cut::Hang, |made| made.request(Kind::Get, 12_000, 1_600, None), &[]);
    check(Cut::Wan, |made| made.observed.posts.push("1".to_owned()), &[Rule::NothingTwice]);
    let download = |made: &mut Made| {
        let end = made.at(12_000);
        made.observed.seen.requests.push(Request {
            kind: Kind::Download,
            begun: made.at(11_000),
            ended: end,
            failure: Some(Failure::Truncated),
            backend: Some("thory-2".to_owned()),
            resent: false,
        });
    };
    check(Cut::Wan, download, &[Rule::StreamsElsewhere]);
    check(
        Cut::Wan,
        |made| made.observed.seen.requests.retain(|it| it.backend.as_deref() != Some("dijon-2")),
        &[Rule::Back],
    );
    check(Cut::Isolate, |made| made.observed.status = None, &[Rule::NothingTakenOut, Rule::CauseNamed]);
    check(Cut::Vpn, |made| made.observed.status = None, &[Rule::CauseNamed]);
    check(Cut::Wan, |made| made.observed.status = Some(status("site's machines down")), &[Rule::CauseNamed]);
}

#[track_caller]
fn check(cut: Cut, plant: impl FnOnce(&mut Made), expected: &[Rule]) {
    let mut made = Made::healed();
    plant(&mut made);
    let findings = judge(Case::Cut(cut), &Figures::of(&made.observed), Some(Ms(1_200)));
    let mut broken: Vec<_> = findings.iter().filter(|it| !it.held).map(|it| it.rule).collect();
    // A stall beyond the limit is beyond the best peer, too.
    broken.retain(|rule| expected.contains(rule) || *rule != Rule::StallOfTheBestPeer);
    assert_eq!(broken, expected, "{findings:?}");
}

/// A status in which dijon is down for a reason.
fn status(cause: &str) -> StatusDto {
    let at = "2024-01-01T00:00:00Z";
    let message = format!("down with 3 backends: {cause}");
    let fault = serde_json::json!({ "scope": "site dijon", "message": message, "since": at, "age_seconds": 1 });
    let status = serde_json::json!({
        "version": "1.0.0", "at": at, "ready": true, "revision": null, "generation": 1, "fetched_at": null,
        "faults": [fault], "sites": [], "services": [], "edges": [],
    });
    serde_json::from_value(status).expect("a status")
}

/// An experiment that never was.
struct Made {
    begin: Instant,
    observed: Observed,
}

impl Made {
    /// Nothing happens in it but good answers of thory before the cut.
    fn calm() -> Self {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let path = BTreeMap::from([("dijon-1".to_owned(), at(20_500)), ("dijon-2".to_owned(), at(21_000))]);
        let marks = Marks {
            calm: begin,
            begin: at(CUT),
            cut: at(CUT),
            again: Vec::new(),
            heal: at(HEAL),
            path,
            end: at(HEAL + 10_000),
        };
        let observed = Observed {
            seen: Seen::default(),
            marks,
            victims: ["dijon-1", "dijon-2"].map(str::to_owned).to_vec(),
            posts: vec!["1".to_owned()],
            reloads: Some(0),
            status: Some(status("tunnel down (gateway 10.200.1.1 does not answer: timed out)")),
            recovery: Recovery::NotAsked,
        };
        let mut made = Self { begin, observed };
        for number in 0..100 {
            made.request(Kind::Get, number * 10, 50, None);
        }
        made
    }

    /// The cut backends come back in it at once.
    fn healed() -> Self {
        let mut made = Self::calm();
        for backend in ["dijon-1", "dijon-2"] {
            made.answer(backend, 21_100);
        }
        made
    }

    fn at(&self, ms: u64) -> Instant {
        self.begin + Duration::from_millis(ms)
    }

    /// A request that begins at a moment and takes a time.
    fn request(&mut self, kind: Kind, begun: u64, time: u64, failure: Option<Failure>) {
        let (begun, ended) = (self.at(begun), self.at(begun + time));
        let backend = failure.is_none().then(|| "thory-1".to_owned());
        self.observed.seen.requests.push(Request { kind, begun, ended, failure, backend, resent: false });
    }

    /// A good answer of a backend.
    fn answer(&mut self, backend: &str, begun: u64) {
        self.request(Kind::Get, begun, 50, None);
        self.observed.seen.requests.last_mut().expect("just pushed").backend = Some(backend.to_owned());
    }
}
