use std::error::Error as _;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect, retry};
use serde_json::Value;
use tokio::time::sleep;

use super::answer::Answer;
use super::error::{Deed, cure};
use super::status::{message, one_line};
use super::token::authorization;
use super::{ForgeError, ForgeKind, ForgeSettings, Patience};

/// The longest answer that is read: a page of 100 comments of 65,536 characters, with all that is told about each.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// Redirects that are followed, at most. A repository that was renamed has one.
const REDIRECTS_MAX: usize = 3;
/// Characters of a forge's own words that are kept.
const MESSAGE_CHARS_MAX: usize = 200;

/// One repository at one forge.
#[derive(Debug)]
pub struct Forge {
    client: Client,
    pub(super) settings: ForgeSettings,
}

/// A request, as often as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    pub(super) fn get(path: String, query: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::GET, path, query, body: None }
    }

    pub(super) fn post(path: String, body: Value) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), body: Some(body) }
    }

    pub(super) fn with_method(self, method: Method) -> Self {
        Self { method, ..self }
    }
}

impl Forge {
    /// Makes a client. Nothing is sent.
    pub fn new(settings: ForgeSettings) -> Result<Self, ForgeError> {
        let builder = Client::builder()
            .user_agent(concat!("bascule/", env!("CARGO_PKG_VERSION")))
            // Followed here: the library would send GitLab's other headers along, and a POST on as a GET.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .timeout(settings.patience.timeout);
        match builder.build() {
            Ok(client) => Ok(Self { client, settings }),
            Err(source) => Err(ForgeError::Client { host: settings.host().to_owned(), source }),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &ForgeSettings {
        &self.settings
    }

    /// Where the repository is in the API.
    pub(super) fn repository_path(&self) -> String {
        let ForgeSettings { kind, repository, .. } = &self.settings;
        match kind {
            ForgeKind::Github | ForgeKind::Gitea => format!("/repos/{repository}"),
            ForgeKind::Gitlab => format!("/projects/{}", path_part(repository)),
        }
    }

    /// Tries that are left.
    pub(super) const fn tries(&self) -> Tries {
        let Patience { timeout: _, retries, first, wait_max } = self.settings.patience;
        Tries { left: retries, wait: first, wait_max }
    }

    /// Sends a request and reads the answer to its end. Goes where the same server says that it is now.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, ForgeError> {
        let mut url = self.url(&call);
        let mut redirects = 0;
        loop {
            let answer = self.send_to(url, &call).await?;
            let is_moved = matches!(answer.status.as_u16(), 301 | 302 | 307 | 308) && redirects < REDIRECTS_MAX;
            let Some(place) = answer.headers.get(LOCATION).filter(|_| is_moved) else { return Ok(answer) };
            let next = place.to_str().ok().and_then(|place| self.settings.api.join(place).ok());
            let Some(next) = next else { return Err(self.not_a_forge(answer.status)) };
            if next.origin() != self.settings.api.origin() {
                let (kind, host) = self.names();
                return Err(ForgeError::Elsewhere { kind, host, to: next.origin().ascii_serialization() });
            }
            url = next;
            redirects += 1;
        }
    }

    fn url(&self, call: &Call) -> Url {
        let mut url = self.settings.api.clone();
        let path = format!("{}{}", url.path().trim_end_matches('/'), call.path);
        url.set_path(&path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }

    async fn send_to(&self, url: Url, call: &Call) -> Result<Answer, ForgeError> {
        let kind = self.settings.kind;
        let token = self.settings.token.read().await?;
        let mut request = self.client.request(call.method.clone(), url);
        request = request.header(AUTHORIZATION, authorization(kind, &token)?);
        request = match kind {
            ForgeKind::Github => {
                request.header(ACCEPT, "application/vnd.github+json").header("x-github-api-version", "2022-11-28")
            }
            ForgeKind::Gitlab | ForgeKind::Gitea => request.header(ACCEPT, "application/json"),
        };
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.transport_error(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = self.body(response).await?;
        if !status.is_success() {
            // Its words are shown, and it may repeat in them what it was sent.
            body = String::from_utf8_lossy(&body).replace(&token, "…").into_bytes();
        }
        Ok(Answer { status, headers, body })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ForgeError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport_error(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(self.not_a_forge(response.status()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Takes an answer that says yes, and its body; everything else is an error.
    pub(super) fn judge(&self, deed: Deed, answer: Answer) -> Result<Answer, ForgeError> {
        let (kind, host) = self.names();
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            return Ok(answer);
        }
        if !(400..600).contains(&status) {
            return Err(self.not_a_forge(answer.status));
        }
        let said = answer.json().as_ref().and_then(message);
        let message = one_line(&said.unwrap_or_else(|| "it does not say why".to_owned()), MESSAGE_CHARS_MAX);
        let now = SystemTime::now();
        if let Some(wait) = answer.limit(&message, now) {
            return Err(ForgeError::Limited { kind, host, status, message, wait });
        }
        if status >= 500 || status == 408 {
            let wait: Option<Duration> = answer.retry_after(now);
            return Err(ForgeError::Failing { kind, host, status, message, wait });
        }
        let cure = cure(kind, deed, status, &self.settings.repository);
        Err(ForgeError::Refused { kind, host, deed, status, message, cure })
    }

    pub(super) fn not_a_forge(&self, status: StatusCode) -> ForgeError {
        let (kind, host) = self.names();
        ForgeError::NotAForge { kind, host, status: status.as_u16() }
    }

    fn names(&self) -> (ForgeKind, String) {
        (self.settings.kind, self.settings.host().to_owned())
    }

    /// The library's own words have the whole URL in them; its last cause is what the system says.
    fn transport_error(&self, error: &reqwest::Error) -> ForgeError {
        let (kind, host) = self.names();
        if error.is_timeout() {
            return ForgeError::Timeout { kind, host, limit: self.settings.patience.timeout };
        }
        let mut cause = error.source();
        while let Some(deeper) = cause.and_then(std::error::Error::source) {
            cause = Some(deeper);
        }
        let reason = cause.map_or_else(|| "the connection broke off".to_owned(), ToString::to_string);
        ForgeError::Unreachable { kind, host, reason }
    }
}

/// Tries that are left, and the wait before the next of them.
#[derive(Debug)]
pub(super) struct Tries {
    left: u32,
    wait: Duration,
    wait_max: Duration,
}

impl Tries {
    /// Waits before another try, where that may help: a while that grows, or what the forge asks for. Gives the error back
    /// where it does not, where none is left, and where the forge asks for too long.
    pub(super) async fn after(&mut self, error: ForgeError) -> Result<(), ForgeError> {
        let asked = error.wait();
        let is_too_long = asked.is_some_and(|asked| asked > self.wait_max);
        if self.left == 0 || !error.is_passing() || is_too_long {
            return Err(error);
        }
        self.left -= 1;
        // Jitter down to half where the forge leaves it open; what it asks for is the least.
        let own = self.wait.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        self.wait = self.wait.saturating_mul(2).min(self.wait_max);
        sleep(asked.unwrap_or(own)).await;
        Ok(())
    }
}

/// A text as one part of a path: GitLab takes `group/name` as `group%2Fname`.
pub(super) fn path_part(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}
