use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, header};

use super::ApiToken;

/// What a proxy adds to what it passes on. Behind one, every client of the world has a loopback address.
const FORWARDED: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
/// What only browsers send; no page can leave it out.
const OF_BROWSERS: [&str; 3] = ["origin", "sec-fetch-site", "sec-fetch-mode"];
const TOKEN_SCHEME: &str = "Bearer ";

/// Why somebody may not give orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// It is a page in a browser that asks.
    Browser,
    /// The body is not said to be JSON.
    NotJson,
    /// The token is another one.
    WrongToken,
    /// There is no token to compare with.
    NoTokenHere,
    /// It comes from another machine, without a token.
    Elsewhere,
    /// It comes by way of a proxy, without a token.
    Proxied,
}

impl Denial {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongToken | Self::NoTokenHere => StatusCode::UNAUTHORIZED,
            Self::Browser | Self::Elsewhere | Self::Proxied => StatusCode::FORBIDDEN,
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Browser => "browsers may not give orders: use `bascule override`, or a client that is no browser",
            Self::NotJson => {
                "the request has no `Content-Type: application/json`: set it, whether there is a body or not"
            }
            Self::WrongToken => {
                "the token is not the one of this controller: give its own with `--api-token-file` or `BASCULE_API_TOKEN`"
            }
            Self::NoTokenHere => {
                "this controller has no token to compare yours with: start it with `--api-token-file`, or leave yours out \
                 and ask from its own machine"
            }
            Self::Elsewhere => {
                "orders are taken from this machine itself, and from elsewhere with the token of `bascule run \
                 --api-token-file`: give it in the same way, or ask at 127.0.0.1"
            }
            Self::Proxied => {
                "the request has passed a proxy, so nobody knows from where it is: give the token of `bascule run \
                 --api-token-file`, or ask at 127.0.0.1 without the proxy"
            }
        }
    }
}

/// Whether a request may give orders: with the token, or without one from this machine itself; never from a browser, where
/// any page of the world may ask what it likes at 127.0.0.1.
pub(super) fn admit(token: Option<&ApiToken>, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Denial> {
    if OF_BROWSERS.iter().any(|name| headers.contains_key(*name)) {
        return Err(Denial::Browser);
    }
    if !is_json(headers) {
        return Err(Denial::NotJson);
    }
    if let Some(presented) = headers.get(header::AUTHORIZATION) {
        let Some(token) = token else { return Err(Denial::NoTokenHere) };
        let presented = presented.to_str().ok().and_then(|text| text.strip_prefix(TOKEN_SCHEME));
        return if presented.is_some_and(|presented| token.is(presented)) { Ok(()) } else { Err(Denial::WrongToken) };
    }
    if !is_of_this_machine(peer.ip()) {
        return Err(Denial::Elsewhere);
    }
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Err(Denial::Proxied);
    }
    Ok(())
}

fn is_of_this_machine(peer: IpAddr) -> bool {
    // A socket that takes both families has IPv4 peers as `::ffff:127.0.0.1`.
    peer.to_canonical().is_loopback()
}

/// Whether the body is said to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const SECRET: &str = "correct-horse-battery";

    fn judged(token: Option<&str>, peer: &str, headers: &[(&str, &str)]) -> Result<(), Denial> {
        let header = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        admit(token.map(ApiToken::new).as_ref(), peer.parse().expect("an address"), &headers)
    }

    #[test]
    fn orders_are_taken_from_this_machine_and_with_the_token() {
        let json = ("content-type", "application/json");
        let right = ("authorization", "Bearer correct-horse-battery");
        for (token, peer, headers, expected) in [
            (None, "127.0.0.1:4711", &[json][..], Ok(())),
            (None, "127.9.9.9:4711", &[json], Ok(())),
            (None, "[::1]:4711", &[json], Ok(())),
            (None, "[::ffff:127.0.0.1]:4711", &[json], Ok(())),
            (None, "127.0.0.1:4711", &[("content-type", "Application/JSON; charset=utf-8")], Ok(())),
            (None, "10.200.0.7:4711", &[json], Err(Denial::Elsewhere)),
            (None, "[::ffff:10.200.0.7]:4711", &[json], Err(Denial::Elsewhere)),
            (None, "172.17.0.1:4711", &[json], Err(Denial::Elsewhere)),
            (Some(SECRET), "10.200.0.7:4711", &[json], Err(Denial::Elsewhere)),
            (Some(SECRET), "10.200.0.7:4711", &[json, right], Ok(())),
            (Some(SECRET), "127.0.0.1:4711", &[json, right], Ok(())),
            (Some(SECRET), "127.0.0.1:4711", &[json], Ok(())),
            (Some(SECRET), "127.0.0.1:4711", &[json, ("authorization", "Bearer wrong")], Err(Denial::WrongToken)),
            (Some(SECRET), "10.200.0.7:4711", &[json, ("authorization", SECRET)], Err(Denial::WrongToken)),
            (Some(SECRET), "10.200.0.7:4711", &[json, ("authorization", "Bearer ")], Err(Denial::WrongToken)),
            (None, "10.200.0.7:4711", &[json, right], Err(Denial::NoTokenHere)),
            (None, "10.200.0.7:4711", &[json, ("authorization", "Bearer ")], Err(Denial::NoTokenHere)),
            (None, "127.0.0.1:4711", &[json, ("x-forwarded-for", "203.0.113.9")], Err(Denial::Proxied)),
            (None, "127.0.0.1:4711", &[json, ("via", "2.0 Caddy")], Err(Denial::Proxied)),
            (Some(SECRET), "127.0.0.1:4711", &[json, right, ("via", "2.0 Caddy")], Ok(())),
            (None, "127.0.0.1:4711", &[json, ("origin", "http://127.0.0.1:7500")], Err(Denial::Browser)),
            (None, "127.0.0.1:4711", &[json, ("origin", "null")], Err(Denial::Browser)),
            (None, "127.0.0.1:4711", &[json, ("sec-fetch-site", "same-origin")], Err(Denial::Browser)),
            (Some(SECRET), "127.0.0.1:4711", &[json, right, ("origin", "https://a.example.org")], Err(Denial::Browser)),
            (None, "127.0.0.1:4711", &[], Err(Denial::NotJson)),
            (None, "127.0.0.1:4711", &[("content-type", "text/plain")], Err(Denial::NotJson)),
            (None, "127.0.0.1:4711", &[("content-type", "text/plain;application/json")], Err(Denial::NotJson)),
            (Some(SECRET), "10.200.0.7:4711", &[right], Err(Denial::NotJson)),
        ] {
            assert_eq!(judged(token, peer, headers), expected, "{token:?} {peer} {headers:?}");
        }
    }
}
