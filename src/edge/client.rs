use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, ETAG, HOST, IF_MATCH, ORIGIN};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect, retry};
use serde::Deserialize;
use serde_json::Value;

use super::{Admin, AdminError, BoxError, Request};
use crate::core::caddy::Actual;
use crate::core::model::AdminAddress;
use crate::core::routing::OpenRequests;

/// How much of a strange answer is shown.
const EXCERPT_CHARS: usize = 200;

/// How much of Caddy's own words is kept. Its messages have one line; what is longer quotes the config.
const MESSAGE_CHARS_MAX: usize = 2000;

/// The host that names a Unix socket in `Host` and `Origin`. Caddy checks no `Host` on a socket.
const SOCKET_HOST: &str = "localhost";

/// The whole configuration. The final slash matters: without it Caddy redirects, and the tag is for the path as asked.
const CONFIG_PATH: &str = "/config/";

/// What is under way to each upstream. Streams are counted too, and addresses that no configuration has any more as long as
/// something is open to them (2.11.7; seen for WebSockets and event streams).
const UPSTREAMS_PATH: &str = "/reverse_proxy/upstreams";

/// Limits of one admin client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// For a whole read, from connecting to the last byte. A read waits while Caddy loads somebody's configuration.
    pub read_timeout: Duration,
    /// For a whole load. Caddy needs about 1 ms a service where it checks health itself, 0.2 ms elsewhere.
    pub load_timeout: Duration,
    /// The longest answer that is read.
    pub answer_bytes_max: usize,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            read_timeout: Duration::from_secs(10),
            // 10,000 services took 12 s by extrapolation on two shared cores; five times that.
            load_timeout: Duration::from_mins(1),
            // Caddy takes configurations up to 100 MiB (`maxConfigSize` in its admin.go).
            answer_bytes_max: 100 << 20,
        }
    }
}

/// The admin API of one Caddy, over TCP or a Unix socket.
///
/// Every request has a connection of its own: Caddy replaces its admin server at every load, so a kept connection is
/// likely to be one that is being closed.
#[derive(Debug)]
pub struct CaddyAdmin {
    client: Client,
    address: AdminAddress,
    settings: AdminSettings,
    /// Host and port, always with the port: Caddy compares it as text with `admin.origins`.
    host: String,
    /// Set once Caddy demanded an `Origin` (`admin.enforce_origin`). It is not sent unasked, because Caddy checks a
    /// present one even where it would not check the host: on a wildcard listener or a socket.
    send_origin: AtomicBool,
}

/// The HTTP client itself could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up an HTTP client for Caddy's admin API at {address}")]
pub struct ClientError {
    /// The admin API.
    pub address: AdminAddress,
    /// What failed.
    pub source: reqwest::Error,
}

impl CaddyAdmin {
    /// Makes a client. Nothing is sent.
    pub fn new(address: AdminAddress, settings: AdminSettings) -> Result<Self, ClientError> {
        let builder = Client::builder()
            .user_agent(concat!("bascule/", env!("CARGO_PKG_VERSION")))
            // No proxy: the environment's proxy is for the internet, an admin API is never out there.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(settings.connect_timeout);
        let (builder, host) = match &address {
            AdminAddress::Tcp { host, port } => (builder, format!("{host}:{port}")),
            AdminAddress::Unix(path) => (builder.unix_socket(path.clone()), SOCKET_HOST.to_owned()),
        };
        match builder.build() {
            Ok(client) => Ok(Self { client, address, settings, host, send_origin: AtomicBool::new(false) }),
            Err(source) => Err(ClientError { address, source }),
        }
    }

    /// The admin API that this client asks.
    pub fn address(&self) -> &AdminAddress {
        &self.address
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.host)).header(HOST, &self.host);
        if self.send_origin.load(Ordering::Relaxed) {
            request.header(ORIGIN, format!("http://{}", self.host))
        } else {
            request
        }
    }

    async fn try_read(&self) -> Result<Actual, AdminError> {
        let limit = self.settings.read_timeout;
        let response = self.request(Method::GET, CONFIG_PATH).timeout(limit).send().await;
        let response = response.map_err(|error| self.transport_error(&error, Request::Read, limit))?;
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let body = self.body(response, Request::Read, limit).await?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, &body, Request::Read));
        }
        let config: Value = serde_json::from_slice(&body).map_err(|_| self.not_caddy(status, excerpt(&body)))?;
        match etag {
            Some(etag) if is_config_tag(&etag) => Ok(Actual { config, etag }),
            Some(etag) => Err(self.not_caddy(status, format!("the Etag {etag} is not of the form \"/config/ HASH\""))),
            None => Err(self.not_caddy(status, "the answer has no Etag; Caddy 2.9 or newer is needed".to_owned())),
        }
    }

    async fn try_replace(&self, config: Vec<u8>, etag: &str) -> Result<(), AdminError> {
        let limit = self.settings.load_timeout;
        let request =
            self.request(Method::POST, CONFIG_PATH).header(CONTENT_TYPE, "application/json").header(IF_MATCH, etag);
        let response = request.body(config).timeout(limit).send().await;
        let response = response.map_err(|error| self.transport_error(&error, Request::Replace, limit))?;
        let status = response.status();
        if status == StatusCode::OK {
            // The answer to a load is empty and its status says it all; the rest of the connection may break.
            return Ok(());
        }
        let body = self.body(response, Request::Replace, limit).await?;
        Err(self.refusal(status, &body, Request::Replace))
    }

    async fn try_count(&self) -> Result<Option<OpenRequests>, AdminError> {
        let limit = self.settings.read_timeout;
        let response = self.request(Method::GET, UPSTREAMS_PATH).timeout(limit).send().await;
        let response = response.map_err(|error| self.transport_error(&error, Request::Count, limit))?;
        let status = response.status();
        let body = self.body(response, Request::Count, limit).await?;
        match status {
            StatusCode::OK => {}
            // A Caddy without the module.
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refusal(status, &body, Request::Count)),
        }
        let counts: Vec<UpstreamCount> =
            serde_json::from_slice(&body).map_err(|_| self.not_caddy(status, excerpt(&body)))?;
        let mut open = OpenRequests::new();
        for UpstreamCount { address, num_requests } in counts {
            // Caddy's counter may be a moment below zero.
            *open.entry(address).or_default() += u64::try_from(num_requests).unwrap_or_default();
        }
        Ok(Some(open))
    }

    /// Reads an answer's body up to the limit.
    async fn body(&self, mut response: Response, request: Request, limit: Duration) -> Result<Vec<u8>, AdminError> {
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport_error(&error, request, limit))? {
            let bytes_max = self.settings.answer_bytes_max;
            if body.len() + chunk.len() > bytes_max {
                return Err(self.not_caddy(status, format!("the answer is longer than {bytes_max} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport_error(&self, error: &reqwest::Error, request: Request, limit: Duration) -> AdminError {
        let address = self.address.clone();
        // A connect timeout is both; what counts is that nothing was sent.
        if error.is_connect() {
            return AdminError::Unreachable { address, source: root_cause(error) };
        }
        if error.is_timeout() {
            return AdminError::Timeout { address, request, limit };
        }
        AdminError::Broken { address, request, source: root_cause(error) }
    }

    /// Sorts an answer other than 200.
    fn refusal(&self, status: StatusCode, body: &[u8], request: Request) -> AdminError {
        let address = self.address.clone();
        let Ok(Refusal { error: message }) = serde_json::from_slice(body) else {
            return self.not_caddy(status, excerpt(body));
        };
        let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
        match (status, request) {
            (StatusCode::FORBIDDEN, _) => AdminError::Forbidden { address, message, host: self.host.clone() },
            (StatusCode::PRECONDITION_FAILED, _) => AdminError::Conflict { address },
            (StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR, Request::Replace) => {
                AdminError::Rejected { address, status: status.as_u16(), message }
            }
            _ => self.not_caddy(status, message),
        }
    }

    fn not_caddy(&self, status: StatusCode, message: String) -> AdminError {
        AdminError::NotCaddy { address: self.address.clone(), status: status.as_u16(), message }
    }

    /// True where Caddy wants an `Origin` and got none. A refused request did nothing, so it can be sent again.
    ///
    /// Where one was sent and refused, the next request goes without: the edge's `admin` section may have changed.
    fn wants_origin<T>(&self, result: &Result<T, AdminError>) -> bool {
        match result {
            Err(AdminError::Forbidden { message, .. }) if message.to_ascii_lowercase().contains("origin") => {
                !self.send_origin.fetch_xor(true, Ordering::Relaxed)
            }
            _ => false,
        }
    }
}

impl Admin for CaddyAdmin {
    async fn read(&self) -> Result<Actual, AdminError> {
        let result = self.try_read().await;
        if self.wants_origin(&result) { self.try_read().await } else { result }
    }

    async fn replace(&self, config: Vec<u8>, etag: &str) -> Result<(), AdminError> {
        // Only after a read, which has found out whether an `Origin` is wanted; so the body need not be kept for a second try.
        self.try_replace(config, etag).await
    }

    async fn open_requests(&self) -> Result<Option<OpenRequests>, AdminError> {
        let result = self.try_count().await;
        if self.wants_origin(&result) { self.try_count().await } else { result }
    }
}

/// An upstream as Caddy counts it.
#[derive(Deserialize)]
struct UpstreamCount {
    address: String,
    num_requests: i64,
}

/// Caddy's error answer.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// `"/config/ HASH"` with its quotes: Caddy answers 400 to any other `If-Match`, as if the configuration were bad.
fn is_config_tag(etag: &str) -> bool {
    let inner = etag.strip_prefix("\"/config/ ").and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|hash| !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The innermost cause: what is around it says no more than our own text.
fn root_cause(error: &reqwest::Error) -> BoxError {
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string().into()
}

fn excerpt(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(EXCERPT_CHARS).collect();
    let text = text.trim();
    if text.is_empty() { "an empty answer".to_owned() } else { text.escape_debug().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_tags() {
        for (etag, expected) in [
            ("\"/config/ 396548453caeba50\"", true),
            ("W/\"/config/ 396548453caeba50\"", false),
            ("\"/config/apps 396548453caeba50\"", false),
            ("\"/config/ \"", false),
            ("\"/config/ 3965 4845\"", false),
            ("/config/ 396548453caeba50", false),
            ("\"", false),
            ("", false),
        ] {
            assert_eq!(is_config_tag(etag), expected, "{etag:?}");
        }
    }

    #[test]
    fn hosts_carry_their_port() {
        for (address, expected) in [
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("http://[::1]:2019", "[::1]:2019"),
            ("http://caddy:2019", "caddy:2019"),
            ("unix//run/caddy/admin.sock", "localhost"),
        ] {
            let address: AdminAddress = address.parse().expect("test address parses");
            let admin = CaddyAdmin::new(address, AdminSettings::default()).expect("a client can be made");
            assert_eq!(admin.host, expected);
        }
    }
}
