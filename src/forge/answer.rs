//! What a forge answered, and what its headers say of time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LINK, RETRY_AFTER};
use serde_json::Value;

/// GitHub asks to wait so long where it limits and does not say how long.
const LIMITED_WAIT: Duration = Duration::from_mins(1);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// True where there is another page after this one (RFC 8288). Its address is not taken from here: pages are counted.
    pub(super) fn has_next(&self) -> bool {
        let links = self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        links.flat_map(|value| value.split(',')).any(|link| link.contains("rel=\"next\""))
    }

    /// For how long to wait where the answer is that there were too many requests; none where it is something else.
    ///
    /// GitHub limits with 403 or 429. With `retry-after`, that long; with `x-ratelimit-remaining: 0`, until
    /// `x-ratelimit-reset`; else a minute ("Rate limits for the REST API"). A 403 that has neither and does not speak of a
    /// limit is a refusal.
    pub(super) fn limit(&self, message: &str, now: SystemTime) -> Option<Duration> {
        let asked = self.retry_after(now).or_else(|| self.reset(now));
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some(asked.unwrap_or(LIMITED_WAIT)),
            StatusCode::FORBIDDEN if message.to_ascii_lowercase().contains("rate limit") => {
                Some(asked.unwrap_or(LIMITED_WAIT))
            }
            StatusCode::FORBIDDEN => asked,
            _ => None,
        }
    }

    /// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
    pub(super) fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
        Some(until(at, now))
    }

    fn reset(&self, now: SystemTime) -> Option<Duration> {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if header("x-ratelimit-remaining") != Some("0") {
            return None;
        }
        Some(until(header("x-ratelimit-reset")?.parse().ok()?, now))
    }
}

/// From now to a second since 1970; zero for one that is over.
fn until(second: i64, now: SystemTime) -> Duration {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(u64::try_from(second).unwrap_or_default()).saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Answer {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: headers.iter().map(header).collect(), body: Vec::new() }
    }

    #[test]
    fn a_limit_says_how_long_it_lasts() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_700);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let reset: &[_] = &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "784111730")];
        for (status, headers, message, expected) in [
            (429, &[("retry-after", "7")][..], "", Some(7)),
            (429, &[("retry-after", date)], "", Some(77)),
            (429, &[("retry-after", "soon")], "", Some(60)),
            (429, &[], "", Some(60)),
            (403, &[("retry-after", "9")], "", Some(9)),
            (403, reset, "", Some(30)),
            (429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "", Some(0)),
            (403, &[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "784111730")], "", None),
            (403, &[], "You have exceeded a secondary rate limit", Some(60)),
            (403, &[], "Resource not accessible by integration", None),
            (500, &[("retry-after", "9")], "", None),
        ] {
            let found = answer(status, headers).limit(message, now);
            assert_eq!(found, expected.map(Duration::from_secs), "{status} {headers:?} {message}");
        }
    }

    #[test]
    fn a_next_page_is_a_link() {
        let link = "<https://git.example.org/x?page=1>; rel=\"prev\", <https://git.example.org/x?page=3>; rel=\"next\"";
        assert!(answer(200, &[("link", link)]).has_next());
        assert!(!answer(200, &[("link", "<https://git.example.org/x?page=1>; rel=\"last\"")]).has_next());
        assert!(!answer(200, &[]).has_next());
    }
}
