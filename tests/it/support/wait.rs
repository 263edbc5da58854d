//! Waiting for a value, never for a time.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// For whatever should come at once but shares two cores with other tests.
pub const SOON: Duration = Duration::from_secs(10);

/// Asks are this far apart.
const STEP: Duration = Duration::from_millis(10);

/// Asks until there is an answer. Panics with `what` after `deadline`.
#[track_caller]
pub fn wait_for<T, F, Asking>(what: &str, deadline: Duration, mut ask: F) -> impl Future<Output = T>
where
    F: FnMut() -> Asking,
    Asking: Future<Output = Option<T>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let end = Instant::now() + deadline;
        loop {
            if let Some(value) = ask().await {
                return value;
            }
            assert!(Instant::now() < end, "{caller}: waited {deadline:?} for {what}");
            tokio::time::sleep(STEP).await;
        }
    }
}

/// Asks until the answer is `expected`. Panics with the last answer after `deadline`.
#[track_caller]
pub fn wait_until_equal<T, F, Asking>(expected: T, deadline: Duration, mut ask: F) -> impl Future<Output = ()>
where
    T: PartialEq + Debug,
    F: FnMut() -> Asking,
    Asking: Future<Output = T>,
{
    let caller = std::panic::Location::caller();
    async move {
        let end = Instant::now() + deadline;
        loop {
            let seen = ask().await;
            if seen == expected {
                return;
            }
            assert!(Instant::now() < end, "{caller}: after {deadline:?} still {seen:?} instead of {expected:?}");
            tokio::time::sleep(STEP).await;
        }
    }
}
