//! An admin API as a test sees it: every request is recorded, and faults can be put between the client and the edge.
//!
//! The same front stands before a real Caddy ([`super::recording_proxy`]) and before a fake ([`super::fake_caddy`]), so that
//! one suite of cases runs against both.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bascule::core::model::{AdminAddress, Digest};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// The edge behind a front.
pub trait Edge: Send + Sync + 'static {
    /// Answers a request with a whole raw HTTP answer, or with nothing where the edge drops the connection.
    fn answer(&self, request: &Request) -> impl Future<Output = Vec<u8>> + Send;

    /// Writes `apps` as another client would, past the front.
    fn write_apps(&self, apps: &Value) -> impl Future<Output = ()> + Send;
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// `/config/`.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request as a test looks at it afterwards.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET`.
    pub method: String,
    /// `/config/`.
    pub path: String,
    /// `Host`.
    pub host: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// Of the body's bytes.
    pub body: Digest,
    /// The edge itself, and no injected fault, dropped the connection. A real Caddy does so when its admin server is
    /// replaced at that moment.
    pub dropped_by_edge: bool,
}

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing is passed on or answered; the connection stays open.
    Hang,
    /// Nothing is passed on; the connection is reset.
    ResetBefore,
    /// The edge gets the request; the connection is reset instead of its answer.
    ResetAfter,
    /// The edge gets the request; its answer ends in the middle.
    CutAnswer,
    /// The edge gets the request; its answer comes late.
    Slow(Duration),
    /// Another client writes these `apps` before the request is passed on.
    SecondWriterBefore(Value),
    /// Another client writes these `apps` after the edge has answered, before the client knows.
    SecondWriterAfter(Value),
    /// Something else answers, with these raw bytes.
    Stranger(&'static str),
}

/// A listening front. Stops listening when dropped.
pub struct Front<E> {
    shared: Arc<Shared<E>>,
    address: AdminAddress,
    listening: JoinHandle<()>,
}

struct Shared<E> {
    edge: E,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Vec<(&'static str, VecDeque<Fault>)>>,
}

impl<E: Edge> Front<E> {
    /// Listens on a free port of 127.0.0.1.
    pub async fn on_tcp(edge: E) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared::new(edge));
        let listening = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(shared.clone().serve(stream));
                }
            }
        });
        Self { shared, address: AdminAddress::Tcp { host: "127.0.0.1".to_owned(), port }, listening }
    }

    /// Listens on a Unix socket.
    pub fn on_unix(edge: E, path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("the socket's folder is writable");
        let shared = Arc::new(Shared::new(edge));
        let listening = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(shared.clone().serve(stream));
                }
            }
        });
        Self { shared, address: AdminAddress::Unix(path.to_owned()), listening }
    }

    /// Where clients find it.
    pub fn address(&self) -> &AdminAddress {
        &self.address
    }

    /// What stands behind it.
    pub fn edge(&self) -> &E {
        &self.shared.edge
    }

    /// Lets `fault` happen to the next request with that method for which no other fault waits.
    pub fn inject(&self, method: &'static str, fault: Fault) {
        let mut faults = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match faults.iter_mut().find(|(known, _)| *known == method) {
            Some((_, queue)) => queue.push_back(fault),
            None => faults.push((method, VecDeque::from([fault]))),
        }
    }

    /// Every request so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asserts what was asked, and that nothing else was: `["GET /config/", "POST /config/"]`. Reads that a real Caddy
    /// itself dropped are not counted. Also asserts that every injected fault happened.
    #[track_caller]
    pub fn assert_only<const N: usize>(&self, expected: [&str; N]) {
        let calls = self.calls();
        let counted = calls.iter().filter(|call| !(call.method == "GET" && call.dropped_by_edge));
        let asked: Vec<String> = counted.map(|call| format!("{} {}", call.method, call.path)).collect();
        assert_eq!(asked, expected, "all calls: {calls:#?}");
        let faults = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(faults.iter().all(|(_, queue)| queue.is_empty()), "faults that never happened: {faults:?}");
    }
}

impl<E> Drop for Front<E> {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl<E: Edge> Shared<E> {
    fn new(edge: E) -> Self {
        Self { edge, calls: Mutex::default(), faults: Mutex::default() }
    }

    /// Serves one request; every client is told to come back with a new connection.
    async fn serve<S: Stream>(self: Arc<Self>, mut stream: S) {
        let Ok(request) = read_request(&mut stream).await else { return };
        let call = self.record(&request);
        let answer = match self.next_fault(&request.method) {
            None => self.pass_on(call, &request).await,
            Some(Fault::Hang) => return hold_open(stream).await,
            Some(Fault::ResetBefore) => return stream.reset(),
            Some(Fault::ResetAfter) => {
                self.edge.answer(&request).await;
                return stream.reset();
            }
            Some(Fault::CutAnswer) => {
                let answer = self.edge.answer(&request).await;
                answer[..answer.len() / 2].to_vec()
            }
            Some(Fault::Slow(delay)) => {
                let answer = self.pass_on(call, &request).await;
                tokio::time::sleep(delay).await;
                answer
            }
            Some(Fault::SecondWriterBefore(apps)) => {
                self.edge.write_apps(&apps).await;
                self.pass_on(call, &request).await
            }
            Some(Fault::SecondWriterAfter(apps)) => {
                let answer = self.pass_on(call, &request).await;
                self.edge.write_apps(&apps).await;
                answer
            }
            Some(Fault::Stranger(answer)) => answer.as_bytes().to_vec(),
        };
        // The client may be gone; what it got is its own affair.
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }

    async fn pass_on(&self, call: usize, request: &Request) -> Vec<u8> {
        let answer = self.edge.answer(request).await;
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)[call].dropped_by_edge = answer.is_empty();
        answer
    }

    fn record(&self, request: &Request) -> usize {
        let header = |name| request.header(name).map(str::to_owned);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(Call {
            method: request.method.clone(),
            path: request.path.clone(),
            host: header("host"),
            origin: header("origin"),
            if_match: header("if-match"),
            body: Digest::of(&request.body),
            dropped_by_edge: false,
        });
        calls.len() - 1
    }

    fn next_fault(&self, method: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter_mut().find(|(known, _)| *known == method).and_then(|(_, queue)| queue.pop_front())
    }
}

/// A TCP or Unix connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Ends the connection as roughly as the transport can.
    fn reset(self);
}

impl Stream for TcpStream {
    fn reset(self) {
        self.set_zero_linger().expect("a connected socket takes the option");
    }
}

impl Stream for UnixStream {
    /// There is no RST on a Unix socket; the other side sees the end of the stream.
    fn reset(self) {}
}

/// Holds the connection until the client gives up.
async fn hold_open(mut stream: impl Stream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = bytes.split_off(head_end + 4);
    let head = String::from_utf8_lossy(&bytes);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    request.body = body;
    Ok(request)
}
