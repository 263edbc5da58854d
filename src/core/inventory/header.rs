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

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_allowed)
}

/// RFC 9110, section 5.5, without what is obsolete.
pub(super) fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim() == value
}
