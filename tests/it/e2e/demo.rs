//! The demonstration as a process: how it is talked to, and that it ends with everything that it started.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::program::{bascule, program};
use super::world::PATIENCE;
use crate::support::caddy::caddy_program;
use crate::support::wait::wait_for;

/// A demonstration in a scratch folder of its own, its input open. Ended by SIGKILL when dropped.
struct Demo {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    folder: TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut child = program(folder.path())
            .env("TMPDIR", folder.path())
            .args(["--log", "error", "demo", "--caddy"])
            .arg(caddy_program())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bascule starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tx, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| tx.send(line).is_ok()));
        Self { child, stdin, lines, folder }
    }

    /// Reads lines up to the one that holds `part`.
    #[track_caller]
    fn read_to(&self, part: &str) -> Vec<String> {
        let (end, mut seen) = (Instant::now() + PATIENCE, Vec::new());
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let is_it = line.contains(part);
            seen.push(line);
            if is_it {
                return seen;
            }
        }
        panic!("no `{part}` in {seen:#?}");
    }

    #[track_caller]
    fn type_and_read(&mut self, line: &str, part: &str) -> String {
        writeln!(self.stdin, "{line}").expect("the demonstration reads");
        self.read_to(part).pop().expect("a line")
    }

    async fn end(&mut self, within: Duration) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the demonstration to end", within, || std::future::ready(child.try_wait().expect("a child"))).await
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let children = children(self.child.id());
        let is_running = self.child.try_wait().is_ok_and(|status| status.is_none());
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Only after SIGKILL is anybody left.
        for id in children.iter().filter(|_| is_running) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
    }
}

/// A process that is killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name before it may hold anything, brackets too.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        if fields.split(' ').nth(1) == Some(parent.to_string().as_str()) {
            children.push(id);
        }
    }
    children
}

#[track_caller]
fn interrupt(id: u32) {
    assert!(Command::new("kill").args(["-INT", &id.to_string()]).status().expect("kill runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demonstration_ends_though_its_input_is_open() {
    let mut demo = Demo::start(&[]);
    demo.read_to("cut a site");
    let started = children(demo.child.id());
    assert_eq!(started.len(), 3, "a Caddy and two backends");
    interrupt(demo.child.id());
    assert!(demo.end(Duration::from_secs(5)).await.success());
    for id in started {
        assert!(!Path::new(&format!("/proc/{id}")).exists(), "process {id} is left");
    }
    let left: Vec<_> = std::fs::read_dir(demo.folder.path()).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_answered() {
    let mut demo = Demo::start(&[]);
    let help = demo.read_to("also").join("\n");
    let advice = help.lines().find_map(|line| line.trim().strip_prefix("see what bascule sees")).expect("advice");
    let shown = Command::new("sh").args(["-c", advice]).env_clear().output().expect("sh runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("site dijon "), "`{advice}` shows: {shown}");

    assert_eq!(
        demo.type_and_read("bogus", "bogus"),
        "`bogus` is no command; there are: ask, status, cut SITE, heal SITE, quit"
    );
    assert_eq!(demo.type_and_read("cut paris", "name"), "name a site: dijon or thory");
    assert!(demo.type_and_read("cut dijon", "dijon").starts_with("site dijon is cut: "));
    assert!(demo.type_and_read("heal dijon", "dijon").starts_with("site dijon is back: "));
    demo.type_and_read("quit", "ending");
    assert!(demo.end(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_taken_are_left_alone() {
    // The usual ones, the backends' on the second site's address alone; taken by another test is as good.
    let taken =
        ["127.0.0.1:8080", "127.0.0.1:7500", "127.0.0.1:2019", "127.0.2.11:18080"].map(std::net::TcpListener::bind);
    let mut demo = Demo::start(&[]);
    demo.read_to("cut a site");
    demo.type_and_read("ask", "api-");
    demo.type_and_read("quit", "ending");
    assert!(demo.end(PATIENCE).await.success());
    drop(taken);
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ran = bascule(folder.path(), &["demo", "--port", &port]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr.contains(&format!("port {port} of 127.0.0.1")) && ran.stderr.contains("--port"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_is_no_caddy_is_said_at_once_in_its_own_words() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let began = Instant::now();
    let output = program(folder.path())
        .env("TMPDIR", folder.path())
        .args(["demo", "--caddy", "/bin/ls"])
        .output()
        .expect("bascule runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10), "it waited {:?}", began.elapsed());
    assert!(stderr.contains("`/bin/ls run` ended at once (exit status: 2)"), "{stderr}");
    assert!(stderr.contains("No such file or directory") && stderr.contains("--caddy"), "{stderr}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "the folder is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_waits_for_no_work() {
    // An edge that takes the connection and never answers: a pass over it is under way for seconds.
    let edge = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(bascule(folder.path(), &["init"]).code, Some(0));
    let document = format!(
        "name: local\nadmin: http://{}\nlisten: [\":8080\"]\ntls: {{ mode: \"off\" }}\n",
        edge.local_addr().expect("an address")
    );
    std::fs::write(folder.path().join("inventory/edges/local.yaml"), document).expect("a file is written");
    let log = folder.path().join("bascule.log");
    let child = program(folder.path())
        .args(["run", "--listen", "127.0.0.1:0"])
        .stderr(std::fs::File::create(&log).expect("a log file"))
        .spawn()
        .expect("bascule starts");
    let mut running = Running(child);
    let accepted = tokio::task::spawn_blocking(move || edge.accept().map(|(stream, _)| (stream, edge)));
    let accepted = tokio::time::timeout(PATIENCE, accepted).await;
    interrupt(running.0.id());
    let is_said = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("shutting down")).then_some(());
    wait_for("the first signal to be taken", PATIENCE, || std::future::ready(is_said())).await;
    let is_running = running.0.try_wait().expect("a child").is_none();
    interrupt(running.0.id());
    let ended = || std::future::ready(running.0.try_wait().expect("a child"));
    let status = wait_for("bascule to end", Duration::from_secs(3), ended).await;
    assert!(accepted.is_ok(), "the edge was asked");
    assert!(is_running, "it did not wait for the work under way");
    assert_eq!(status.code(), Some(1));
}
