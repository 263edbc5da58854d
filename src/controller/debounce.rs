use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How changes are gathered before something is done about them.
#[derive(Debug, Clone, Copy)]
pub struct Debounce {
    /// Time without a change after which the gathering ends.
    pub quiet: Duration,
    /// Time after which it ends though changes go on.
    pub ceiling: Duration,
}

impl Debounce {
    /// Waits, after a first change, until `changes` has been quiet or the ceiling is reached. Ends early, with false, when
    /// the other side is gone.
    pub(super) async fn gather<T>(self, changes: &mut watch::Receiver<T>) -> bool {
        let Self { quiet, ceiling } = self;
        let end = Instant::now() + ceiling;
        loop {
            tokio::select! {
                biased;
                () = sleep_until((Instant::now() + quiet).min(end)) => return true,
                changed = changes.changed() => if changed.is_err() { return false },
            }
            if Instant::now() >= end {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Debounce = Debounce { quiet: Duration::from_millis(50), ceiling: Duration::from_millis(200) };

    #[tokio::test(start_paused = true)]
    async fn a_single_change_waits_for_the_quiet_time() {
        let (_tx, mut rx) = watch::channel(0);
        let start = Instant::now();
        assert!(DEBOUNCE.gather(&mut rx).await);
        assert_eq!(start.elapsed(), DEBOUNCE.quiet);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_waits_for_the_ceiling_and_no_longer() {
        let (tx, mut rx) = watch::channel(0);
        let storm = tokio::spawn(async move {
            for round in 0..100 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                tx.send_replace(round);
            }
        });
        let start = Instant::now();
        assert!(DEBOUNCE.gather(&mut rx).await);
        assert_eq!(start.elapsed(), DEBOUNCE.ceiling);
        storm.abort();
    }

    #[tokio::test]
    async fn a_sender_that_is_gone_ends_it() {
        let (tx, mut rx) = watch::channel(0);
        drop(tx);
        assert!(!DEBOUNCE.gather(&mut rx).await);
    }
}
