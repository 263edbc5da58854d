//! The backends: as a run holds them, and as the processes that they are.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncBufReadExt as _;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::namespace::Namespace;
use super::process::Program;

/// The header in which a backend says who it is.
pub(crate) const WHO: &str = "x-backend";
/// What making a page takes. Long enough that some requests are always in flight when a site is cut.
const WORK: Duration = Duration::from_millis(50);
/// What the patient ones among the pages take, of a backend that is well.
pub(crate) const PATIENT: Duration = Duration::from_secs(6);
/// What a slow backend takes for everything.
const SLOW: Duration = Duration::from_secs(5);
/// Between two events, and between two chunks of a download.
pub(crate) const BEAT: Duration = Duration::from_millis(100);
/// A download is so many chunks of so many bytes: two seconds.
pub(crate) const CHUNKS: usize = 20;
pub(crate) const CHUNK_BYTES: usize = 4096;
const PAGE_BYTES: usize = 2048;

/// How a backend behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Well,
    /// 500 to everything.
    Error,
    /// Everything takes five seconds.
    Slow,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Well, Self::Error, Self::Slow];

    const fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Error => "error",
            Self::Slow => "slow",
        }
    }
}

/// An instance of the public service at a site.
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) site: &'static str,
    pub(crate) address: SocketAddr,
    running: Option<(Program, ChildStdin)>,
    posts: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    pub(crate) fn new(name: String, site: &'static str, address: SocketAddr) -> Self {
        Self { name, site, address, running: None, posts: Arc::default() }
    }

    /// Starts its process, unless it runs.
    pub(crate) fn start(&mut self, namespace: &Namespace, folder: &Path) {
        if self.running.is_some() {
            return;
        }
        let this = std::env::current_exe().expect("the path of this program");
        let mut command = namespace.command(&this);
        command.args(["backend", &self.name, &self.address.to_string()]);
        let (program, stdin, stdout) = Program::start_talking(&mut command, folder, &self.name);
        let posts = Arc::clone(&self.posts);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                posts.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        self.running = Some((program, stdin));
    }

    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// SIGSTOP: connections are accepted by the kernel, and nobody answers.
    pub(crate) fn pause(&self) {
        self.running.as_ref().expect("it runs").0.signal(rustix::process::Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.running.as_ref().expect("it runs").0.signal(rustix::process::Signal::CONT);
    }

    pub(crate) fn set(&mut self, mode: Mode) {
        let (_, stdin) = self.running.as_mut().expect("it runs");
        writeln!(stdin, "{}", mode.word()).expect("a backend reads what it is told");
    }

    /// The ids of the POST requests that it has carried out since it was last asked.
    pub(crate) fn take_posts(&self) -> Vec<String> {
        std::mem::take(&mut self.posts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The process: answers until its standard input ends.
pub(crate) fn serve(name: &str, address: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (tx, mode) = watch::channel(Mode::Well);
        let who = HeaderValue::from_str(name).expect("a name is a header's value");
        let router = Router::new().fallback(answer).with_state(Service { who, mode });
        let listener = tokio::net::TcpListener::bind(address).await.expect("the site's address is free");
        tokio::select! {
            () = obey(tx) => {}
            served = async { axum::serve(listener, router).await } => served.expect("serving does not end"),
        }
    });
    ExitCode::SUCCESS
}

async fn obey(mode: watch::Sender<Mode>) {
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        mode.send_replace(*Mode::ALL.iter().find(|mode| mode.word() == line).expect("a known word"));
    }
}

#[derive(Clone)]
struct Service {
    who: HeaderValue,
    mode: watch::Receiver<Mode>,
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    let mode = *service.mode.borrow();
    let mut response = match mode {
        Mode::Error => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mode::Slow => {
            tokio::time::sleep(SLOW).await;
            route(request).await
        }
        Mode::Well => route(request).await,
    };
    response.headers_mut().insert(WHO, service.who);
    response
}

async fn route(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    match (request.method(), path.trim_start_matches('/').split_once('/').unwrap_or((&path[1..], ""))) {
        (&Method::GET, ("health", _)) => "ok\n".into_response(),
        (&Method::GET, ("page", _)) => {
            tokio::time::sleep(WORK).await;
            vec![b'.'; PAGE_BYTES].into_response()
        }
        (&Method::GET | &Method::POST, ("patient", _)) => {
            tokio::time::sleep(PATIENT).await;
            "at last\n".into_response()
        }
        (&Method::POST, ("submit", id)) => submit(id.to_owned(), request).await,
        (&Method::GET, ("echo", _)) => echo(request),
        (&Method::GET, ("events", _)) => {
            let events = stream::unfold(0_u64, |number| async move {
                tokio::time::sleep(BEAT).await;
                Some((Ok::<_, Infallible>(Bytes::from(format!("data: {number}\n\n"))), number + 1))
            });
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
        }
        (&Method::GET, ("download", _)) => {
            let chunks = stream::iter(0..CHUNKS).then(|_| async {
                tokio::time::sleep(BEAT).await;
                Ok::<_, Infallible>(Bytes::from_static(&[b'.'; CHUNK_BYTES]))
            });
            ([(header::CONTENT_LENGTH, CHUNKS * CHUNK_BYTES)], Body::from_stream(chunks)).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Does what a POST asks for: tells the run so. Answers with what arrived, so that a client can see whether all of it did.
async fn submit(id: String, request: Request) -> Response {
    let Ok(body) = axum::body::to_bytes(request.into_body(), usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    println!("{id}");
    tokio::time::sleep(WORK).await;
    fingerprint(&body).into_response()
}

/// Length and sum of a body.
pub(crate) fn fingerprint(body: &[u8]) -> String {
    format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

/// A WebSocket that sends back what it gets.
fn echo(mut request: Request) -> Response {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let (mut tx, mut rx) = socket.split();
        while let Some(Ok(message)) = rx.next().await {
            if message.is_text() && tx.send(message).await.is_err() {
                return;
            }
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
