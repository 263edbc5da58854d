//! The end of a fetch: by time, or because nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Seen by the thread of a fetch wherever libgit2 lets it look.
#[derive(Debug, Clone)]
pub(super) struct Deadline {
    at: Instant,
    given_up: Arc<AtomicBool>,
}

/// Held by the one who waits. Gone, the fetch is told to stop.
#[derive(Debug)]
pub(super) struct Waiting(Arc<AtomicBool>);

impl Deadline {
    /// Both sides of a fetch that may take until `timeout` from now.
    pub(super) fn after(timeout: Duration) -> (Self, Waiting) {
        let given_up = Arc::new(AtomicBool::new(false));
        (Self { at: Instant::now() + timeout, given_up: Arc::clone(&given_up) }, Waiting(given_up))
    }

    /// True when the fetch should stop.
    pub(super) fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || Instant::now() >= self.at
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
