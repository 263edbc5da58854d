//! From what was seen to figures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bascule::core::status::StatusDto;
use serde::Serialize;

use super::load::{Failure, Kind, Request, Seen, StreamKind};

/// A POST in flight at a cut may be lost, and so may what follows until the edge has noticed: nobody can know whether a
/// request that was sent and not answered was carried out.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// What counts as delayed by a cut: more than any answer took before it, and more than a busy machine adds.
const DELAYED_MIN: Duration = Duration::from_millis(250);

/// The moments of an experiment.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    /// From here on the contender served well.
    pub(crate) calm: Instant,
    /// The first thing was done to the world.
    pub(crate) begin: Instant,
    pub(crate) cut: Instant,
    /// The same cut again, after the site was back for a while.
    pub(crate) again: Vec<Instant>,
    pub(crate) heal: Instant,
    /// When each cut backend answered the hub again.
    pub(crate) path: BTreeMap<String, Instant>,
    pub(crate) end: Instant,
}

/// Everything known of an experiment.
pub(crate) struct Observed {
    pub(crate) seen: Seen,
    pub(crate) marks: Marks,
    /// Backends that were cut.
    pub(crate) victims: Vec<String>,
    /// Ids of the POST requests that were carried out.
    pub(crate) posts: Vec<String>,
    pub(crate) reloads: Option<usize>,
    /// Bascule's view at the end of the cut.
    pub(crate) status: Option<StatusDto>,
    pub(crate) recovery: Recovery,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Ms(pub(crate) u64);

impl From<Duration> for Ms {
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Whether all was well again after a fault of the control plane had ended, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recovery {
    /// There was no such fault.
    NotAsked,
    After(Ms),
    Never,
}

/// Failed requests of one method, by when they began. Of a site that is cut again and again, each time counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Failed {
    /// In flight when the site was cut.
    pub(crate) in_flight: usize,
    /// Begun in the first second after.
    pub(crate) first_second: usize,
    /// Begun later, to the end of the experiment.
    pub(crate) later: usize,
}

impl Failed {
    pub(crate) const fn all(self) -> usize {
        self.in_flight + self.first_second + self.later
    }
}

/// What an experiment came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// Short requests that were in flight at the first event or begun after it.
    pub(crate) requests: usize,
    pub(crate) get: Failed,
    pub(crate) post: Failed,
    /// Failures with how often each was seen.
    pub(crate) failures: BTreeMap<String, usize>,
    /// GETs that clients sent again, because a kept connection had been closed.
    pub(crate) resent: usize,
    /// POSTs that were carried out more than once.
    pub(crate) twice: usize,
    /// Before the cut.
    pub(crate) p50: Ms,
    pub(crate) p99: Ms,
    /// How late the clients were at most: they share the machine with what they measure.
    pub(crate) late: Ms,
    /// Longest wait of a request begun after the cut, and of one that was in flight at it.
    pub(crate) stall: Ms,
    pub(crate) stall_in_flight: Ms,
    /// When the last request began that the cut site answered, delayed or failed; none where it went on until the healing.
    pub(crate) moved: Option<Ms>,
    /// From the healing until the hub reached every cut backend.
    pub(crate) path: Option<Ms>,
    /// From then until every cut backend had answered a client.
    pub(crate) back: Option<Ms>,
    /// Of what was not cut: WebSockets, event streams and downloads that were lost.
    pub(crate) lost_elsewhere: usize,
    /// Streams that were open at what was not cut.
    pub(crate) streams_elsewhere: usize,
    pub(crate) reloads: Option<usize>,
    /// Of Bascule, at the end of the cut: backends out of rotation, and faults of its status.
    pub(crate) out: Option<usize>,
    pub(crate) faults: Vec<String>,
    pub(crate) recovery: Recovery,
}

impl Figures {
    pub(crate) fn of(observed: &Observed) -> Self {
        let Observed { seen, marks, victims, posts, reloads, status, recovery } = observed;
        let carried_out =
            of_kind(seen, Kind::Post).filter(|it| it.begun >= marks.begin && it.failure.is_none()).count();
        assert!(
            posts.len() >= carried_out,
            "{} POSTs are known to backends, and {carried_out} were answered",
            posts.len()
        );
        let is_victim = |name: &str| victims.iter().any(|victim| victim == name);
        let short: Vec<_> = seen.requests.iter().filter(|it| it.kind != Kind::Download).collect();
        let touched: Vec<_> = short.iter().copied().filter(|it| it.ended >= marks.begin).collect();
        let mut calm: Vec<_> =
            short.iter().filter(|it| it.begun >= marks.calm && it.ended < marks.begin).map(|it| latency(it)).collect();
        calm.sort_unstable();
        let quantile = |percent: usize| calm.get(calm.len() * percent / 100).copied().unwrap_or_default();
        let longest = |requests: &[&Request]| Ms::from(requests.iter().map(|it| latency(it)).max().unwrap_or_default());
        let (in_flight, begun): (Vec<&Request>, Vec<&Request>) = touched.iter().partition(|it| it.begun < marks.cut);
        let in_flight: Vec<_> = in_flight.into_iter().filter(|it| it.ended >= marks.cut).collect();
        let lost = lost(seen, marks, is_victim);
        let failures = touched.iter().filter_map(|it| Some(format!("{} {}", method(it.kind), it.failure?)));
        let failures = failures.chain(lost.iter().cloned());
        let backends = status.iter().flat_map(|status| &status.services).flat_map(|service| &service.backends);
        Self {
            requests: touched.len(),
            get: failed(&touched, Kind::Get, marks),
            post: failed(&touched, Kind::Post, marks),
            failures: count(failures),
            resent: touched.iter().filter(|it| it.resent).count(),
            twice: count(posts.iter().cloned()).values().filter(|times| **times > 1).count(),
            p50: quantile(50).into(),
            p99: quantile(99).into(),
            late: seen.late.into(),
            stall: longest(&begun),
            stall_in_flight: longest(&in_flight),
            moved: moved(&begun, marks, quantile(99).max(DELAYED_MIN), is_victim),
            path: path_back(marks, victims).map(|at| Ms::from(at - marks.heal)),
            back: back(seen, marks, victims),
            lost_elsewhere: lost.len(),
            streams_elsewhere: seen.streams.iter().filter(|(_, name)| !is_victim(name)).count(),
            reloads: *reloads,
            out: status.as_ref().map(|_| backends.filter(|backend| !backend.in_rotation).count()),
            faults: status.iter().flat_map(|it| &it.faults).map(|it| format!("{}: {}", it.scope, it.message)).collect(),
            recovery: *recovery,
        }
    }
}

fn of_kind(seen: &Seen, kind: Kind) -> impl Iterator<Item = &Request> {
    seen.requests.iter().filter(move |it| it.kind == kind)
}

fn latency(request: &Request) -> Duration {
    request.ended - request.begun
}

const fn method(kind: Kind) -> &'static str {
    match kind {
        Kind::Get => "GET",
        Kind::Post => "POST",
        Kind::Download => "download",
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => f.write_str("not connected"),
            Self::Closed => f.write_str("closed without an answer"),
            Self::Truncated => f.write_str("cut short"),
            Self::Late => f.write_str("no answer in time"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Wrong => f.write_str("wrong answer"),
        }
    }
}

fn count(things: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    things.fold(BTreeMap::new(), |mut counts, thing| {
        *counts.entry(thing).or_default() += 1;
        counts
    })
}

fn failed(requests: &[&Request], kind: Kind, marks: &Marks) -> Failed {
    let cuts = || std::iter::once(&marks.cut).chain(&marks.again);
    let of_kind = requests.iter().filter(|it| it.kind == kind && it.failure.is_some());
    of_kind.fold(Failed::default(), |mut failed, request| {
        let is_in_flight = |cut: &Instant| request.begun < *cut && *cut <= request.ended;
        let since = cuts().filter_map(|cut| request.begun.checked_duration_since(*cut)).min();
        *(if since.is_none() || cuts().any(is_in_flight) {
            &mut failed.in_flight
        } else if since.is_some_and(|since| since < GRACE) {
            &mut failed.first_second
        } else {
            &mut failed.later
        }) += 1;
        failed
    })
}

/// See [`Figures::moved`]. What goes on to within a second of the healing goes on.
fn moved(begun: &[&Request], marks: &Marks, delayed: Duration, is_victim: impl Fn(&str) -> bool) -> Option<Ms> {
    let is_touched = |request: &&&Request| {
        request.failure.is_some() || latency(request) > delayed || request.backend.as_deref().is_some_and(&is_victim)
    };
    let last = begun.iter().filter(|it| it.begun < marks.heal).filter(is_touched).map(|it| it.begun).max();
    match last {
        None => Some(Ms(0)),
        Some(at) if at + Duration::from_secs(1) >= marks.heal => None,
        Some(at) => Some((at - marks.cut).into()),
    }
}

fn path_back(marks: &Marks, victims: &[String]) -> Option<Instant> {
    (marks.path.len() == victims.len()).then(|| marks.path.values().max().copied()).flatten()
}

fn back(seen: &Seen, marks: &Marks, victims: &[String]) -> Option<Ms> {
    let path = path_back(marks, victims)?;
    let first = |name: &String| {
        let answers = seen.requests.iter().filter(|it| it.begun > marks.heal && it.failure.is_none());
        answers.filter(|it| it.backend.as_ref() == Some(name)).map(|it| it.ended).min()
    };
    let last = victims.iter().map(first).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    Some(last.saturating_duration_since(path).into())
}

/// What was lost of the streams and downloads that were not cut, one entry each.
fn lost(seen: &Seen, marks: &Marks, is_victim: impl Fn(&str) -> bool) -> Vec<String> {
    let streams = seen.lost.iter().filter(|it| it.at >= marks.begin && it.at < marks.end && !is_victim(&it.backend));
    let streams = streams.map(|it| match it.kind {
        StreamKind::WebSocket => "WebSocket lost elsewhere".to_owned(),
        StreamKind::Events => "event stream lost elsewhere".to_owned(),
    });
    let downloads = seen.requests.iter().filter(|it| it.kind == Kind::Download && it.ended >= marks.begin);
    let elsewhere = downloads.filter(|it| it.backend.as_deref().is_some_and(|name| !is_victim(name)));
    let lost = elsewhere.filter(|it| it.failure.is_some()).map(|_| "download lost elsewhere".to_owned());
    streams.chain(lost).collect()
}
