//! Names of the things an inventory declares.

use std::fmt;

use super::text::text_type;

/// Longest name, in bytes: a DNS label (RFC 1035, section 2.3.4), so that a name may become a host name or a metric label.
const NAME_MAX: usize = 63;

fn is_name(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    !text.is_empty()
        && text.len() <= NAME_MAX
        && text.as_bytes().iter().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

macro_rules! name_types {
    ($($(#[$doc:meta])* $type:ident, $example:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            fn parse(text: &str) -> Option<Self> {
                is_name(text).then(|| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_type!(
            $type,
            name: stringify!($type),
            expected: "a name: lower-case letters, digits and inner hyphens, at most 63",
            pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            examples: [$example]
        );
    )*};
}

name_types! {
    /// Names a site: a place that can be cut off as a whole.
    SiteName, "dijon";
    /// Names a service: a public endpoint.
    ServiceName, "api";
    /// Names a backend: an instance of a service at a site.
    BackendName, "api-dijon-1";
    /// Names an edge: a Caddy that plans are applied to.
    EdgeName, "ovh";
    /// A free label on a site, a service or a backend.
    Tag, "ssd";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for (text, good) in [
            ("dijon", true),
            ("api-dijon-1", true),
            ("7", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("a.b", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(text.parse::<SiteName>().is_ok(), good, "{text:?}");
        }
        assert!("a".repeat(63).parse::<SiteName>().is_ok());
        assert!("a".repeat(64).parse::<SiteName>().is_err());
    }
}
