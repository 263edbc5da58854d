use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::core::model::quoted;

/// Memory that a compiled expression may take, and as much again to run it. Expressions of 256 characters that mean well
/// take a few kilobytes; `(a{1,1000}){1,1000}` would take hundreds of megabytes.
const COMPILED_MAX: usize = 256 * 1024;

/// What the body of a passing answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyExpectation {
    /// This text is in it.
    Contains(String),
    /// The expression matches somewhere in it.
    Matches(BodyPattern),
    /// It is JSON, with this value at this place.
    Json {
        /// JSON pointer (RFC 6901).
        pointer: String,
        /// What stands there.
        equals: Value,
    },
}

impl BodyExpectation {
    /// Bytes of a body that are read to be judged.
    pub const READ_MAX: usize = 64 * 1024;

    /// Judges a body, or its first [`BodyExpectation::READ_MAX`] bytes. The reason of a failure quotes at most 60 characters
    /// of it.
    pub fn judge(&self, body: &[u8]) -> Result<(), String> {
        match self {
            Self::Contains(text) => {
                let body = decoded(body);
                if body.contains(text.as_str()) {
                    return Ok(());
                }
                Err(format!("the expected text is not in {}", excerpt(&body)))
            }
            Self::Matches(pattern) => {
                let body = decoded(body);
                if pattern.0.is_match(&body) {
                    return Ok(());
                }
                Err(format!("the expression does not match {}", excerpt(&body)))
            }
            Self::Json { pointer, equals } => {
                let document: Value = serde_json::from_slice(body)
                    .map_err(|_| format!("no JSON within 64 KiB, but {}", excerpt(&decoded(body))))?;
                match document.pointer(pointer) {
                    Some(value) if value == equals => Ok(()),
                    Some(value) => Err(format!("at the JSON pointer is {}", excerpt(&value.to_string()))),
                    None => Err(format!("nothing is at the JSON pointer in {}", excerpt(&decoded(body)))),
                }
            }
        }
    }
}

/// A regular expression.
#[derive(Clone)]
pub struct BodyPattern(Arc<Regex>);

impl BodyPattern {
    /// Compiles an expression; the fault is in words.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(pattern).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build();
        compiled.map(|regex| Self(Arc::new(regex))).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "its repetitions multiply to too much".to_owned(),
            error => {
                // The last line names the fault; those before it draw the expression.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for BodyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for BodyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for BodyPattern {}

/// The body as text, with one replacement character for each byte that is none, as Go's regular expressions see it: what
/// Caddy judges by the same expression, it judges alike.
fn decoded(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// The beginning of a body.
fn excerpt(body: &str) -> String {
    if body.is_empty() { "an empty body".to_owned() } else { quoted(body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::QUOTED_MAX;

    fn contains(text: &str) -> BodyExpectation {
        BodyExpectation::Contains(text.to_owned())
    }

    fn matches(pattern: &str) -> BodyExpectation {
        BodyExpectation::Matches(BodyPattern::compile(pattern).expect("an expression"))
    }

    fn json(pointer: &str, equals: impl Into<Value>) -> BodyExpectation {
        BodyExpectation::Json { pointer: pointer.to_owned(), equals: equals.into() }
    }

    #[test]
    fn bodies_are_judged() {
        let status = br#"{"status":"ok","checks":[{"a/b":1,"m~n":true}]}"#.as_slice();
        for (expectation, body, passes) in [
            (contains("ready"), b"all ready\n".as_slice(), true),
            (contains("ready"), b"READY", false),
            (contains("ready"), b"\xff\0ready\xff", true),
            (matches("^ok$"), b"ok", true),
            (matches("^ok$"), b"ok\n", false),
            (matches("(?m)^ok$"), b"a\nok\nb", true),
            (matches("^a..b$"), b"a\xf0\x9fb", true),
            (json("/status", "ok"), status, true),
            (json("/status", "OK"), status, false),
            (json("/checks/0/a~1b", 1), status, true),
            (json("/checks/0/a~1b", "1"), status, false),
            (json("/checks/0/m~0n", true), status, true),
            (json("/checks/00/m~0n", true), status, false),
            (json("/checks/-", true), status, false),
            (json("", "ok"), b"\"ok\"", true),
            (json("/", "ok"), b"{\"\":\"ok\"}", true),
            (json("/status", "ok"), b"{\"status\":\"ok\"", false),
        ] {
            let result = expectation.judge(body);
            assert_eq!(result.is_ok(), passes, "{expectation:?} {:?}: {result:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn reasons_quote_sixty_characters_on_one_line() {
        let long = "é\n".repeat(200);
        let value = serde_json::json!({ "status": "é".repeat(200) }).to_string();
        for (expectation, body) in [
            (contains("x"), long.as_str()),
            (matches("x"), &long),
            (json("/status", "ok"), &value),
            (json("/other", "ok"), &value),
            (json("/status", "ok"), &long),
        ] {
            let reason = expectation.judge(body.as_bytes()).expect_err("it does not pass");
            let quote = reason.split('`').nth(1).expect("a quote");
            assert_eq!(quote.chars().count(), QUOTED_MAX, "{reason}");
            assert!(reason.ends_with('…') && !reason.contains('\n'), "{reason}");
        }
        assert_eq!(contains("x").judge(b""), Err("the expected text is not in an empty body".to_owned()));
    }

    #[test]
    fn expressions_that_cost_too_much_are_refused() {
        assert!(BodyPattern::compile("(a{1,1000}){1,1000}").is_err_and(|why| why.contains("too much")));
        assert!(BodyPattern::compile("(ok").is_err_and(|why| why == "unclosed group"));
    }
}
