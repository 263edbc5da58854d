//! Paths of URLs: those that services answer, and those that probes ask for.

use std::fmt;

use super::text::text_type;

/// The part of a URL's path that a service answers: `/api` is `/api` and everything below it; `/` is everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// `/`: every path.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let trimmed = text.strip_suffix("/*").or_else(|| text.strip_suffix('/')).unwrap_or(text);
        if trimmed.is_empty() {
            return text.starts_with('/').then(Self::root);
        }
        let segments_are_good = trimmed.strip_prefix('/')?.split('/').all(|segment| {
            // RFC 3986 pchar, less the characters that mean something to Caddy's path matcher (`*`, `%`).
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(is_plain)
        });
        // Caddy compares paths without regard to case, so `/API` and `/api` are one prefix.
        segments_are_good.then(|| Self(trimmed.to_ascii_lowercase()))
    }

    /// The prefix in lower case, without a trailing slash; `/` alone for everything.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `/`.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(
    PathPrefix,
    name: "PathPrefix",
    expected: "a path prefix such as `/api`, of plain URL characters",
    pattern: r"^/([A-Za-z0-9._~!$&'()+,;=:@-]+(/[A-Za-z0-9._~!$&'()+,;=:@-]+)*)?(/\*?)?$",
    examples: ["/", "/api"]
);

/// A path with an optional query, as a probe asks for it: `/health?full=1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestPath(String);

impl RequestPath {
    /// `/`.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
        let good = text.starts_with('/') && !text.starts_with("//") && text.bytes().all(is_plain);
        good.then(|| Self(text.to_owned()))
    }

    /// Path and query as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(
    RequestPath,
    name: "RequestPath",
    expected: "a request path such as `/health`, of plain URL characters",
    pattern: r"^/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*$",
    examples: ["/health"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_prefixes_have_one_form() {
        for (text, expected) in [
            ("/", Some("/")),
            ("/*", Some("/")),
            ("/api", Some("/api")),
            ("/api/", Some("/api")),
            ("/api/*", Some("/api")),
            ("/api/v1", Some("/api/v1")),
            ("/API/V1", Some("/api/v1")),
            ("api", None),
            ("/api//v1", None),
            ("/a/../b", None),
            ("/{env.X}", None),
            ("/a*b", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<PathPrefix>().ok().map(|path| path.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn request_paths_are_plain() {
        for (text, good) in [
            ("/health", true),
            ("/h?x=1&y=%20", true),
            ("//evil", false),
            ("health", false),
            ("/{file./etc/passwd}", false),
        ] {
            assert_eq!(text.parse::<RequestPath>().is_ok(), good, "{text:?}");
        }
    }
}
