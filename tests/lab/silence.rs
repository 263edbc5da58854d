//! `bascule run --sever on`: a site vanishes under requests that honestly take their time.
//!
//! The service waits a minute for an answer, as it must. So what was in flight at the site would wait for all of it; with its
//! connections ended at the verdict, a GET is carried out elsewhere, and a POST fails, at once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bascule::core::status::SeverDto;

use super::actors::{Bascule, FALL, INTERVAL, Setup, TIMEOUT};
use super::backends::PATIENT;
use super::cuts::Cut;
use super::load::DOMAIN;
use super::namespace;
use super::waiting::{catch_signals, pass, wait_for};
use super::world::{EDGE, World, obstacle};

const SETUP: Setup = Setup {
    service: "health: { path: /health, interval: 1s, timeout: 500ms, rise: 2, fall: 2 }\n",
    arguments: &["--sever", "on"],
};

/// For everything to start.
const START: Duration = Duration::from_secs(40);
/// Requests of each method: four for each of nine backends.
const REQUESTS: usize = 36;
/// For each of them. Without the ending of connections it would take a minute.
const PATIENCE: Duration = Duration::from_secs(30);
/// What two shared cores may add to what ought to be.
const SLACK: Duration = Duration::from_secs(3);

/// An answer: its status, and when it came. No status: none came in time.
struct Answer {
    method: &'static str,
    status: Option<u16>,
    at: Instant,
}

pub(crate) fn slow_requests_are_free_at_the_verdict() {
    if let Some(reason) = obstacle() {
        panic!("the lab cannot run here: {reason}\n`make test LAB=no` runs everything else");
    }
    catch_signals();
    let mut world = World::build();
    let folder = tempfile::Builder::new().prefix("silence").tempdir_in(world.folder()).expect("a folder");
    let _bascule = Bascule::begin_as(SETUP, &world, folder.path());
    wait_for("the edge to serve", START, || Bascule::is_settled(&world).then_some(()));

    let asked: Vec<JoinHandle<Answer>> = ["GET", "POST"]
        .into_iter()
        .flat_map(|method| std::iter::repeat_n(method, REQUESTS))
        .map(|method| ask(world.client.name().to_owned(), method))
        .collect();
    // All are under way, and none is through.
    pass(Duration::from_secs(2));
    let cut = Instant::now();
    Cut::Wan.begin(&mut world);
    let answers: Vec<Answer> = asked.into_iter().map(|it| it.join().expect("a client does not panic")).collect();

    // Two probes that time out, up to an interval before the first; then the machine has 300 ms to answer a dial.
    let verdict = INTERVAL * FALL + TIMEOUT + Duration::from_millis(300);
    let of = |method: &'static str, status: u16| {
        let fits = move |it: &&Answer| it.method == method && it.status == Some(status);
        let waits: Vec<Duration> = answers.iter().filter(fits).map(|it| it.at.duration_since(cut)).collect();
        (waits.len(), waits.into_iter().max().unwrap_or_default())
    };
    let ((got, got_last), (posted, _), (failed, failed_last)) = (of("GET", 200), of("POST", 200), of("POST", 502));
    println!(
        "after the cut: {got} GETs answered, the last after {got_last:?}; {posted} POSTs answered, {failed} failed, the \
         last after {failed_last:?}"
    );
    assert_eq!(got, REQUESTS, "a GET in flight is carried out elsewhere");
    assert!(got_last < verdict + PATIENT + SLACK, "{got_last:?}");
    assert_eq!(posted + failed, REQUESTS, "a POST in flight is answered or fails, and does not hang");
    assert!(failed > 0, "some were in flight at the site that was cut");
    assert!(failed_last < verdict + SLACK, "{failed_last:?}");
    let sever = Bascule::status(&world).expect("a status").sever;
    assert!(matches!(sever, Some(SeverDto::On { connections: 1.. })), "{sever:?}");
}

/// One slow request from the client's namespace, on a thread of its own.
fn ask(client: String, method: &'static str) -> JoinHandle<Answer> {
    std::thread::spawn(move || {
        namespace::enter(&client);
        let status = status_of(method);
        Answer { method, status, at: Instant::now() }
    })
}

fn status_of(method: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&EDGE, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head =
        format!("{method} /patient/1 HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}
