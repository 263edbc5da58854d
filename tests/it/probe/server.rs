//! A backend that does as it is told, well or badly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_native_tls::{TlsAcceptor, TlsStream};

/// What a backend does with a request, in order.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one at a time, 10 ms apart.
    Drip(Vec<u8>),
    /// Waits until the test releases it.
    Hold,
    /// Never does anything again, but keeps the connection.
    Hang,
    /// Closes the connection in order.
    Close,
    /// Resets the connection.
    Reset,
}

/// Which request it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Connections before its own.
    pub(super) connection: usize,
    /// Requests before it on the same connection.
    pub(super) on_connection: usize,
}

type Script = dyn Fn(Turn) -> Vec<Act> + Send + Sync;

/// What a server saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    pub(super) requests: Vec<String>,
    /// Requests that wait in [`Act::Hold`], and the most that did at once.
    pub(super) held: usize,
    pub(super) held_most: usize,
    /// First bytes of each connection, with TLS.
    pub(super) hellos: Vec<Vec<u8>>,
    /// How each connection that was read to its end did end, in the operating system's words.
    pub(super) ends: Vec<Option<String>>,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: watch::Receiver<Seen>,
    release: Arc<Semaphore>,
    task: JoinHandle<()>,
}

struct Shared {
    script: Box<Script>,
    seen: watch::Sender<Seen>,
    release: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Serves plain HTTP at an address of its own.
    pub(super) async fn start(script: impl Fn(Turn) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        Self::on(listener, None, Box::new(script))
    }

    /// Answers every request with the same bytes.
    pub(super) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_| vec![Act::Send(bytes.clone())]).await
    }

    /// Serves HTTPS.
    pub(super) async fn start_tls(tls: TlsAcceptor, bytes: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        Self::on(listener, Some(tls), Box::new(move |_| vec![Act::Send(bytes.into())]))
    }

    pub(super) fn on(listener: TcpListener, tls: Option<TlsAcceptor>, script: Box<Script>) -> Self {
        let (seen_tx, seen) = watch::channel(Seen::default());
        let release = Arc::new(Semaphore::new(0));
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared { script, seen: seen_tx, release: Arc::clone(&release), tls });
        let task = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = JoinSet::new();
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                shared.seen.send_modify(|seen| seen.connections += 1);
                connections.spawn(Arc::clone(&shared).connection(stream, number));
                number += 1;
            }
        });
        Self { address, seen, release, task }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the server has seen something.
    pub(super) async fn wait(&mut self, what: impl FnMut(&Seen) -> bool) -> Seen {
        let waited = tokio::time::timeout(super::rig::DEADLINE, self.seen.wait_for(what)).await;
        waited.expect("seen before the deadline").expect("the server runs").clone()
    }

    /// Lets one held request go on.
    pub(super) fn release(&self) {
        self.release.add_permits(1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn connection(self: Arc<Self>, stream: TcpStream, number: usize) {
        let Some(tls) = &self.tls else { return self.serve(stream, number).await };
        let mut hello = [0; 1024];
        let length = stream.peek(&mut hello).await.unwrap_or(0);
        self.seen.send_modify(|seen| seen.hellos.push(hello[..length].to_vec()));
        if let Ok(stream) = tls.accept(stream).await {
            self.serve(stream, number).await;
        }
    }

    async fn serve(&self, mut stream: impl Stream, connection: usize) {
        let mut on_connection = 0;
        loop {
            let request = match read_request(&mut stream).await {
                Ok(Some(request)) => request,
                Ok(None) => return self.seen.send_modify(|seen| seen.ends.push(None)),
                Err(error) => return self.seen.send_modify(|seen| seen.ends.push(Some(error.to_string()))),
            };
            self.seen.send_modify(|seen| seen.requests.push(request));
            for act in (self.script)(Turn { connection, on_connection }) {
                // A client that has left makes sending fail; there is nobody to tell.
                match act {
                    Act::Send(bytes) => drop(stream.write_all(&bytes).await),
                    Act::Drip(bytes) => {
                        for byte in bytes {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                            if stream.write_all(&[byte]).await.is_err() {
                                return;
                            }
                        }
                    }
                    Act::Hold => self.hold().await,
                    Act::Hang => std::future::pending().await,
                    Act::Close => return,
                    Act::Reset => return stream.reset_when_dropped(),
                }
            }
            on_connection += 1;
        }
    }

    async fn hold(&self) {
        self.seen.send_modify(|seen| {
            seen.held += 1;
            seen.held_most = seen.held_most.max(seen.held);
        });
        self.release.acquire().await.expect("never closed").forget();
        self.seen.send_modify(|seen| seen.held -= 1);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn reset_when_dropped(&self);
}

impl Stream for TcpStream {
    fn reset_when_dropped(&self) {
        self.set_zero_linger().expect("a socket takes it");
    }
}

impl Stream for TlsStream<TcpStream> {
    fn reset_when_dropped(&self) {
        self.get_ref().get_ref().get_ref().reset_when_dropped();
    }
}

/// Reads one request without a body; none when the client closed in order.
async fn read_request(stream: &mut impl Stream) -> std::io::Result<Option<String>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&request).into_owned()))
}

/// An address on which nothing listens, and on which nothing will while this is kept: it is bound.
pub(super) struct Refusing {
    pub(super) address: SocketAddr,
    _bound: tokio::net::TcpSocket,
}

impl Refusing {
    pub(super) fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("binds");
        Self { address: socket.local_addr().expect("bound"), _bound: socket }
    }
}

/// A server that speaks first and waits for nothing, as mail servers do.
pub(super) struct Greeting {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Greeting {
    pub(super) async fn start(text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            let mut streams = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(text.as_bytes()).await.ok();
                streams.push(stream);
            }
        });
        Self { address, task }
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        self.task.abort();
    }
}
