//! The command line's side of a controller's API.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::addresses;
use crate::core::status::ErrorDto;

/// A controller answers from memory, or after a write to its state file; one that takes longer is hung.
const TIMEOUT: Duration = Duration::from_secs(5);

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The cure where something else answers.
const ELSEWHERE: &str = "another server is there, or a controller of another version; say with `--server` where the controller's API listens";

#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Where the controller's API listens.
    #[arg(
        long,
        env = "BASCULE_SERVER",
        default_value = "http://127.0.0.1:7500",
        value_name = "URL",
        value_parser = addresses::server
    )]
    pub(super) server: String,
}

/// A running controller.
pub(super) struct Server {
    address: String,
    token: Option<String>,
    client: Client,
}

impl Server {
    pub(super) fn new(args: ServerArgs, token: Option<String>) -> anyhow::Result<Self> {
        let ServerArgs { server: address } = args;
        let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { address, token, client })
    }

    /// What a controller answers to a question.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.ask(self.client.get(format!("{}{path}", self.address))).await
    }

    /// What a controller answers to a question about a place that is given by its parts.
    pub(super) async fn get_at(&self, place: &[&str]) -> anyhow::Result<String> {
        self.ask(self.client.get(self.place(place)?)).await
    }

    /// What a controller answers to an order. The place is given by its parts: what people type is in them.
    pub(super) async fn order<T: Serialize>(&self, method: Method, place: &[&str], body: &T) -> anyhow::Result<String> {
        let url = self.place(place)?;
        let body = serde_json::to_vec(body)?;
        let mut request = self.client.request(method, url).header(header::CONTENT_TYPE, "application/json").body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.ask(request).await
    }

    fn place(&self, place: &[&str]) -> anyhow::Result<Url> {
        let mut url = Url::parse(&self.address)?;
        let mut segments = url.path_segments_mut().map_err(|()| anyhow!("`{}` is no URL of a server", self.address))?;
        segments.pop_if_empty().extend(place);
        drop(segments);
        Ok(url)
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<String> {
        let answer = request.send().await.map_err(|error| unanswered(&self.address, &error))?;
        let (status, url, media_type) = (answer.status(), answer.url().clone(), media_type(&answer));
        let body = answer.text().await.with_context(|| format!("the answer of {url} broke off"))?;
        // All that the API answers is JSON or plain text.
        let is_own = matches!(media_type.as_str(), "application/json" | "text/plain");
        if status.is_success() && is_own {
            return Ok(body);
        }
        match serde_json::from_str::<ErrorDto>(&body) {
            Ok(ErrorDto { error, field: _ }) if !status.is_success() => bail!("{error}"),
            // Not ready, or what is in front of it has lost it.
            _ if is_own && status == StatusCode::SERVICE_UNAVAILABLE => {
                bail!("{url} answered {status}: {}", body.trim())
            }
            _ => {
                let of_type = if media_type.is_empty() { String::new() } else { format!(" with {media_type}") };
                bail!("{url} answered {status}{of_type}, as bascule {VERSION} does not: {ELSEWHERE}")
            }
        }
    }

    /// Reads an answer.
    pub(super) fn read<T: DeserializeOwned>(&self, body: &str) -> anyhow::Result<T> {
        let fault = || format!("what {} answers is not what bascule {VERSION} does: {ELSEWHERE}", self.address);
        serde_json::from_str(body).with_context(fault)
    }

    /// An answer as it came, for programs: what is JSON at least.
    pub(super) fn json(&self, body: String) -> anyhow::Result<String> {
        self.read::<Map<String, Value>>(&body)?;
        Ok(body + "\n")
    }
}

/// What the head says that the body is, without parameters; empty where it says nothing.
fn media_type(answer: &Response) -> String {
    let value = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The library tells the address and the fault three times over; its last cause is what the system says.
fn unanswered(server: &str, error: &reqwest::Error) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow!("the controller at {server} did not answer within {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    anyhow!(
        "no controller answers at {server} ({cause}): start one with `bascule run`, or say where it listens with `--server`"
    )
}
