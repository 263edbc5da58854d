//! How a call of gRPC ended, in words.

use hyper::header::HeaderMap;

use super::message::Health;
use crate::core::health::Failure;
use crate::core::inventory::GrpcProbe;
use crate::core::model::quoted;

/// The codes by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What the server says of itself passes where it is `SERVING`.
pub(super) fn judge(health: Health, probe: &GrpcProbe) -> Result<(), Failure> {
    let words = match health {
        Health::Serving => return Ok(()),
        Health::Unknown => "UNKNOWN".to_owned(),
        Health::NotServing => "NOT_SERVING".to_owned(),
        Health::ServiceUnknown => format!("SERVICE_UNKNOWN: {}", knows_not(probe)),
        Health::Other(number) => format!("the unknown health {number}"),
    };
    Err(Failure::Grpc(words))
}

/// Reads how a call ended; none where the headers do not say.
pub(super) fn ended(headers: &HeaderMap, probe: &GrpcProbe) -> Option<Result<(), Failure>> {
    let status = headers.get("grpc-status")?.to_str().unwrap_or_default();
    let code = status.parse::<usize>().ok().and_then(|number| CODES.get(number).copied());
    let reason = match code {
        Some("OK") => return Some(Ok(())),
        Some("NOT_FOUND") => Some(knows_not(probe)),
        Some("UNIMPLEMENTED") => Some("it has no gRPC health service".to_owned()),
        Some(_) | None => headers.get("grpc-message").and_then(|message| own_words(message.as_bytes())),
    };
    let code = code.map_or_else(|| format!("the unknown gRPC status `{status}`"), str::to_owned);
    Some(Err(Failure::Grpc(match reason {
        Some(reason) => format!("{code}: {reason}"),
        None => code,
    })))
}

fn knows_not(probe: &GrpcProbe) -> String {
    if probe.service.is_empty() {
        return "it tells no health of the server as a whole".to_owned();
    }
    format!("it knows no service `{}`", probe.service)
}

/// The beginning of a server's own words; none where it has none. They travel in percent-encoding.
fn own_words(message: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8_lossy(&bytes);
    (!text.is_empty()).then(|| quoted(&text))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn what_does_not_pass_is_told_in_words() {
        let (whole, one) = (GrpcProbe::default(), GrpcProbe { service: "a.B".to_owned(), ..GrpcProbe::default() });
        for (health, probe, expected) in [
            (Health::Serving, &whole, None),
            (Health::NotServing, &whole, Some("answered NOT_SERVING")),
            (Health::Unknown, &whole, Some("answered UNKNOWN")),
            (Health::ServiceUnknown, &one, Some("answered SERVICE_UNKNOWN: it knows no service `a.B`")),
            (Health::Other(7), &one, Some("answered the unknown health 7")),
        ] {
            let failure = judge(health, probe).err().map(|failure| failure.to_string());
            assert_eq!(failure.as_deref(), expected, "{health:?}");
        }
    }

    #[test]
    fn statuses_are_told_in_words() {
        let (whole, one) = (GrpcProbe::default(), GrpcProbe { service: "a.B".to_owned(), ..GrpcProbe::default() });
        let long = "x".repeat(61);
        let cut = format!("answered INTERNAL: `{}`…", "x".repeat(60));
        for (probe, status, message, expected) in [
            (&whole, "0", "", ""),
            (&one, "5", "unknown service", "answered NOT_FOUND: it knows no service `a.B`"),
            (&whole, "5", "", "answered NOT_FOUND: it tells no health of the server as a whole"),
            (&one, "12", "unknown service", "answered UNIMPLEMENTED: it has no gRPC health service"),
            (&one, "14", "", "answered UNAVAILABLE"),
            (&one, "16", "no%20token%0A100%", "answered UNAUTHENTICATED: `no token 100%`"),
            (&one, "13", "%C3%A9%zz", "answered INTERNAL: `é%zz`"),
            (&one, "13", &long, &cut),
            (&one, "17", "", "answered the unknown gRPC status `17`"),
            (&one, "-1", "", "answered the unknown gRPC status `-1`"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_str(status).expect("a value"));
            headers.insert("grpc-message", HeaderValue::from_str(message).expect("a value"));
            let told = ended(&headers, probe).expect("a status").err().map(|failure| failure.to_string());
            assert_eq!(told.unwrap_or_default(), expected, "{status} {message}");
        }
        assert_eq!(ended(&HeaderMap::new(), &whole), None);
    }
}
