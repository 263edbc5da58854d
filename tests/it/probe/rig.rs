//! A prober with its channels.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bascule::core::health::{Outcome, Sample};
use bascule::core::inventory::{HttpProbe, Probe, ProbeKind, StatusRange, UpstreamTls};
use bascule::core::model::{BackendName, Hostname, Timestamp};
use bascule::probe::{ProbeSet, ProbeTarget, Prober, ProberSettings, ProberSnapshot, ProberStats, Suspicions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing that a test waits for takes this long on a machine that is merely busy.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";

pub(super) fn settings() -> ProberSettings {
    ProberSettings::new(Arc::new(|| Timestamp::from_system(SystemTime::now())))
}

pub(super) fn name(text: &str) -> BackendName {
    text.parse().expect("a name")
}

pub(super) fn http() -> ProbeKind {
    http_with(None, None, &["200-299"])
}

pub(super) fn http_with(host: Option<&str>, tls: Option<UpstreamTls>, expect: &[&str]) -> ProbeKind {
    ProbeKind::Http(HttpProbe {
        host: host.map(hostname),
        tls,
        status: expect.iter().map(|range| range.parse::<StatusRange>().expect("a range")).collect(),
        ..question()
    })
}

/// What is asked where a test says nothing else.
pub(super) fn question() -> HttpProbe {
    HttpProbe::new("/health?full=1".parse().expect("a path"))
}

pub(super) fn hostname(text: &str) -> Hostname {
    text.parse().expect("a host name")
}

/// Probes every 50 ms, and gives a probe more time than any test needs.
pub(super) fn target(upstream: SocketAddr, kind: ProbeKind) -> ProbeTarget {
    let interval = Duration::from_millis(50);
    let probe = Probe { interval, fast_interval: interval, timeout: DEADLINE, ..Probe::new(kind) };
    ProbeTarget { upstream, probe }
}

/// The same with another timeout.
pub(super) fn timing_out(upstream: SocketAddr, kind: ProbeKind, timeout: Duration) -> ProbeTarget {
    let target = target(upstream, kind);
    ProbeTarget { probe: Probe { timeout, ..target.probe }, ..target }
}

/// The same with another interval.
pub(super) fn every(interval: Duration, target: ProbeTarget) -> ProbeTarget {
    ProbeTarget { probe: Probe { interval, fast_interval: interval, ..target.probe }, ..target }
}

pub(super) fn set<const N: usize>(backends: [(&str, ProbeTarget); N]) -> ProbeSet {
    backends.into_iter().map(|(text, target)| (name(text), target)).collect()
}

pub(super) struct Rig {
    pub(super) targets: watch::Sender<Arc<ProbeSet>>,
    pub(super) samples: mpsc::Receiver<Sample>,
    pub(super) stats: ProberStats,
    pub(super) suspicions: Suspicions,
    pub(super) shutdown: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Rig {
    pub(super) fn start(set: ProbeSet) -> Self {
        Self::start_with(settings(), 1024, set)
    }

    pub(super) fn bounded(concurrency: usize, room: usize, set: ProbeSet) -> Self {
        let concurrency = NonZeroUsize::new(concurrency).expect("not zero");
        Self::start_with(ProberSettings { concurrency, ..settings() }, room, set)
    }

    pub(super) fn start_with(settings: ProberSettings, room: usize, set: ProbeSet) -> Self {
        let prober = Prober::new(settings).expect("TLS is there");
        let (stats, suspicions) = (prober.stats(), prober.suspicions());
        let (targets, targets_rx) = watch::channel(Arc::new(set));
        let (samples_tx, samples) = mpsc::channel(room);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(prober.run(targets_rx, samples_tx, shutdown.clone()));
        Self { targets, samples, stats, suspicions, shutdown, task }
    }

    pub(super) async fn sample(&mut self) -> Sample {
        let received = tokio::time::timeout(DEADLINE, self.samples.recv()).await;
        received.expect("a sample before the deadline").expect("the prober runs")
    }

    /// The next samples, whatever backend they are of.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(count);
        while samples.len() < count {
            samples.push(self.sample().await);
        }
        samples
    }

    /// Waits until the stats show something, and gives it back.
    pub(super) async fn wait(&self, what: impl Fn(&ProberSnapshot) -> bool) -> ProberSnapshot {
        let look = async {
            loop {
                let snapshot = self.stats.snapshot();
                if what(&snapshot) {
                    return snapshot;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, look).await.expect("seen in the stats before the deadline")
    }

    /// Waits for the end of the prober.
    pub(super) async fn ended(self) -> Vec<Sample> {
        let Self { targets: _targets, mut samples, stats, suspicions: _, shutdown: _, task } = self;
        tokio::time::timeout(DEADLINE, task).await.expect("ends before the deadline").expect("does not panic");
        assert_eq!(stats.snapshot().in_flight, 0);
        let mut left = Vec::new();
        while let Ok(sample) = samples.try_recv() {
            left.push(sample);
        }
        left
    }
}

/// What comes of one probe.
pub(super) async fn outcome_of(target: ProbeTarget) -> Outcome {
    Rig::start(set([("api-1", target)])).sample().await.outcome
}

/// Runs one test of this binary again in a process of its own, with these variables, and fails where it fails.
pub(super) async fn rerun(test: &str, variables: &[(&str, &str)]) {
    let mut command = tokio::process::Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", test, "--nocapture"]).envs(variables.iter().copied()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE * 2, command.output()).await.expect("ends").expect("starts");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
