//! Webhooks of forges: a push to the branch that is followed makes the next fetch come at once.
//!
//! A webhook is no order. It says that something may have changed, and what is served is read from the repository as ever;
//! so it needs no token, may come from anywhere, and has to prove one thing only: that its sender has the secret.

mod forge;
mod secret;
mod seen;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tracing::{debug, info};

use self::forge::Forge;
pub use self::secret::WebhookSecret;
use self::seen::Seen;
use super::access::is_json;
use super::orders::answer;
use crate::core::status::ErrorDto;

/// Bytes of a delivery, at most. Forges send up to 25 MB, but a push of some hundred commits with their files is below this,
/// and all of it is in memory before anybody knows who sent it. What is larger is left to the next poll.
const BODY_MAX: usize = 1024 * 1024;
/// Deliveries that are read at once, so that strangers cannot make this process hold more than so many bodies.
const READS_MAX: usize = 8;
/// Time to send a delivery, the same that GitHub waits for an answer.
const READ_MAX: Duration = Duration::from_secs(10);

/// What takes webhooks.
#[derive(Clone)]
pub struct Webhooks {
    secret: Option<WebhookSecret>,
    followed: Option<Arc<str>>,
    wake: Arc<Notify>,
    seen: Arc<Mutex<Seen>>,
    reads: Arc<Semaphore>,
}

/// What came of a delivery.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// The source is read now.
    Woken,
    /// Nothing is done.
    Ignored { reason: String },
}

/// What is read of a push. Everything else that a delivery says is asked of the repository.
#[derive(Debug, Deserialize)]
struct PushDoc {
    #[serde(rename = "ref")]
    reference: String,
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    /// There is no secret to compare with.
    NotEnabled,
    /// The address names another forge.
    UnknownForge,
    /// The body is not said to be JSON.
    NotJson,
    /// So many are read already.
    Busy,
    /// It did not arrive in time, or broke off.
    Unread,
    /// It is too large.
    TooLarge,
    /// Its sender does not have the secret.
    Unproved,
    /// It is a push, and does not say of what.
    NoPush,
}

impl Denial {
    const fn status(self) -> StatusCode {
        match self {
            Self::NotEnabled | Self::UnknownForge => StatusCode::NOT_FOUND,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unread => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unproved => StatusCode::UNAUTHORIZED,
            Self::NoPush => StatusCode::BAD_REQUEST,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::NotEnabled => {
                "webhooks are not enabled: start bascule with `--webhook-secret-file` (`BASCULE_WEBHOOK_SECRET_FILE`, or the \
                 secret itself in `BASCULE_WEBHOOK_SECRET`)"
            }
            Self::UnknownForge => {
                "webhooks are taken at `/v1/webhooks/github`, `/v1/webhooks/gitlab` and `/v1/webhooks/gitea` (Forgejo's too)"
            }
            Self::NotJson => "set the content type of the webhook to `application/json`",
            Self::Busy => "too many deliveries at once; the next poll finds what this one was about",
            Self::Unread => "the delivery did not arrive within 10 s; the next poll finds what it was about",
            Self::TooLarge => "the delivery is larger than 1 MiB; the next poll finds what it was about",
            Self::Unproved => "denied",
            Self::NoPush => "the push has no `ref`: it is not the JSON that this forge sends",
        }
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        answer(self.status(), &ErrorDto { error: self.message().to_owned(), field: None })
    }
}

impl Webhooks {
    /// Takes webhooks of who has the secret, nobody's without one. Pushes to the branch that is followed, to any where none is,
    /// wake the source.
    pub fn new(secret: Option<WebhookSecret>, followed: Option<&str>, wake: Arc<Notify>) -> Self {
        let reads = Arc::new(Semaphore::new(READS_MAX));
        Self { secret, followed: followed.map(Arc::from), wake, seen: Arc::default(), reads }
    }

    /// The routes. They have nothing to do with who may give orders. Peers must be known to the server that they are put into.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new().route("/v1/webhooks/{forge}", post(take)).with_state(self)
    }

    /// Takes a delivery that came to the address of a forge, and answers.
    pub async fn deliver(&self, peer: SocketAddr, forge: &str, headers: &HeaderMap, body: Body) -> Response {
        match self.take(forge, headers, body).await {
            Ok(Outcome::Woken) => {
                info!(%peer, forge, "webhook: the source is read now");
                answer(StatusCode::ACCEPTED, &Outcome::Woken)
            }
            Ok(outcome) => {
                debug!(%peer, forge, ?outcome, "webhook");
                answer(StatusCode::OK, &outcome)
            }
            Err(denial) => {
                // What strangers write is escaped.
                info!(%peer, ?forge, ?denial, "webhook denied");
                denial.into_response()
            }
        }
    }

    async fn take(&self, forge: &str, headers: &HeaderMap, body: Body) -> Result<Outcome, Denial> {
        let secret = self.secret.as_ref().ok_or(Denial::NotEnabled)?;
        let forge = Forge::named(forge).ok_or(Denial::UnknownForge)?;
        if !is_json(headers) {
            return Err(Denial::NotJson);
        }
        let Ok(_permit) = self.reads.try_acquire() else { return Err(Denial::Busy) };
        let body = timeout(READ_MAX, read(body)).await.map_err(|_| Denial::Unread)??;
        if !forge.is_proved(secret, headers, &body) {
            return Err(Denial::Unproved);
        }
        let event = forge.event(headers);
        if event != forge.push() {
            return Ok(Outcome::Ignored { reason: format!("event {event:?} is no push") });
        }
        let PushDoc { reference } = serde_json::from_slice(&body).map_err(|_| Denial::NoPush)?;
        if let Some(followed) = &self.followed
            && reference.strip_prefix("refs/heads/") != Some(followed)
        {
            return Ok(Outcome::Ignored { reason: format!("push to {reference}, {followed} is followed") });
        }
        if let Some(id) = forge.delivery(headers)
            && !self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_first([forge.name().as_bytes(), id, &body])
        {
            return Ok(Outcome::Ignored { reason: "already taken".to_owned() });
        }
        // A wake carries no input, and one that waits says all that ten would.
        self.wake.notify_one();
        Ok(Outcome::Woken)
    }
}

async fn take(
    State(webhooks): State<Webhooks>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    webhooks.deliver(peer, &forge, &headers, body).await
}

/// Reads a delivery. One that is too large is read to its end, and dropped: before that its sender hears no answer.
async fn read(mut body: Body) -> Result<Vec<u8>, Denial> {
    // What says by itself that it is longer than any forge's need not be waited for.
    if body.size_hint().lower() > SENT_MAX {
        return Err(Denial::TooLarge);
    }
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Denial::Unread)?.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= BODY_MAX {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
    }
    if length > BODY_MAX { Err(Denial::TooLarge) } else { Ok(bytes) }
}

/// Bytes of the largest delivery that a forge sends: GitHub's limit.
const SENT_MAX: u64 = 25 * 1024 * 1024;
