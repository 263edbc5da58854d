//! What the prober costs: processor time, memory and punctuality for 100, 1,000 and 10,000 backends, each every 5 s.
//!
//! The backends are in a child process, so that only the prober is measured. It is the whole of this process: its time in
//! the kernel, which on loopback includes the delivery of its packets to the other side, counts too.
//!
//! `BASCULE_BENCH_SECONDS` is the time of measurement for each line (30).

#[path = "support/backends.rs"]
mod backends;
#[path = "support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bascule::core::health::Sample;
use bascule::core::inventory::{HttpProbe, Probe, ProbeKind};
use bascule::core::model::{BackendName, RequestPath, Timestamp};
use bascule::probe::{ProbeSet, ProbeTarget, Prober, ProberSettings, SAMPLES_BOUND, raise_open_files};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::backends::{Backends, HEALTH_PATH, INTERVAL, SERVE, address, serve};
use self::process::{Fault, cpu_seconds, resident_mb};

/// Time for the first probe of each backend and one on its turn.
const WARM_UP: Duration = Duration::from_secs(10);

fn main() -> Result<(), Fault> {
    let limit = raise_open_files()?;
    let runtime = tokio::runtime::Runtime::new()?;
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return runtime.block_on(serve());
    }
    let seconds = std::env::var("BASCULE_BENCH_SECONDS").map_or(Ok(30), |text| text.parse())?;
    let mut backends = Backends::start()?;
    println!("backends  kind  probes/s  cpu s/s  rss MB  lag p50   lag p99   skipped  failures");
    let path: RequestPath = HEALTH_PATH.parse()?;
    let http = ProbeKind::Http(HttpProbe::new(path));
    for (count, kind) in [(100, &http), (1_000, &http), (10_000, &http), (10_000, &ProbeKind::Tcp)] {
        let set = probe_set(count, &backends.ports, kind)?;
        let settings = ProberSettings::new(Arc::new(|| Timestamp::from_system(SystemTime::now())));
        let settings = settings.within_open_files(limit);
        runtime.block_on(measure(Prober::new(settings)?, set, Duration::from_secs(seconds)))?;
    }
    let (answers, cpu) = (backends.part.done()?, cpu_seconds(backends.part.pid())?);
    println!("the backends gave {answers} answers, and took {cpu:.2} s of processor time for all of this");
    Ok(())
}

async fn measure(prober: Prober, set: ProbeSet, time: Duration) -> Result<(), Fault> {
    let (count, kind) =
        (set.len(), if set.values().any(|it| it.probe.tries == ProbeKind::Tcp.into()) { "tcp" } else { "http" });
    let stats = prober.stats();
    let (targets_tx, targets) = watch::channel(Arc::new(set));
    let (samples_tx, samples) = mpsc::channel(SAMPLES_BOUND);
    let shutdown = CancellationToken::new();
    let probing = tokio::spawn(prober.run(targets, samples_tx, shutdown.clone()));
    let receiving = tokio::spawn(count_failures(samples));
    tokio::time::sleep(WARM_UP).await;
    let own = std::process::id();
    let (begun, before, cpu) = (Instant::now(), stats.snapshot(), cpu_seconds(own)?);
    tokio::time::sleep(time).await;
    let (after, cpu, elapsed) = (stats.snapshot(), cpu_seconds(own)? - cpu, begun.elapsed().as_secs_f64());
    let memory_mb = resident_mb(own)?;
    shutdown.cancel();
    drop(targets_tx);
    probing.await?;
    let failures = receiving.await?;
    let lags = after.lags.since(&before.lags);
    let lag = |share| lags.quantile(share).map_or_else(|| "-".to_owned(), |bound| format!("<={bound:?}"));
    let rate = u32::try_from(after.made - before.made).map(f64::from)? / elapsed;
    println!(
        "{count:>8}  {kind:<4}  {rate:>8.1}  {:>7.4}  {memory_mb:>6.1}  {:<8}  {:<8}  {:>7}  {failures:>8}",
        cpu / elapsed,
        lag(0.5),
        lag(0.99),
        after.skipped,
    );
    if failures > 0 {
        return Err(format!("{failures} probes of healthy backends failed").into());
    }
    Ok(())
}

/// Takes every sample; says what the first failure was.
async fn count_failures(mut samples: mpsc::Receiver<Sample>) -> u64 {
    let mut failures = 0;
    while let Some(sample) = samples.recv().await {
        if !sample.outcome.is_pass() {
            if failures == 0 {
                eprintln!("{}: {:?}", sample.backend, sample.outcome);
            }
            failures += 1;
        }
    }
    failures
}

/// Every backend, each asked in its turn.
fn probe_set(count: usize, ports: &[u16], kind: &ProbeKind) -> Result<ProbeSet, Fault> {
    let probe = Probe { interval: INTERVAL, timeout: Duration::from_secs(1), ..Probe::new(kind.clone()) };
    let mut set = BTreeMap::new();
    for number in 0..count {
        let name: BackendName = format!("backend-{number}").parse()?;
        set.insert(name, ProbeTarget { upstream: address(number, ports)?, probe: probe.clone() });
    }
    Ok(set)
}
