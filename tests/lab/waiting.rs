//! The passing of time: declared durations, waits for a value with a deadline, and the end of both on Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Asks are this far apart.
const STEP: Duration = Duration::from_millis(10);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on SIGINT and SIGTERM make the next wait panic, so that what the run made is taken down on the way out.
pub(crate) fn catch_signals() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be caught");
            let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            INTERRUPTED.store(true, Ordering::SeqCst);
        });
    });
}

fn go_on() {
    assert!(!INTERRUPTED.load(Ordering::SeqCst), "interrupted");
}

/// Lets a declared duration pass.
pub(crate) fn pass(time: Duration) {
    pass_until(Instant::now() + time);
}

/// Lets time pass up to a moment.
pub(crate) fn pass_until(end: Instant) {
    loop {
        go_on();
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(STEP));
    }
}

/// Asks until there is an answer; none after `deadline`.
pub(crate) fn wait<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = ask() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        pass(STEP);
    }
}

/// Asks until there is an answer. Panics with `what` after `deadline`.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, deadline: Duration, ask: impl FnMut() -> Option<T>) -> T {
    wait(deadline, ask).unwrap_or_else(|| panic!("waited {deadline:?} for {what}"))
}
