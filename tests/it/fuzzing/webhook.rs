//! The way of a webhook: headers and body of a delivery → verdict.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bascule::api::{WebhookSecret, Webhooks};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::sync::Notify;

const SECRET: &str = "correct-horse-battery";
/// Stands in a header's value for the right signature of the body, which nobody guesses.
const SIGNED: &str = "$signature";

/// Takes bytes as a delivery: the forge in the first line, headers, an empty line, and the body.
///
/// Whoever does not prove to have the secret wakes nobody, and every answer is one of those that are documented.
pub(crate) fn run(bytes: &[u8]) {
    let Delivery { forge, headers, body } = delivery(bytes);
    let wake = Arc::new(Notify::new());
    let webhooks = Webhooks::new(Some(WebhookSecret::new(SECRET)), Some("main"), Arc::clone(&wake));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let deliver = || runtime.block_on(webhooks.deliver(peer, &forge, &headers, Body::from(body.clone()))).status();
    let status = deliver();
    let known = [
        StatusCode::ACCEPTED,
        StatusCode::OK,
        StatusCode::NOT_FOUND,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UNAUTHORIZED,
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
    ];
    assert!(known.contains(&status), "{status}");
    let is_taken = matches!(status, StatusCode::ACCEPTED | StatusCode::OK | StatusCode::BAD_REQUEST);
    assert!(!is_taken || is_proved(&forge, &headers, &body), "taken without a proof");
    if status == StatusCode::ACCEPTED {
        assert!(body.windows(15).any(|part| part == b"refs/heads/main") || body.contains(&b'\\'), "another branch");
        // Known by its name, where it has one.
        assert!([StatusCode::OK, StatusCode::ACCEPTED].contains(&deliver()), "a second time it is taken no worse");
    }
}

struct Delivery {
    forge: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn delivery(bytes: &[u8]) -> Delivery {
    let split = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = split.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let forge = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..at], line[at + 1..].trim_ascii());
        let value = match std::str::from_utf8(value) {
            Ok(text) => text.replace(SIGNED, &signature(body)).into_bytes(),
            Err(_) => value.to_vec(),
        };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(&value)) {
            headers.append(name, value);
        }
    }
    Delivery { forge, headers, body: body.to_vec() }
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("{:x}", mac.finalize().into_bytes())
}

/// Written anew, and not as the product has it: some header of the forge has the secret, or the signature made with it.
fn is_proved(forge: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let (names, expected): (&[&str], String) = match forge {
        "github" => (&["x-hub-signature-256"], format!("sha256={}", signature(body))),
        "gitlab" => (&["x-gitlab-token"], SECRET.to_owned()),
        "gitea" => (&["x-forgejo-signature", "x-gitea-signature"], signature(body)),
        _ => return false,
    };
    let values = names.iter().filter_map(|name| headers.get(*name)).map(HeaderValue::as_bytes);
    let is_right = |value: &[u8]| match forge {
        "gitlab" => value == expected.as_bytes(),
        _ => {
            value.eq_ignore_ascii_case(expected.as_bytes())
                && value.starts_with(&expected.as_bytes()[..expected.len() - 64])
        }
    };
    values.into_iter().any(is_right)
}
