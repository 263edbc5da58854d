use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{ApiToken, Operator, WebhookSecret, Webhooks, orders};
use crate::core::status::StatusDto;

/// Bytes of an order, at most: a reason of 200 characters, and room.
const ORDER_MAX: usize = 16 * 1024;

/// What the API needs: a way to look at the whole, and somebody who carries out orders.
#[derive(Clone)]
pub struct Api<O> {
    /// Makes the view of this moment.
    pub view: Arc<dyn Fn() -> StatusDto + Send + Sync>,
    /// Carries out orders.
    pub operator: O,
    /// What who gives orders from another machine must have; none: nobody may.
    pub token: Option<ApiToken>,
    /// Takes webhooks.
    pub webhooks: Webhooks,
}

/// What others must have who tell a controller something.
#[derive(Debug, Clone, Default)]
pub struct ApiSecrets {
    /// Who gives orders from another machine; none: nobody may.
    pub token: Option<ApiToken>,
    /// Forges that send webhooks; none: no webhook is taken.
    pub webhook: Option<WebhookSecret>,
}

/// Why the API cannot be served.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for the API; name another address with `--listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the API server ended")]
    Serve(#[source] std::io::Error),
}

/// Binds the address, so that a taken one is known before anything else is started.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(address).await.map_err(|source| ApiError::Listen { address, source })
}

impl<O: Operator> Api<O> {
    /// Serves until shutdown.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ApiError> {
        let orders = Router::new()
            .route("/v1/overrides", post(orders::set))
            .route("/v1/overrides/{target}", delete(orders::clear))
            .route("/v1/services/{service}/failback", post(orders::fail_back))
            .route("/v1/steering", post(orders::steer))
            .route("/v1/reconcile", post(orders::reconcile))
            .layer(DefaultBodyLimit::max(ORDER_MAX))
            .route_layer(middleware::from_fn_with_state(self.clone(), orders::guard));
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/v1/status", get(status))
            .route("/v1/overrides", get(orders::list))
            .route("/v1/history", get(orders::history))
            .route("/v1/history/{revision}", get(orders::revision))
            .route("/v1/live", get(orders::live))
            .route("/v1/diff/{from}/{to}", get(orders::diff))
            .merge(orders)
            .merge(self.webhooks.clone().router())
            .with_state(self)
            .into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await.map_err(ApiError::Serve)
    }
}

/// Ready once a revision is served and every edge has been tried. Faults do not make it unready: an orchestrator that
/// restarted bascule for a bad commit would mend nothing.
async fn ready<O: Operator>(State(api): State<Api<O>>) -> Response {
    let status = (api.view)();
    if status.ready {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        let why = match status.revision {
            None => "not ready: no good revision yet\n",
            Some(_) => "not ready: an edge has not been tried yet\n",
        };
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}

async fn status<O: Operator>(State(api): State<Api<O>>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json((api.view)())).into_response()
}
