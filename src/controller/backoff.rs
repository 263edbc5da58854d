use std::time::Duration;

/// Longest doubling that is counted: past it every wait is at its bound.
const DOUBLINGS_MAX: u32 = 16;

/// The wait after so many failures in a row: `first`, and twice as long each time, up to `max`.
pub(super) fn backoff(failures: u32, first: Duration, max: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS_MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound() {
        let (first, max) = (Duration::from_secs(1), Duration::from_mins(5));
        for (failures, seconds) in [(0, 1), (1, 1), (2, 2), (9, 256), (10, 300), (u32::MAX, 300)] {
            assert_eq!(backoff(failures, first, max), Duration::from_secs(seconds), "{failures}");
        }
    }
}
