use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::super::ApiToken;

/// Bytes of a signature.
const SIGNATURE: usize = 32;

/// The secret that a forge shares with this controller. Only what is made of it is kept.
#[derive(Clone)]
pub struct WebhookSecret {
    /// For signatures.
    key: Hmac<Sha256>,
    /// For who sends the secret itself.
    itself: ApiToken,
}

impl WebhookSecret {
    /// Takes a secret.
    pub fn new(secret: &str) -> Self {
        Self { key: keyed(secret), itself: ApiToken::new(secret) }
    }

    /// True where this is the secret, in a time that does not depend on where the two differ.
    pub(super) fn is(&self, presented: &str) -> bool {
        self.itself.is(presented)
    }

    /// True where the signature (HMAC-SHA256, hexadecimal) is that of these bytes, in a time that does not depend on where it
    /// differs from the right one.
    pub(super) fn has_signed(&self, bytes: &[u8], signature: &str) -> bool {
        let Some(signature) = of_hex(signature) else { return false };
        let mut key = self.key.clone();
        key.update(bytes);
        key.verify_slice(&signature).is_ok()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

fn keyed(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length")
}

fn of_hex(text: &str) -> Option<[u8; SIGNATURE]> {
    let mut bytes = [0; SIGNATURE];
    if text.len() != 2 * SIGNATURE {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation on validating deliveries.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn signatures_are_those_of_the_secret_and_the_bytes() {
        let secret = WebhookSecret::new(SECRET);
        assert!(secret.has_signed(BODY, SIGNATURE));
        assert!(secret.has_signed(BODY, &SIGNATURE.to_uppercase()));
        assert!(!secret.has_signed(b"Hello, World?", SIGNATURE));
        assert!(!WebhookSecret::new("Its a Secret to Everybody").has_signed(BODY, SIGNATURE));
        let (short, long) = (&SIGNATURE[2..], format!("{SIGNATURE}00"));
        let other = SIGNATURE.replacen('7', "8", 1);
        let no_hex = SIGNATURE.replacen("75", "+5", 1);
        let no_ascii = SIGNATURE.replacen("75", "é", 1);
        for signature in ["", "sha256=", short, &long, &other, &no_hex, &no_ascii] {
            assert!(!secret.has_signed(BODY, signature), "{signature}");
        }
    }

    #[test]
    fn the_secret_itself_is_known_and_never_shown() {
        let secret = WebhookSecret::new(SECRET);
        assert!(secret.is(SECRET));
        assert!(!secret.is("") && !secret.is("It's a Secret to Everybod"));
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }
}
