use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A loop that has not beaten for so long hangs. It beats each second; a state file on a slow disk may hold it up for some.
const ALIVE_MAX: Duration = Duration::from_secs(10);

/// The heartbeat of the loop that judges: whoever answers from its results should know that it still runs.
#[derive(Debug, Default)]
pub struct Pulse {
    last: Mutex<Option<Instant>>,
}

impl Pulse {
    /// One beat.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// True while it beats.
    pub fn is_alive(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < ALIVE_MAX)
    }
}
