//! Remotes that do not answer, or not in time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bascule::git::{Location, Source, SourceError, SourceSettings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{SITE, failure, fetch, paths, settings};
use crate::support::git_http::GitHttp;
use crate::support::git_repo::GitRepo;

/// The deadline of the fetches that hang.
const SHORT: Duration = Duration::from_millis(300);
/// More than this after its deadline, a fetch did not end by it.
const SLACK: Duration = Duration::from_secs(2);

/// Accepts and holds connections, or hands them on to `target`.
struct Front {
    port: u16,
    target: watch::Sender<Option<u16>>,
    _tasks: JoinSet<()>,
}

impl Front {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("bound").port();
        let (target, seen) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((mut client, _)) = listener.accept().await else { return };
                let target = *seen.borrow();
                connections.spawn(async move {
                    if let Some(port) = target {
                        let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("the target listens");
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    } else {
                        // Reads what comes and says nothing.
                        while client.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
                    }
                });
            }
        });
        Self { port, target, _tasks: tasks }
    }
}

fn http(port: u16, cache: &Path) -> SourceSettings {
    settings(Location::Remote(format!("http://127.0.0.1:{port}/remote.git")), cache.to_owned())
}

#[tokio::test]
async fn a_hung_remote_ends_by_the_deadline_and_a_later_fetch_works() {
    let repo = GitRepo::with(&[SITE]);
    repo.publish();
    let server = GitHttp::start(repo.beside(""), None).await;
    let front = Front::start().await;
    let mut source =
        Source::open(SourceSettings { timeout: SHORT, ..http(front.port, &repo.beside("cache")) }).expect("it opens");
    for count in 1..=2 {
        let start = Instant::now();
        let (error, _) = failure(source.fetch(None).await);
        assert!(matches!(error, SourceError::Timeout { .. }), "{count}: {error:?}");
        let took = start.elapsed();
        assert!((SHORT..SHORT + SLACK).contains(&took), "{took:?}");
    }
    front.target.send_replace(Some(server.port()));
    // Two threads still hang in the same cache.
    let mut source = Source::open(http(front.port, &repo.beside("cache"))).expect("it opens");
    assert_eq!(paths(&source.fetch(None).await.expect("it answers now")), ["sites/dijon.yaml"]);
}

#[tokio::test]
async fn no_more_than_three_fetches_hang() {
    let front = Front::start().await;
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let settings = SourceSettings { timeout: SHORT, ..http(front.port, &folder.path().join("cache")) };
    let mut source = Source::open(settings).expect("it opens");
    for _ in 0..3 {
        assert!(matches!(failure(source.fetch(None).await).0, SourceError::Timeout { .. }));
    }
    let start = Instant::now();
    let (error, text) = failure(source.fetch(None).await);
    assert!(matches!(error, SourceError::StillHung { count: 3, .. }), "{error:?}");
    assert!(start.elapsed() < SHORT, "{text}");
    // The remote goes away: the connections break, and the threads end.
    drop(front);
    let deadline = Instant::now() + Duration::from_secs(10);
    while matches!(source.fetch(None).await, Err(SourceError::StillHung { .. })) {
        assert!(Instant::now() < deadline, "the threads do not end");
        tokio::task::yield_now().await;
    }
    assert!(matches!(failure(source.fetch(None).await).0, SourceError::Unreachable { .. }));
}

#[tokio::test]
async fn a_dropped_fetch_leaves_the_source_usable() {
    let repo = GitRepo::with(&[SITE]);
    repo.publish();
    let server = GitHttp::start(repo.beside(""), None).await;
    let front = Front::start().await;
    let mut source = Source::open(http(front.port, &repo.beside("cache"))).expect("it opens");
    assert!(tokio::time::timeout(SHORT, source.fetch(None)).await.is_err(), "it hangs");
    front.target.send_replace(Some(server.port()));
    assert_eq!(paths(&source.fetch(None).await.expect("it answers now")), ["sites/dijon.yaml"]);
}

/// The pack comes a few bytes at a time: the connection is never silent, and yet the fetch must end.
#[tokio::test]
async fn a_slow_drip_ends_by_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let Ok((mut client, _)) = listener.accept().await else { return };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\
            Content-Length: 1000000\r\n\r\n001e# service=git-upload-pack\n0000";
        let _ = client.write_all(head.as_bytes()).await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if client.write_all(b"f").await.is_err() {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let start = Instant::now();
    let settings = SourceSettings { timeout: SHORT, ..http(port, folder.path()) };
    let (error, _) = failure(fetch(settings).await);
    // What comes is no protocol of git; which of the two is seen first does not matter.
    assert!(matches!(error, SourceError::Timeout { .. } | SourceError::Unreachable { .. }), "{error:?}");
    assert!(start.elapsed() < SHORT + SLACK);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let folder = Arc::new(tempfile::tempdir().expect("a temp dir can be made"));
    for url in [format!("http://127.0.0.1:{port}/a.git"), format!("ssh://git@127.0.0.1:{port}/a.git")] {
        let (error, text) = failure(fetch(settings(Location::Remote(url), folder.path().join("cache"))).await);
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
        assert!(text.contains(&port.to_string()), "{text}");
    }
}
