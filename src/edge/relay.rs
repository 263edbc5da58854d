use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::core::caddy::relay::{EDGE, PASS, SERVICE, UPSTREAM};
use crate::core::model::DialAddress;

/// Connections at a time. An edge keeps as many as it has checks under way; more than this is no edge.
const CONNECTIONS_MAX: usize = 4096;
/// Longest time that a request's head may take to arrive.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// Wait after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What an edge's relay asks: should this upstream get traffic?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The edge that asks.
    pub edge: &'a str,
    /// The service.
    pub service: &'a str,
    /// The address that the edge would dial.
    pub upstream: &'a str,
}

/// Answers a relay from memory; none where bascule has no opinion, and the edge should ask the backend itself.
pub type Answer = Arc<dyn Fn(Asked<'_>) -> Option<bool> + Send + Sync>;

/// The answering side of the verdict relay, listening.
#[derive(Debug)]
pub struct RelayServer {
    listener: Listener,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Why relays cannot be answered.
#[derive(Debug, Error)]
#[error("cannot listen for relays on {address}")]
pub struct RelayError {
    /// The address.
    pub address: DialAddress,
    /// Why.
    pub source: io::Error,
}

impl RelayServer {
    /// Binds the address. A socket file that nobody listens on any more is replaced.
    pub async fn bind(address: &DialAddress) -> Result<Self, RelayError> {
        let bound = match address {
            DialAddress::Tcp { host, port } => {
                let host = host.trim_matches(['[', ']']);
                TcpListener::bind((host, port.get())).await.map(Listener::Tcp)
            }
            DialAddress::Unix(path) => bind_unix(path).map(Listener::Unix),
        };
        let listener = bound.map_err(|source| RelayError { address: address.clone(), source })?;
        Ok(Self { listener })
    }

    /// The TCP address that is listened on; none with a socket file.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Answers until shutdown.
    pub async fn serve(self, answer: Answer, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                _ = connections.join_next(), if connections.len() >= CONNECTIONS_MAX => continue,
                accepted = self.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
            };
            match accepted {
                Ok(stream) => _ = connections.spawn(converse(stream, Arc::clone(&answer))),
                Err(error) => {
                    warn!(%error, "a relay's connection is not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.shutdown().await;
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is one small packet that should not wait for another.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// True for a socket file that nobody listens on: it is left of a bascule that was killed.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(refused)
}

async fn converse(stream: Box<dyn Stream>, answer: Answer) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.headers(), &answer);
        async move { response }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a relay's connection ended");
    }
}

/// Nothing to say: the connection is closed without an answer, by which the edge knows to ask the backend itself.
#[derive(Debug)]
struct NoOpinion;

impl fmt::Display for NoOpinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no opinion")
    }
}

impl std::error::Error for NoOpinion {}

fn respond(headers: &HeaderMap, answer: &Answer) -> Result<Response<Empty<Bytes>>, NoOpinion> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let status = match (header(EDGE), header(SERVICE), header(UPSTREAM)) {
        (Some(edge), Some(service), Some(upstream)) => {
            let verdict = answer(Asked { edge, service, upstream }).ok_or(NoOpinion)?;
            let pass = header(PASS).and_then(|pass| pass.parse().ok()).unwrap_or(StatusCode::OK);
            if verdict { pass } else { StatusCode::SERVICE_UNAVAILABLE }
        }
        // Not a relay.
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}
