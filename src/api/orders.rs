//! Operators' orders: who may give them, how they are read, and how they are answered.

use std::net::SocketAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::access::admit;
use super::{Api, Operator};
use crate::core::routing::{Cause, OverrideDoc, Refusal};
use crate::core::status::{ErrorDto, OverridesDto};
use crate::core::steering::SteerDoc;

/// Who orders something of which nothing else is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureDoc {
    /// Who orders it. Default: nobody says.
    #[serde(default)]
    by: String,
}

/// Lets through who may give orders.
pub(super) async fn guard<O: Operator>(
    State(api): State<Api<O>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match admit(api.token.as_ref(), peer, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(denial) => {
            info!(%peer, method = %request.method(), path = request.uri().path(), ?denial, "order denied");
            Refused { status: denial.status(), error: denial.message().to_owned() }.into_response()
        }
    }
}

pub(super) async fn list<O: Operator>(State(api): State<Api<O>>) -> Response {
    answer(StatusCode::OK, &OverridesDto { overrides: (api.view)().overrides })
}

pub(super) async fn set<O: Operator>(State(api): State<Api<O>>, body: Body) -> Response {
    match read::<OverrideDoc>(body) {
        Ok(order) => conclude(api.operator.set_override(order).await),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn clear<O: Operator>(State(api): State<Api<O>>, Path(target): Path<String>, body: Body) -> Response {
    match signature(body) {
        Ok(by) => conclude(api.operator.clear_override(target, by).await),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn fail_back<O: Operator>(
    State(api): State<Api<O>>,
    Path(service): Path<String>,
    body: Body,
) -> Response {
    match signature(body) {
        Ok(by) => conclude(api.operator.fail_back(service, by).await),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn steer<O: Operator>(State(api): State<Api<O>>, body: Body) -> Response {
    match read::<SteerDoc>(body) {
        Ok(order) => conclude(api.operator.steer(order).await),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn reconcile<O: Operator>(State(api): State<Api<O>>, body: Body) -> Response {
    match signature(body) {
        Ok(by) => {
            info!(by, "the source is read now and every edge looked at, as an operator ordered");
            answer(StatusCode::ACCEPTED, &api.operator.reconcile())
        }
        Err(refused) => refused.into_response(),
    }
}

/// How much of the past somebody asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Past {
    #[serde(default = "Past::default_limit")]
    limit: u32,
}

impl Past {
    const fn default_limit() -> u32 {
        20
    }
}

pub(super) async fn history<O: Operator>(State(api): State<Api<O>>, Query(past): Query<Past>) -> Response {
    conclude(api.operator.history(past.limit).await)
}

pub(super) async fn revision<O: Operator>(State(api): State<Api<O>>, Path(named): Path<String>) -> Response {
    conclude(api.operator.revision(named).await)
}

pub(super) async fn live<O: Operator>(State(api): State<Api<O>>) -> Response {
    conclude(api.operator.live().await)
}

pub(super) async fn diff<O: Operator>(State(api): State<Api<O>>, Path((from, to)): Path<(String, String)>) -> Response {
    match api.operator.diff(from, to).await {
        Ok(text) => ([(header::CACHE_CONTROL, "no-store")], text).into_response(),
        Err(refusal) => conclude::<()>(Err(refusal)),
    }
}

/// A body, or why it cannot be taken.
type Body = Result<Bytes, BytesRejection>;

/// Who orders something. Nothing has to be said, so no body will do.
fn signature(body: Body) -> Result<String, Refused> {
    if body.as_ref().is_ok_and(Bytes::is_empty) {
        return Ok(String::new());
    }
    read(body).map(|SignatureDoc { by }| by)
}

/// Reads an order. Serde's words name the field that is missing, unknown or of another type.
fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|rejection| Refused { status: rejection.status(), error: rejection.body_text() })?;
    serde_json::from_slice(&body).map_err(|error| {
        let error = format!("the body is not the JSON of an order: {error}; docs/operations.md has an example");
        Refused { status: StatusCode::BAD_REQUEST, error }
    })
}

fn conclude<T: Serialize>(outcome: Result<T, Refusal>) -> Response {
    match outcome {
        Ok(done) => answer(StatusCode::OK, &done),
        Err(refusal) => {
            let status = match refusal.cause {
                Cause::Field(_) => StatusCode::UNPROCESSABLE_ENTITY,
                Cause::Unknown => StatusCode::NOT_FOUND,
                Cause::Nothing => StatusCode::CONFLICT,
                Cause::NotNow => StatusCode::SERVICE_UNAVAILABLE,
            };
            answer(status, &ErrorDto::of(&refusal))
        }
    }
}

/// An order that nobody has read.
struct Refused {
    status: StatusCode,
    error: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        answer(self.status, &ErrorDto { error: self.error, field: None })
    }
}

pub(super) fn answer<T: Serialize>(status: StatusCode, body: &T) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
