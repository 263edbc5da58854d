//! Public host names.

use std::fmt;
use std::sync::Arc;

use super::text::text_type;

/// A host name that clients ask for, in its ASCII form: `acecinema.fr`, `xn--bcher-kva.example`, `*.acecinema.fr`.
///
/// A leading `*` stands for exactly one label, as in Caddy's host matcher. Unicode is taken and converted by UTS 46
/// (IDNA), so `bücher.example` and `xn--bcher-kva.example` are the same host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Arc<str>);

/// Longest host name in bytes (RFC 1035, section 2.3.4, less the root and length octets).
const HOSTNAME_MAX: usize = 253;

impl Hostname {
    fn parse(text: &str) -> Option<Self> {
        let (wildcard, rest) = match text.strip_prefix("*.") {
            Some(rest) => ("*.", rest),
            None => ("", text),
        };
        let ascii = idna::domain_to_ascii_strict(rest).ok()?;
        let labels_are_good = ascii.split('.').all(is_label);
        // An all-numeric last label would be an IPv4 address to a browser (WHATWG URL, "ends in a number").
        let last_is_number =
            ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let canonical = format!("{wildcard}{ascii}");
        let good = labels_are_good && !last_is_number && canonical.len() <= HOSTNAME_MAX;
        good.then(|| Self(canonical.into()))
    }

    /// The name as text, ASCII and lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `*.example.org`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The wildcard that also matches this exact name: `*.acecinema.fr` for `www.acecinema.fr`. None for a wildcard and
    /// for a name of a single label.
    pub fn covering_wildcard(&self) -> Option<Self> {
        if self.is_wildcard() {
            return None;
        }
        let (_, parent) = self.0.split_once('.')?;
        Some(Self(format!("*.{parent}").into()))
    }
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(
    Hostname,
    name: "Hostname",
    expected: "a host name such as `acecinema.fr` or `*.acecinema.fr`",
    pattern: r"^(\*\.)?[^\s/:@{}*?#%\\.]+(\.[^\s/:@{}*?#%\\.]+)*$",
    examples: ["acecinema.fr", "*.acecinema.fr"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_have_one_ascii_form() {
        for (text, expected) in [
            ("acecinema.fr", Some("acecinema.fr")),
            ("API.Acecinema.FR", Some("api.acecinema.fr")),
            ("*.acecinema.fr", Some("*.acecinema.fr")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("localhost", Some("localhost")),
            ("*", None),
            ("a.*.example", None),
            ("acecinema.fr.", None),
            ("10.0.0.1", None),
            ("a..b", None),
            ("-a.example", None),
            ("http://a.example", None),
            ("a.example:443", None),
            ("{env.HOST}", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Hostname>().ok().as_ref().map(Hostname::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let name: Hostname = "www.acecinema.fr".parse().expect("a host name");
        assert_eq!(name.covering_wildcard().expect("has a parent").as_str(), "*.acecinema.fr");
        let wildcard: Hostname = "*.acecinema.fr".parse().expect("a host name");
        assert_eq!(wildcard.covering_wildcard(), None);
    }
}
