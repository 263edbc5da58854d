use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Key of the hash. It hides nothing; what counts is that two hashes are compared, and not two secrets.
const KEY: &[u8] = b"bascule api token";

/// The secret that lets a client of another machine give orders. Only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken([u8; 32]);

impl ApiToken {
    /// Keeps a secret's hash.
    pub fn new(secret: &str) -> Self {
        Self(hash(secret).finalize().into_bytes().into())
    }

    /// Compares in a time that does not depend on where the two differ, nor on how long they are.
    pub(super) fn is(&self, presented: &str) -> bool {
        hash(presented).verify_slice(&self.0).is_ok()
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

fn hash(secret: &str) -> Hmac<Sha256> {
    let mut hash = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes keys of any length");
    hash.update(secret.as_bytes());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_is_taken() {
        let token = ApiToken::new("correct-horse-battery");
        assert!(token.is("correct-horse-battery"));
        for other in ["", "correct-horse-batter", "correct-horse-battery ", "Correct-horse-battery", "…"] {
            assert!(!token.is(other), "{other:?}");
        }
        assert!(!format!("{token:?}").contains("horse"));
    }
}
