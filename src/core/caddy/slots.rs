//! Shares of traffic as a list of upstreams.
//!
//! Caddy's `weighted_round_robin` counts on all upstreams and then picks among those that are available, so that with one
//! of three down the shares of the others are wrong by up to 50 points (measured on 2.11). Plain `round_robin` over a list
//! in which each upstream stands as often as its weight says keeps them right whoever is down: they are off by 0.1 points
//! at most.

/// Longest list. Each place costs an active check; with weights from 1 to 10 three backends need 30 at most.
const SLOTS_MAX: u64 = 32;

/// Longest list while shares change in steps: it is not for long, and a quarter should be about a quarter among many.
const PASSING_MAX: usize = 256;

/// Indices of weights, each as often as its weight says, spread evenly. In order and once each where all are alike.
pub(super) fn slots(weights: &[u64]) -> Vec<usize> {
    spread(&counts(weights, SLOTS_MAX))
}

/// The same for shares that soon change, with up to four places for each.
pub(super) fn passing_slots(weights: &[u64]) -> Vec<usize> {
    let longest = (4 * weights.len()).min(PASSING_MAX);
    spread(&counts(weights, SLOTS_MAX.max(u64::try_from(longest).unwrap_or(SLOTS_MAX))))
}

fn spread(counts: &[i64]) -> Vec<usize> {
    let total: i64 = counts.iter().sum();
    // Smooth weighted round robin, as nginx does it: every place goes to whoever has waited most for its share.
    let mut credits = vec![0_i64; counts.len()];
    let mut slots = Vec::new();
    for _ in 0..total {
        for (credit, count) in credits.iter_mut().zip(counts) {
            *credit += count;
        }
        let best = (0..credits.len()).rev().max_by_key(|index| credits[*index]);
        let Some(best) = best else { break };
        credits[best] -= total;
        slots.push(best);
    }
    slots
}

/// Weights in their lowest terms, made smaller where the list would be too long. Each is at least 1.
fn counts(weights: &[u64], longest: u64) -> Vec<i64> {
    let divisor = weights.iter().fold(0, |divisor, weight| gcd(divisor, *weight)).max(1);
    let lowest: Vec<u64> = weights.iter().map(|weight| weight / divisor).collect();
    let total: u64 = lowest.iter().sum();
    let longest = longest.max(u64::try_from(weights.len()).unwrap_or(u64::MAX));
    let shrunk = |weight: &u64| if total > longest { ((weight * longest + total / 2) / total).max(1) } else { *weight };
    lowest.iter().map(|weight| i64::try_from(shrunk(weight)).unwrap_or(1)).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_by_weight() {
        for (weights, expected) in [
            (&[1, 1, 1][..], &[0, 1, 2][..]),
            (&[7, 7], &[0, 1]),
            (&[3, 1], &[0, 0, 1, 0]),
            (&[6, 2], &[0, 0, 1, 0]),
            (&[3, 1, 2], &[0, 2, 0, 1, 2, 0]),
            (&[1], &[0]),
            (&[], &[]),
        ] {
            assert_eq!(slots(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn long_lists_are_shortened_and_nobody_is_lost() {
        let slots = slots(&[1000, 999, 1]);
        assert!(slots.len() <= 34, "{}", slots.len());
        for index in 0..3 {
            assert!(slots.contains(&index));
        }
        let many = vec![1; 100];
        assert_eq!(super::slots(&many).len(), 100);
    }

    #[test]
    fn a_quarter_among_many_is_about_a_quarter() {
        for count in [2, 8, 20, 40] {
            let mut weights = vec![4; count];
            weights[0] = 1;
            let slots = passing_slots(&weights);
            let places = |index: usize| slots.iter().filter(|slot| **slot == index).count();
            assert_eq!((places(0), places(1)), (1, 4), "of {count}");
        }
    }
}
