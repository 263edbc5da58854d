use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

/// Deliveries that are remembered: those of hours at least, in 32 KiB. A forge sends again within minutes, or by hand.
const REMEMBERED: usize = 1000;

/// The newest deliveries, by the hash of what they are called and what they say.
///
/// The name alone would not do: GitLab gives what comes of a webhook the name of that webhook.
#[derive(Debug, Default)]
pub(super) struct Seen(VecDeque<[u8; 32]>);

impl Seen {
    /// True for one that is not remembered; from now on it is.
    pub(super) fn is_first(&mut self, parts: [&[u8]; 3]) -> bool {
        let mut hash = Sha256::new();
        for part in parts {
            // With the length before each, no two lists of parts are the same bytes.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(hash);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_remembered_among_the_newest_thousand() {
        let mut seen = Seen::default();
        let mut take = |id: &str| seen.is_first([b"github", id.as_bytes(), b"{}"]);
        assert!(take("first"));
        assert!(!take("first"));
        for number in 1..REMEMBERED {
            assert!(take(&number.to_string()));
        }
        assert!(!take("first"), "it is the oldest of a thousand");
        assert!(take("one more"));
        assert!(take("first"), "it is forgotten");
        assert_eq!(seen.0.len(), REMEMBERED);
    }

    #[test]
    fn another_forge_name_or_body_is_another_delivery() {
        let mut seen = Seen::default();
        for parts in [["gitlab", "a", "b"], ["gitlab", "a", "c"], ["gitlab", "ab", ""], ["github", "a", "b"]] {
            assert!(seen.is_first(parts.map(str::as_bytes)), "{parts:?}");
            assert!(!seen.is_first(parts.map(str::as_bytes)), "{parts:?}");
        }
    }
}
