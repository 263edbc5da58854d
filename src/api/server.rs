use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::core::status::StatusDto;

/// What the API needs: a way to look at the whole.
#[derive(Clone)]
pub struct Api {
    /// Makes the view of this moment.
    pub view: Arc<dyn Fn() -> StatusDto + Send + Sync>,
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

impl Api {
    /// Binds the address, so that a taken one is known before anything else is started.
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, ApiError> {
        TcpListener::bind(address).await.map_err(|source| ApiError::Listen { address, source })
    }

    /// Serves until shutdown.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ApiError> {
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/v1/status", get(status))
            .with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await.map_err(ApiError::Serve)
    }
}

/// Ready once a revision is served and every edge has been tried. Faults do not make it unready: an orchestrator that
/// restarted bascule for a bad commit would mend nothing.
async fn ready(State(api): State<Api>) -> Response {
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

async fn status(State(api): State<Api>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json((api.view)())).into_response()
}
