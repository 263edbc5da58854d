//! What the prober costs: processor time, memory and punctuality for 100, 1,000 and 10,000 backends, each every 5 s.
//!
//! The backends are in a child process, so that only the prober is measured. It is the whole of this process: its time in
//! the kernel, which on loopback includes the delivery of its packets to the other side, counts too.
//!
//! `BASCULE_BENCH_SECONDS` is the time of measurement for each line (30).

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bascule::core::health::Sample;
use bascule::core::inventory::{Probe, ProbeKind, StatusRange};
use bascule::core::model::{BackendName, RequestPath, Timestamp};
use bascule::probe::{ProbeSet, ProbeTarget, Prober, ProberSettings, SAMPLES_BOUND, raise_open_files};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

type Fault = Box<dyn Error>;

const INTERVAL: Duration = Duration::from_secs(5);
/// Time for the first probe of each backend and one on its turn.
const WARM_UP: Duration = Duration::from_secs(10);
/// Ports that the child listens on, so that an accept queue (4,096 at most on Linux) takes the first round of 10,000.
const LISTENERS: usize = 4;
/// Linux tells process times in this unit on every architecture (proc(5), `/proc/pid/stat`).
const TICKS_A_SECOND: f64 = 100.0;
/// The first argument of the child.
const SERVE: &str = "serve";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";

fn main() -> Result<(), Fault> {
    let limit = raise_open_files()?;
    let runtime = tokio::runtime::Runtime::new()?;
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return runtime.block_on(serve());
    }
    let seconds = std::env::var("BASCULE_BENCH_SECONDS").map_or(Ok(30), |text| text.parse())?;
    let server = Server::start()?;
    println!("backends  kind  probes/s  cpu s/s  rss MB  lag p50   lag p99   skipped  failures");
    let path: RequestPath = "/health".parse()?;
    let http = ProbeKind::Http { path, host: None, tls: None, expect: vec![StatusRange::SUCCESS] };
    for (count, kind) in [(100, &http), (1_000, &http), (10_000, &http), (10_000, &ProbeKind::Tcp)] {
        let set = server.backends(count, kind)?;
        let settings = ProberSettings::new(Arc::new(|| Timestamp::from_system(SystemTime::now())));
        let settings = settings.within_open_files(limit);
        runtime.block_on(measure(Prober::new(settings)?, set, Duration::from_secs(seconds)))?;
    }
    Ok(())
}

async fn measure(prober: Prober, set: ProbeSet, time: Duration) -> Result<(), Fault> {
    let (count, kind) =
        (set.len(), if set.values().any(|it| it.probe.kind == ProbeKind::Tcp) { "tcp" } else { "http" });
    let stats = prober.stats();
    let (targets_tx, targets) = watch::channel(Arc::new(set));
    let (samples_tx, samples) = mpsc::channel(SAMPLES_BOUND);
    let shutdown = CancellationToken::new();
    let probing = tokio::spawn(prober.run(targets, samples_tx, shutdown.clone()));
    let receiving = tokio::spawn(count_failures(samples));
    tokio::time::sleep(WARM_UP).await;
    let (begun, before, cpu) = (Instant::now(), stats.snapshot(), cpu_seconds()?);
    tokio::time::sleep(time).await;
    let (after, cpu, elapsed) = (stats.snapshot(), cpu_seconds()? - cpu, begun.elapsed().as_secs_f64());
    let memory_mb = resident_mb()?;
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

/// User and system time of this process, all threads.
fn cpu_seconds() -> Result<f64, Fault> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in parentheses, and may itself contain blanks.
    let (_, fields) = stat.rsplit_once(')').ok_or("no program name")?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next().ok_or("no utime")??, times.next().ok_or("no stime")??);
    Ok((user + system) / TICKS_A_SECOND)
}

fn resident_mb() -> Result<f64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kb / 1024.0)
}

/// The child process. It ends when its standard input does, so also when this process dies.
struct Server {
    child: Child,
    _stdin: Option<ChildStdin>,
    ports: Vec<u16>,
}

impl Server {
    fn start() -> Result<Self, Fault> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let mut server = Self { child, _stdin: stdin, ports: Vec::new() };
        let lines = BufReader::new(stdout.ok_or("no stdout")?).lines().take(LISTENERS);
        for line in lines {
            server.ports.push(line?.parse()?);
        }
        Ok(server)
    }

    /// Backends that differ in address: 127.1.0.1, 127.1.0.2, …
    fn backends(&self, count: usize, kind: &ProbeKind) -> Result<ProbeSet, Fault> {
        let probe = Probe { kind: kind.clone(), interval: INTERVAL, timeout: Duration::from_secs(1), rise: 2, fall: 3 };
        let mut set = BTreeMap::new();
        for number in 0..count {
            let [third, fourth] = [number / 250, number % 250 + 1].map(u8::try_from);
            let ip = Ipv4Addr::new(127, 1, third?, fourth?);
            let name: BackendName = format!("backend-{number}").parse()?;
            let upstream = SocketAddr::new(ip.into(), self.ports[number % self.ports.len()]);
            set.insert(name, ProbeTarget { upstream, probe: probe.clone() });
        }
        Ok(set)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The child: answers keep-alive requests on all of 127.0.0.0/8 until its standard input ends.
async fn serve() -> Result<(), Fault> {
    for _ in 0..LISTENERS {
        // Every loopback address at once can only be had with the wildcard; whoever is not on loopback is turned away.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                if peer.ip().is_loopback() {
                    tokio::spawn(answer(stream));
                }
            }
        });
    }
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(ANSWER).await?;
        }
    }
}
