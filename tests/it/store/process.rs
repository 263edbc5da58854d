//! A second process on the same file: this test binary again, told by an environment variable what to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bascule::store::{Store, StoreError};

use super::sample::Scratch;

const STATE: &str = "BASCULE_TEST_STATE";

/// The state file that this process was started for; none where it is an ordinary run of the tests.
pub(super) fn state_of_child() -> Option<std::path::PathBuf> {
    std::env::var_os(STATE).map(Into::into)
}

/// Says something to the parent. The test harness writes without line ends, so a line begins with one.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n> {line}\n").and_then(|()| out.flush()).expect("the parent listens");
}

/// A process that runs one test. It is killed when this is dropped.
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(super) fn start(test: &str, state: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", test, "--nocapture"])
            .env(STATE, state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (tx, lines) = channel();
        std::thread::spawn(move || {
            // A line that the kill cut in two is not a line.
            for line in out.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("> ")
                    && tx.send(said.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line, or none when none comes in time.
    pub(super) fn hear(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }

    /// `kill -9`, and then what it had still said.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
        std::iter::from_fn(|| self.lines.recv().ok()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; there is nothing more to do about it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other process of the test below; by itself, what that other process relies on.
#[tokio::test]
async fn the_lock_file_names_its_holder() {
    let scratch = Scratch::new();
    let state = state_of_child();
    let _store = Store::open(state.as_ref().unwrap_or(&scratch.path())).expect("opens");
    if state.is_some() {
        say("open");
        // Until it is killed, or the parent is gone.
        std::io::stdin().read_line(&mut String::new()).expect("reads");
    } else {
        let holder = std::fs::read_to_string(scratch.folder().join("bascule.db.lock")).expect("a lock file");
        assert_eq!(holder.trim(), std::process::id().to_string());
    }
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_is_gone() {
    let scratch = Scratch::new();
    let process = Process::start("store::process::the_lock_file_names_its_holder", &scratch.path());
    assert_eq!(process.hear(Duration::from_secs(30)).as_deref(), Some("open"));

    let link = scratch.folder().join("link.db");
    std::os::unix::fs::symlink(scratch.path(), &link).expect("links");
    for path in [scratch.path(), link] {
        let error = Store::open(&path).expect_err("it is in use");
        assert!(matches!(error, StoreError::InUse { holder: Some(id), .. } if id == process.id()), "{error:?}");
        assert!(error.to_string().contains("in use by another bascule"), "{error}");
    }
    process.kill();
    // The kernel has taken the lock back.
    let store = scratch.open();
    let error = Store::open(&scratch.path()).expect_err("now this process has it");
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    store.close().await;
    scratch.open().close().await;
}
