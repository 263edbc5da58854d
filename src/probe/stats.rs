use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Upper bounds of the lag histogram's buckets; a last one takes everything above. From one timer tick to far beyond the
/// longest interval people use, in steps that a dashboard can show.
pub const LAG_BOUNDS: [Duration; 13] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// No probe waits. Also the value before the first look.
const NOTHING_WAITS: u64 = u64::MAX;

/// What the prober is doing: a cheap handle that may be read at any time.
#[derive(Debug, Clone)]
pub struct ProberStats(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    epoch: Instant,
    made: AtomicU64,
    in_flight: AtomicU64,
    skipped: AtomicU64,
    prober_failures: AtomicU64,
    lags: [AtomicU64; LAG_BOUNDS.len() + 1],
    /// When the oldest probe that does not run yet was or will be due, in microseconds after `epoch`.
    oldest_due_us: AtomicU64,
}

/// What the prober had done at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProberSnapshot {
    /// Probes that ended, with any outcome, since the start.
    pub made: u64,
    /// Probes that run, or whose sample waits for room in the channel.
    pub in_flight: u64,
    /// Turns left out, because the probe before was not done or no slot was free for a whole interval.
    pub skipped: u64,
    /// Probes that could not be made, by a fault on the prober's own side.
    pub prober_failures: u64,
    /// How long the oldest due probe has been waiting for a slot; zero when none waits.
    pub lag: Duration,
    /// How late probes started.
    pub lags: LagHistogram,
}

/// How late probes started, counted by [`LAG_BOUNDS`]. First probes of a backend are not in it: they have no due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagHistogram {
    /// Probes in each bucket, not summed up; the last is everything above the last bound.
    pub counts: [u64; LAG_BOUNDS.len() + 1],
}

impl LagHistogram {
    /// The bound that this share of the probes (from 0 to 1) kept; none without a probe, [`Duration::MAX`] past the last
    /// bound.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total: u64 = self.counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of probes stay far below 2^52")]
        let wanted = total as f64 * share;
        let mut sum = 0;
        let bucket = self.counts.iter().position(|count| {
            sum += count;
            #[expect(clippy::cast_precision_loss, reason = "counts of probes stay far below 2^52")]
            let reached = sum > 0 && sum as f64 >= wanted;
            reached
        })?;
        Some(LAG_BOUNDS.get(bucket).copied().unwrap_or(Duration::MAX))
    }

    /// What was counted after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts }
    }
}

impl ProberStats {
    pub(super) fn new(epoch: Instant) -> Self {
        Self(Arc::new(Counters {
            epoch,
            made: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            prober_failures: AtomicU64::new(0),
            lags: Default::default(),
            oldest_due_us: AtomicU64::new(NOTHING_WAITS),
        }))
    }

    /// What the prober has done up to now.
    pub fn snapshot(&self) -> ProberSnapshot {
        let Counters { epoch, made, in_flight, skipped, prober_failures, lags, oldest_due_us } = &*self.0;
        let lag = match oldest_due_us.load(Relaxed) {
            NOTHING_WAITS => Duration::ZERO,
            due_us => epoch.elapsed().saturating_sub(Duration::from_micros(due_us)),
        };
        ProberSnapshot {
            made: made.load(Relaxed),
            in_flight: in_flight.load(Relaxed),
            skipped: skipped.load(Relaxed),
            prober_failures: prober_failures.load(Relaxed),
            lag,
            lags: LagHistogram { counts: std::array::from_fn(|bucket| lags[bucket].load(Relaxed)) },
        }
    }

    pub(super) fn started(&self, lag: Option<Duration>) {
        let Some(lag) = lag else { return };
        let bucket = LAG_BOUNDS.iter().position(|bound| lag <= *bound).unwrap_or(LAG_BOUNDS.len());
        self.0.lags[bucket].fetch_add(1, Relaxed);
    }

    pub(super) fn made(&self) {
        self.0.made.fetch_add(1, Relaxed);
    }

    pub(super) fn failed_by_itself(&self) {
        self.0.prober_failures.fetch_add(1, Relaxed);
    }

    pub(super) fn skipped(&self, turns: u64) {
        self.0.skipped.fetch_add(turns, Relaxed);
    }

    pub(super) fn waits(&self, in_flight: usize, oldest_due: Option<Instant>) {
        self.0.in_flight.store(u64::try_from(in_flight).unwrap_or(u64::MAX), Relaxed);
        let us = oldest_due.map(|due| due.saturating_duration_since(self.0.epoch).as_micros());
        let us = us.map_or(NOTHING_WAITS, |us| u64::try_from(us).unwrap_or(NOTHING_WAITS));
        self.0.oldest_due_us.store(us, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_counted_by_bucket() {
        let stats = ProberStats::new(Instant::now());
        assert_eq!(stats.snapshot().lags.quantile(0.5), None);
        for millis in [0, 1, 1, 3, 60_000] {
            stats.started(Some(Duration::from_millis(millis)));
        }
        stats.started(None);
        let lags = stats.snapshot().lags;
        assert_eq!(lags.counts.iter().sum::<u64>(), 5);
        for (share, bound) in [
            (0.0, Duration::from_millis(1)),
            (0.6, Duration::from_millis(1)),
            (0.7, Duration::from_millis(5)),
            (0.8, Duration::from_millis(5)),
            (0.99, Duration::MAX),
        ] {
            assert_eq!(lags.quantile(share), Some(bound), "{share}");
        }
        stats.started(Some(Duration::from_millis(20)));
        assert_eq!(stats.snapshot().lags.since(&lags).quantile(0.5), Some(Duration::from_millis(20)));
    }

    #[test]
    fn a_wait_shows_while_it_lasts() {
        let epoch = Instant::now();
        let stats = ProberStats::new(epoch);
        stats.waits(3, Some(epoch + Duration::from_hours(1)));
        assert_eq!((stats.snapshot().in_flight, stats.snapshot().lag), (3, Duration::ZERO));
        stats.waits(3, Some(epoch));
        assert!(stats.snapshot().lag > Duration::ZERO);
        stats.waits(0, None);
        assert_eq!(stats.snapshot().lag, Duration::ZERO);
    }
}
