use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Failure;
use crate::world::EDGE;

/// A connection to the edge, for one request at a time.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(super) async fn open() -> Result<Self, Failure> {
        let stream = stream().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Closed)?;
        tokio::spawn(async move {
            // What is wrong with a connection is seen by the request on it.
            let _ = connection.await;
        });
        Ok(Self { sender })
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.sender.send_request(request).await.map_err(|_| Failure::Closed)
    }

    fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

pub(super) async fn stream() -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(EDGE).await.map_err(|_| Failure::Connect)?;
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    Ok(stream)
}

/// Connections that are kept between requests. The one that has been idle longest is taken first, so that all are used, and
/// a connection that the edge has closed is met soon.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<Connection>>,
}

impl Pool {
    /// An idle connection that is not known to be closed.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop_front() {
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) async fn give_back(&self, mut connection: Connection) {
        // The answer may be whole before the connection has noticed.
        if connection.sender.ready().await.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(connection);
        }
    }
}

/// Reads a whole body.
pub(super) async fn body(response: Response<Incoming>) -> Result<Bytes, Failure> {
    Ok(response.into_body().collect().await.map_err(|_| Failure::Truncated)?.to_bytes())
}
