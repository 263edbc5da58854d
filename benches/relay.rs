//! What it costs to know which upstreams are alive, for 100, 1,000 and 10,000 of them, each asked every 5 s: through the
//! relay, by Caddy's own checks of the backends, by HAProxy's, and by bascule's prober. And what a push costs an edge that
//! checks through the relay, beside one that does not check.
//!
//! Everybody is real and has a process of its own; the backends are all in one. Costs are shares of a core, and include the
//! delivery of packets to the other side, as loopback does it. Linux counts them in 10 ms, 0.002 of a core in a window of 5 s.
//!
//! `BASCULE_BENCH_SECONDS` is the time of measurement for each line (25); numbers as arguments are other
//! sizes (`cargo bench --bench relay -- 1000`). HAProxy is left out where it is not installed.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bascule::probe::raise_open_files;
use serde_json::Value;

use self::support::backends::{Backends, INTERVAL, SERVE, serve};
use self::support::client::{Client, Seen};
use self::support::fleet::{Asks, Doors, Fleet, interval};
use self::support::meter::{Figures, measure, median};
use self::support::port::ReservedPort;
use self::support::process::{Fault, Part};
use self::support::proxies::{Caddy, Haproxy};
use self::support::roles::{self, ANSWER, PROBE, answer_relay, fleet_of, probe};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Pushes are timed up to here: bascule renders checks for no more than 1,500.
const PUSHED_MAX: usize = 1_000;
/// Pushes that a median is taken of.
const PUSHES: usize = 7;
/// Time after a push in which a stall is still its doing.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Time between the end of one push and the next; beyond the aftermath it shows what the machine does without pushes.
const BETWEEN_PUSHES: Duration = Duration::from_secs(4);
/// Whether Linux moves connections that wait at a listener which a push closes to the new one; with 0 it resets them.
const MIGRATE: &str = "/proc/sys/net/ipv4/tcp_migrate_req";
/// Share of the due checks that must be made for their cost to be one of that many checks.
const RATE_MIN: f64 = 0.95;

fn main() -> Result<(), Fault> {
    let files_max = raise_open_files()?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match args.split_first() {
        Some((role, _)) if role == SERVE => runtime.block_on(serve()),
        Some((role, fleet)) if role == ANSWER => runtime.block_on(answer_relay(&fleet_of(fleet)?)),
        Some((role, fleet)) if role == PROBE => runtime.block_on(probe(&fleet_of(fleet)?)),
        _ => {
            let named: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
            runtime.block_on(bench(files_max, if named.is_empty() { SIZES.to_vec() } else { named }))
        }
    }
}

async fn bench(files_max: u64, sizes: Vec<usize>) -> Result<(), Fault> {
    let seconds = std::env::var("BASCULE_BENCH_SECONDS").map_or(Ok(25), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    let haproxy = Haproxy::version()?;
    let cores = std::thread::available_parallelism()?;
    println!(
        "Caddy {}, HAProxy {}, {cores} cores, {files_max} open files; every upstream each {INTERVAL:?}, medians over {seconds} s\n",
        Caddy::version()?,
        haproxy.as_deref().unwrap_or("missing (Debian: apt-get install haproxy), left out"),
    );
    let ports: Vec<ReservedPort> = (0..4).map(|_| ReservedPort::take()).collect();
    let [public, admin, relay, bascule] = [0, 1, 2, 3].map(|index| ports[index].get());
    let doors = Doors { public, admin, relay, bascule };
    let mut backends = Backends::start()?;
    let fleets: Vec<Fleet> =
        sizes.into_iter().map(|upstreams| Fleet { upstreams, ports: backends.ports.clone(), doors }).collect();
    println!(
        "{:>9}  {:<13} {:>8}  {:>11} {:>6} {:>6}  {:>11} {:>6}  {:>12}  {:>8}",
        "upstreams",
        "who asks",
        "checks/s",
        "asking core",
        "RSS MB",
        "files",
        "answer core",
        "RSS MB",
        "core/1,000/s",
        "x direct"
    );
    for fleet in &fleets {
        checking(fleet, &mut backends, haproxy.is_some(), time).await?;
    }
    println!(
        "\nA push that takes out one upstream, with a client of 200 requests/s, each over a connection of its own; \
         net.ipv4.tcp_migrate_req is {}",
        std::fs::read_to_string(MIGRATE).map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
    );
    println!(
        "{:>9}  {:<10} {:>8}  {:>9}  {:>9} {:>9}  {:>13}  {:>8} {:>7}",
        "upstreams", "checks", "interval", "push ms", "stall ms", "worst ms", "between ms", "requests", "failed"
    );
    for fleet in fleets.iter().filter(|fleet| fleet.upstreams <= PUSHED_MAX) {
        for asks in [Asks::Relay, Asks::Nobody] {
            pushing(fleet, asks).await?;
        }
    }
    Ok(())
}

/// One block of lines: everybody who can ask, one after the other.
async fn checking(fleet: &Fleet, backends: &mut Backends, has_haproxy: bool, time: Duration) -> Result<(), Fault> {
    match interval(&mut fleet.rendered(Asks::Relay)?) {
        Some(own) => println!("{:>9}: bascule would render a check through the relay each {own}", fleet.upstreams),
        None => println!("{:>9}: bascule would render no checks, and push each change of verdict", fleet.upstreams),
    }
    let asked = &mut backends.part;
    let direct = by_caddy(fleet, &fleet.checked(Asks::Backends)?, asked, time).await;
    let base = direct.as_ref().ok().copied();
    let print =
        |who, figures| println!("{:>9}  {who:<13} {}", fleet.upstreams, columns(fleet.upstreams, figures, base));
    print("Caddy, direct", direct);

    let (mut answering, before) = (roles::start(ANSWER, fleet)?, asked.done()?);
    print("Caddy, relay", by_caddy(fleet, &fleet.checked(Asks::Relay)?, &mut answering, time).await);
    drop(answering);
    let strays = asked.done()? - before;
    if strays > 0 {
        println!("{:>9}  bascule did not answer {strays} checks in time; they went to the backends", "");
    }
    if has_haproxy {
        let haproxy = Haproxy::start(fleet).await?;
        print("HAProxy", measure(haproxy.pid(), asked, time).await);
    }
    let prober = roles::start(PROBE, fleet)?;
    print("prober", measure(prober.pid(), asked, time).await);
    drop(prober);
    print("Caddy, nobody", by_caddy(fleet, &fleet.rendered(Asks::Nobody)?, asked, time).await);
    Ok(())
}

async fn by_caddy(fleet: &Fleet, config: &Value, answering: &mut Part, time: Duration) -> Result<Figures, Fault> {
    let caddy = Caddy::start(fleet.doors).await?;
    caddy.push(config).await?;
    measure(caddy.pid(), answering, time).await
}

/// What stands in a line after the name of who asks.
fn columns(upstreams: usize, figures: Result<Figures, Fault>, direct: Option<Figures>) -> String {
    let Figures { rate, asking, answering, files } = match figures {
        Ok(figures) => figures,
        Err(error) => return format!("not measurable here: {error}"),
    };
    let asked = format!("{:>11.4} {:>6.0} {files:>6}", asking.cores, asking.resident_mb);
    if rate == 0.0 {
        return format!("{:>8}  {asked}", "-");
    }
    let of_direct = direct.map(|it| (asking.cores / rate) / (it.asking.cores / it.rate)).filter(|it| it.is_finite());
    let of_direct = of_direct.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
    let per_thousand = (asking.cores + answering.cores) * 1_000.0 / rate;
    let (cores, resident_mb) = (answering.cores, answering.resident_mb);
    let line = format!("{rate:>8.0}  {asked}  {cores:>11.4} {resident_mb:>6.0}  {per_thousand:>12.3}  {of_direct:>8}");
    let due = f64::from(u32::try_from(upstreams).unwrap_or(u32::MAX)) / INTERVAL.as_secs_f64();
    if rate < RATE_MIN * due { format!("{line}  too few: {due:.0} were due") } else { line }
}

/// One line: pushes that take out an upstream and bring it back, as bascule renders them, while a client asks.
async fn pushing(fleet: &Fleet, asks: Asks) -> Result<(), Fault> {
    let mut configs = [fleet.rendered(asks)?, fleet.rendered_without(asks, 1)?];
    let own = interval(&mut configs[0]);
    let _answering = roles::start(ANSWER, fleet)?;
    let caddy = Caddy::start(fleet.doors).await?;
    caddy.push(&configs[0]).await?;
    let client = Client::start(fleet.doors.public, "service-0.example.org");
    tokio::time::sleep(BETWEEN_PUSHES).await;
    let (mut pushes, mut times) = (Vec::new(), Vec::new());
    for number in 1..=PUSHES {
        let begun = Instant::now();
        times.push(ms(caddy.push(&configs[number % 2]).await?));
        pushes.push(begun..Instant::now() + AFTERMATH);
        tokio::time::sleep(BETWEEN_PUSHES).await;
    }
    let seen = client.stop().await?;
    let is_in = |push: &std::ops::Range<Instant>, it: &&Seen| it.due < push.end && it.due + it.took > push.start;
    let mut stalls: Vec<f64> = pushes.iter().map(|push| longest(seen.iter().filter(|it| is_in(push, it)))).collect();
    let between = longest(seen.iter().filter(|it| !pushes.iter().any(|push| is_in(push, it))));
    let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in seen.iter().filter_map(|it| it.fault.as_deref()) {
        *faults.entry(fault).or_default() += 1;
    }
    let why = faults.iter().map(|(fault, count)| format!("  {count}: {fault}")).collect::<Vec<_>>().concat();
    let (push, stall) = (median(&mut times), median(&mut stalls));
    println!(
        "{:>9}  {:<10} {:>8}  {push:>9.0}  {stall:>9.1} {:>9.1}  {between:>13.1}  {:>8} {:>7}{why}",
        fleet.upstreams,
        if asks == Asks::Relay { "relay" } else { "none" },
        own.as_deref().unwrap_or("-"),
        stalls.iter().copied().fold(0.0, f64::max),
        seen.len(),
        faults.values().sum::<usize>(),
    );
    Ok(())
}

fn longest<'s>(seen: impl Iterator<Item = &'s Seen>) -> f64 {
    ms(seen.map(|it| it.took).max().unwrap_or_default())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
