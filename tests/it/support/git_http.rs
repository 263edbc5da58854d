//! A real `git http-backend` behind a small server.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves the repositories in a folder. Stops when dropped.
pub struct GitHttp {
    port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    root: PathBuf,
    /// The `Authorization` header that is let in; none lets in everybody.
    authorization: Option<String>,
    refusals: AtomicUsize,
}

impl GitHttp {
    /// Serves `root`, to `user` only if there is one (name and password).
    pub async fn start(root: PathBuf, user: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("bound").port();
        let authorization =
            user.map(|(name, password)| format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))));
        let shared = Arc::new(Shared { root, authorization, refusals: AtomicUsize::new(0) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            axum::serve(listener, router).await.expect("serving does not end");
        });
        Self { port, shared, _tasks: tasks }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requests that were answered 401.
    pub fn refusals(&self) -> usize {
        self.shared.refusals.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    if shared.authorization.is_some() && given != shared.authorization.as_deref() {
        shared.refusals.fetch_add(1, Ordering::SeqCst);
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"git\"")]).into_response();
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or(""))
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("git can be run");
    let mut stdin = child.stdin.take().expect("it is piped");
    let feed = async move {
        // It may stop reading once it knows its answer.
        let _ = stdin.write_all(&body).await;
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    from_cgi(&output.expect("git can be waited for").stdout)
}

/// A CGI answer: headers, an empty line, and the body.
fn from_cgi(bytes: &[u8]) -> Response {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a CGI answer has headers");
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&bytes[..split]).lines() {
        let (name, value) = line.split_once(": ").expect("a header has a value");
        response = if name == "Status" { response.status(&value[..3]) } else { response.header(name, value) };
    }
    response.body(Body::from(bytes[split + 4..].to_vec())).expect("it is an answer")
}

/// Two servers: one that sends everybody on to the other, which lets nobody in and keeps what it was shown.
pub struct Redirect {
    port: u16,
    shown: Arc<Mutex<Vec<Option<String>>>>,
    _tasks: JoinSet<()>,
}

impl Redirect {
    pub async fn start() -> Self {
        let shown: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let mut serve = async |router: Router| {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let port = listener.local_addr().expect("bound").port();
            tasks.spawn(async move {
                axum::serve(listener, router).await.expect("serving does not end");
            });
            port
        };
        let seen = Arc::clone(&shown);
        let target = serve(Router::new().fallback(async move |headers: HeaderMap| {
            let authorization = headers.get("authorization").map(|value| format!("{value:?}"));
            seen.lock().expect("no panic").push(authorization);
            (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"elsewhere\"")])
        }))
        .await;
        let port = serve(Router::new().fallback(async move |uri: Uri| {
            (StatusCode::FOUND, [("location", format!("http://127.0.0.1:{target}{uri}"))])
        }))
        .await;
        Self { port, shown, _tasks: tasks }
    }

    /// The port of the server that sends on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `Authorization` header of each request that arrived at the other server.
    pub fn shown(&self) -> Vec<Option<String>> {
        self.shown.lock().expect("no panic").clone()
    }
}
