//! Real backends that tell their health by gRPC, over HTTP/2, and answer requests in HTTP/1.1 with their name.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use h2::server::SendResponse;
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_native_tls::TlsAcceptor;

/// How a backend answers a health check.
#[derive(Debug, Clone)]
pub enum Health {
    /// With this number as its health: 1 is `SERVING`, 2 is `NOT_SERVING`.
    Tells(u8),
    /// With a status of gRPC and a message, at once.
    Ends(&'static str, &'static str),
    /// With a head, a body and trailers of the test's own making.
    Odd { status: u16, head: Vec<(&'static str, &'static str)>, body: &'static [u8], end: Option<&'static str> },
    /// By closing the connection, which it announces first.
    GoesAway,
    /// Never.
    Hangs,
}

/// What a backend saw.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub connections: usize,
    /// Calls with their messages.
    pub calls: Vec<(Arc<Request<()>>, Vec<u8>)>,
}

/// A running backend. Stops when dropped.
pub struct GrpcBackend {
    name: String,
    address: SocketAddr,
    health: watch::Sender<Health>,
    seen: watch::Receiver<Seen>,
    hang_up: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

struct Shared {
    name: String,
    health: watch::Receiver<Health>,
    seen: watch::Sender<Seen>,
    hang_up: watch::Receiver<()>,
    tls: Option<TlsAcceptor>,
}

impl GrpcBackend {
    /// Starts a backend that is serving, on a free port.
    pub async fn start(name: &str, ip: Ipv4Addr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback address has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (health, receiver) = watch::channel(Health::Tells(1));
        let (seen_tx, seen) = watch::channel(Seen::default());
        let (hang_up, hang_up_rx) = watch::channel(());
        let name = name.to_owned();
        let shared = Shared { name: name.clone(), health: receiver, seen: seen_tx, hang_up: hang_up_rx, tls };
        let shared = Arc::new(shared);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&shared).connection(stream));
            }
        });
        Self { name, address, health, seen, hang_up, _tasks: tasks }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers from now on.
    pub fn answer(&self, health: Health) {
        self.health.send_replace(health);
    }

    /// Closes every connection there is.
    pub fn hang_up(&self) {
        self.hang_up.send_replace(());
    }

    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }
}

impl Shared {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        self.seen.send_modify(|seen| seen.connections += 1);
        if let Some(tls) = &self.tls {
            if let Ok(stream) = tls.accept(stream).await {
                self.http2(stream).await;
            }
            return;
        }
        let mut start = [0; 4];
        let length = stream.peek(&mut start).await.unwrap_or(0);
        if &start[..length] == b"PRI " {
            self.http2(stream).await;
        } else {
            self.http1(stream).await;
        }
    }

    async fn http1(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                return;
            }
        }
        let (name, length) = (&self.name, self.name.len());
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{name}");
        // A client that has left makes sending fail; there is nobody to tell.
        drop(stream.write_all(answer.as_bytes()).await);
    }

    async fn http2(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        let mut calls = JoinSet::new();
        let mut hang_up = self.hang_up.clone();
        hang_up.mark_unchanged();
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                _ = hang_up.changed() => return,
            };
            let Some(Ok((request, respond))) = accepted else { return };
            if matches!(*self.health.borrow(), Health::GoesAway) {
                connection.graceful_shutdown();
            }
            calls.spawn(Arc::clone(&self).call(request, respond));
        }
    }

    async fn call(self: Arc<Self>, request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, mut body) = request.into_parts();
        let mut message = Vec::new();
        while let Some(Ok(bytes)) = body.data().await {
            message.extend_from_slice(&bytes);
        }
        let call = (Arc::new(Request::from_parts(head, ())), message);
        self.seen.send_modify(|seen| seen.calls.push(call));
        let health = self.health.borrow().clone();
        let (head, body, end) = match health {
            Health::Tells(number) => (grpc_head(200, &[]), vec![0, 0, 0, 0, 2, 8, number], Some("0")),
            Health::GoesAway => (grpc_head(200, &[]), vec![0, 0, 0, 0, 2, 8, 1], Some("0")),
            Health::Ends(status, message) => {
                let head = grpc_head(200, &[("grpc-status", status), ("grpc-message", message)]);
                respond.send_response(head, true).ok();
                return;
            }
            Health::Odd { status, head, body, end } => (grpc_head(status, &head), body.to_vec(), end),
            Health::Hangs => return std::future::pending().await,
        };
        let Ok(mut stream) = respond.send_response(head, false) else { return };
        stream.send_data(body.into(), end.is_none()).ok();
        if let Some(status) = end {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().expect("a header's value"));
            stream.send_trailers(trailers).ok();
        }
    }
}

/// A head with what gRPC needs, where nothing else is said.
fn grpc_head(status: u16, headers: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = status.try_into().expect("a status");
    head.headers_mut().insert("content-type", "application/grpc".parse().expect("a header's value"));
    for (name, value) in headers {
        head.headers_mut().insert(*name, value.parse().expect("a header's value"));
    }
    head
}
