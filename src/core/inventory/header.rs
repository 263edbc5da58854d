//! Which headers a probe may have.

/// Headers of one probe, at most.
pub(super) const HEADERS_MAX: usize = 16;
/// Longest value, in characters.
pub(super) const VALUE_MAX: usize = 1024;
/// Longest name, in bytes.
const NAME_MAX: usize = 128;

/// Headers that say how a message is framed or how a connection is used, in lower case: the prober and Caddy write them.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-encoding",
];
/// Beginning of the headers by which an edge's relay speaks with bascule, in lower case.
const OWN: &str = "bascule-";

/// Ends of words in the names of headers whose values mostly are secrets, in lower case.
const SECRETIVE: [&str; 10] =
    ["accesskey", "apikey", "authorization", "cookie", "credential", "jwt", "passwd", "password", "secret", "token"];
/// Words that say so at the end of a name, and alone: a `key-id` and a `monkey` are none.
const SECRETIVE_LAST: [&str; 5] = ["auth", "authentication", "key", "passphrase", "pwd"];

/// True where an inventory takes one more header beside so many of the same probe. `Host` has a key of its own there.
pub(in crate::core) fn takes_header(before: usize, name: &str, value: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    before < HEADERS_MAX
        && is_token(name)
        && lower != "host"
        && !is_written_for_it(&lower)
        && is_field_value(value)
        && value.len() <= VALUE_MAX
}

/// True for the name, in lower case, of a header that bascule and Caddy write themselves.
pub(super) fn is_written_for_it(lower: &str) -> bool {
    FRAMING.contains(&lower) || lower.starts_with(OWN)
}

/// True for the name of a header whose value mostly is a secret.
pub(super) fn is_secretive(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let words = || lower.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_one = |word: &str| SECRETIVE.iter().any(|end| word.strip_suffix('s').unwrap_or(word).ends_with(end));
    words().any(is_one) || words().next_back().is_some_and(|last| SECRETIVE_LAST.contains(&last))
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_allowed)
}

/// RFC 9110, section 5.5, without what is obsolete.
pub(super) fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whether_their_values_are_secrets() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "X-Forwarded-Authorization",
            "X-Authentication",
            "X-Auth",
            "X-Auth-Token",
            "X-Auth-Token-2",
            "X-AuthToken",
            "Private-Token",
            "X-Api-Key",
            "X-Apikey",
            "XApiKey",
            "apikey",
            "api_key",
            "X-Key",
            "X-Access-Key",
            "X-AccessKey",
            "Cookie",
            "X-Cookies",
            "X-Secret",
            "X-Client-Secret",
            "X-Password",
            "X-Passwd",
            "X-Credentials",
            "X-Jwt",
        ] {
            assert!(is_secretive(name), "{name}");
        }
        for name in [
            "",
            "Accept",
            "Accept-Language",
            "Cache-Control",
            "User-Agent",
            "X-Probe",
            "X-Request-Id",
            "X-Keyboard",
            "X-Keyword",
            "X-Monkey",
            "X-Key-Id",
            "X-Author",
            "X-Authority",
            "X-Tokenizer",
            "X-Passenger",
            "X-Forwarded-For",
        ] {
            assert!(!is_secretive(name), "{name}");
        }
    }
}
