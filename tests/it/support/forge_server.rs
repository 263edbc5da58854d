//! A forge's API as its makers document it, with state: statuses of commits, and comments on pull request 3.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bascule::forge::ForgeKind;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The token that opens it.
pub const TOKEN: &str = "forge-token-0123456789";
/// The repository that it has; for GitLab in a group of a group.
pub const REPOSITORY: &str = "you/infra";
/// The pull request that it has.
pub const PULL: u64 = 3;
/// Who the token is of.
const USER: u64 = 7;

/// What it does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As documented.
    Well,
    /// 429 with `Retry-After`, in seconds.
    TooMany(u64),
    /// GitHub's secondary limit: 403 with `Retry-After`.
    Secondary(u64),
    /// This status, with a message that repeats the token.
    Status(u16),
    /// No answer.
    Hang,
    /// Takes what is asked, and ends the connection without an answer.
    Swallow,
    /// A redirect to the same path at another address.
    Elsewhere(String),
}

/// A status as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub sha: String,
    pub context: String,
    pub state: String,
    pub description: String,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub id: u64,
    pub author: u64,
    pub body: String,
}

#[derive(Debug)]
struct Books {
    mood: Mood,
    /// What the next requests get, before the mood counts.
    next: VecDeque<Mood>,
    statuses: Vec<Set>,
    comments: Vec<Comment>,
    /// `METHOD path?query` of each request.
    requests: Vec<String>,
    /// The token may not ask who it is, as those of apps.
    is_app: bool,
    /// The path that the repository had before it was renamed.
    renamed_from: Option<String>,
}

/// A forge on loopback. It stops when dropped.
pub struct ForgeServer {
    kind: ForgeKind,
    port: u16,
    books: Arc<Mutex<Books>>,
    tasks: JoinSet<()>,
}

impl ForgeServer {
    pub async fn start(kind: ForgeKind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("an address").port();
        let books = Books {
            mood: Mood::Well,
            next: VecDeque::new(),
            statuses: Vec::new(),
            comments: Vec::new(),
            requests: Vec::new(),
            is_app: false,
            renamed_from: None,
        };
        let mut server = Self { kind, port, books: Arc::new(Mutex::new(books)), tasks: JoinSet::new() };
        server.listen(listener);
        server
    }

    fn listen(&mut self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state((self.kind, Arc::clone(&self.books)));
        self.tasks.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    }

    /// Refuses every connection from now on.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the port is still free");
        self.listen(listener);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn behave(&self, mood: Mood) {
        self.books().mood = mood;
    }

    /// What the next requests get, one after the other.
    pub fn behave_next(&self, moods: impl IntoIterator<Item = Mood>) {
        self.books().next.extend(moods);
    }

    /// The token is an app's from now on.
    pub fn take_for_app(&self) {
        self.books().is_app = true;
    }

    /// The repository was known by another path once.
    pub fn rename_from(&self, path: &str) {
        self.books().renamed_from = Some(path.to_owned());
    }

    pub fn add_comment(&self, author: u64, body: &str) {
        let mut books = self.books();
        let id = books.comments.len() as u64 + 1;
        books.comments.push(Comment { id, author, body: body.to_owned() });
    }

    /// Every status that was ever set, in its order.
    pub fn statuses(&self) -> Vec<Set> {
        self.books().statuses.clone()
    }

    pub fn comments(&self) -> Vec<Comment> {
        self.books().comments.clone()
    }

    /// Those whom the token is of.
    pub fn own_comments(&self) -> Vec<Comment> {
        self.comments().into_iter().filter(|it| it.author == USER).collect()
    }

    pub fn requests(&self) -> Vec<String> {
        self.books().requests.clone()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State((kind, books)): State<(ForgeKind, Arc<Mutex<Books>>)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("", |it| it.as_str()).to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let mood = {
        let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
        books.requests.push(format!("{} {path}", parts.method));
        books.next.pop_front().unwrap_or_else(|| books.mood.clone())
    };
    let refuse = |status: u16, headers: &[(&'static str, String)], message: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        let mut response = (status, json!({ "message": message }).to_string()).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        response
    };
    match mood {
        Mood::TooMany(seconds) => refuse(429, &[("retry-after", seconds.to_string())], "Too many requests"),
        Mood::Secondary(seconds) => {
            let headers = [("retry-after", seconds.to_string()), ("x-ratelimit-remaining", "4999".to_owned())];
            refuse(403, &headers, "You have exceeded a secondary rate limit")
        }
        Mood::Status(status) => refuse(status, &[], &format!("No, {TOKEN}")),
        Mood::Hang => std::future::pending().await,
        Mood::Swallow => {
            let _ = documented(kind, &books, &parts.method, &path, &parts.headers, &body);
            // Longer than any client of these tests waits.
            tokio::time::sleep(Duration::from_hours(1)).await;
            refuse(500, &[], "")
        }
        Mood::Elsewhere(place) => refuse(307, &[("location", format!("{place}{path}"))], "Moved"),
        Mood::Well => documented(kind, &books, &parts.method, &path, &parts.headers, &body),
    }
}

fn said(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).expect("a status"), body.to_string()).into_response()
}

fn documented(
    kind: ForgeKind,
    books: &Mutex<Books>,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (root, scheme) = match kind {
        ForgeKind::Github => ("/api/v3", "Bearer"),
        ForgeKind::Gitlab => ("/api/v4", "Bearer"),
        ForgeKind::Gitea => ("/api/v1", "token"),
    };
    let credentials = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if credentials != format!("{scheme} {TOKEN}") {
        return said(401, &json!({ "message": "Bad credentials" }));
    }
    let Some(path) = path.strip_prefix(root) else { return said(404, &json!({ "message": "Not Found" })) };
    if path == "/user" {
        return if books.is_app {
            said(403, &json!({ "message": "Resource not accessible by integration" }))
        } else {
            said(200, &json!({ "id": USER, "login": "bascule" }))
        };
    }
    let repository = match kind {
        ForgeKind::Github | ForgeKind::Gitea => format!("/repos/{REPOSITORY}/"),
        ForgeKind::Gitlab => format!("/projects/{}/", REPOSITORY.replace('/', "%2F")),
    };
    if let Some(rest) = books.renamed_from.as_ref().and_then(|old| path.strip_prefix(old.as_str())) {
        let place = format!("{root}{}{rest}", repository.trim_end_matches('/'));
        let mut response = said(307, &json!({ "message": "Moved" }));
        response.headers_mut().insert("location", place.parse().expect("a value"));
        return response;
    }
    let Some(path) = path.strip_prefix(&repository) else { return said(404, &json!({ "message": "Not Found" })) };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let (list, one) = match kind {
        ForgeKind::Github | ForgeKind::Gitea => (format!("issues/{PULL}/comments"), "issues/comments/".to_owned()),
        ForgeKind::Gitlab => (format!("merge_requests/{PULL}/notes"), format!("merge_requests/{PULL}/notes/")),
    };
    let edit = if kind == ForgeKind::Gitlab { Method::PUT } else { Method::PATCH };
    if let Some(sha) = path.strip_prefix("statuses/").filter(|_| method == Method::POST) {
        return set_status(kind, &mut books, sha, &body);
    }
    let text = body["body"].as_str().unwrap_or_default().to_owned();
    if path == list && method == Method::GET {
        return comments(kind, &books, query);
    }
    if text.is_empty() || text.chars().count() > 65_536 {
        return said(422, &json!({ "message": "Validation Failed" }));
    }
    if path == list && method == Method::POST {
        let comment = Comment { id: books.comments.len() as u64 + 1, author: USER, body: text };
        books.comments.push(comment.clone());
        return said(201, &shown(kind, &comment));
    }
    let id = path.strip_prefix(&one).and_then(|id| id.parse::<u64>().ok()).filter(|_| *method == edit);
    match id.and_then(|id| books.comments.iter_mut().find(|comment| comment.id == id)) {
        Some(comment) => {
            comment.body = text;
            said(200, &shown(kind, comment))
        }
        None => said(404, &json!({ "message": "Not Found" })),
    }
}

fn set_status(kind: ForgeKind, books: &mut Books, sha: &str, body: &Value) -> Response {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let context = text(if kind == ForgeKind::Gitlab { "name" } else { "context" });
    let (state, description) = (text("state"), text("description"));
    if sha.len() != 40 || sha.starts_with("0000") {
        return match kind {
            ForgeKind::Github => said(422, &json!({ "message": format!("No commit found for SHA: {sha}") })),
            ForgeKind::Gitlab => said(404, &json!({ "message": "404 Commit Not Found" })),
            ForgeKind::Gitea => said(404, &json!({ "message": "object does not exist" })),
        };
    }
    let (states, length_max): (&[&str], usize) = match kind {
        ForgeKind::Github => (&["error", "failure", "pending", "success"], 140),
        ForgeKind::Gitlab => (&["pending", "running", "success", "failed", "canceled", "skipped"], 255),
        ForgeKind::Gitea => (&["pending", "success", "error", "failure", "warning"], usize::MAX),
    };
    if !states.contains(&state.as_str()) || context.is_empty() || description.chars().count() > length_max {
        let errors = json!([{ "resource": "Status", "field": "description", "message": "description is too long" }]);
        return said(422, &json!({ "message": "Validation Failed", "errors": errors }));
    }
    let before = books.statuses.iter().rev().find(|it| it.sha == sha && it.context == context);
    if kind == ForgeKind::Gitlab && state == "pending" && before.is_some_and(|it| it.state == "pending") {
        let message = "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition)";
        return said(400, &json!({ "message": message }));
    }
    books.statuses.push(Set { sha: sha.to_owned(), context, state, description });
    said(201, &json!({}))
}

fn comments(kind: ForgeKind, books: &Books, query: &str) -> Response {
    let all: Vec<Value> = books.comments.iter().map(|comment| shown(kind, comment)).collect();
    if kind == ForgeKind::Gitea {
        return said(200, &Value::Array(all));
    }
    let number = |name: &str, default: usize| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (size, page) = (number("per_page", 30).min(100), number("page", 1));
    let from = ((page - 1) * size).min(all.len());
    let to = (from + size).min(all.len());
    let mut response = said(200, &Value::Array(all[from..to].to_vec()));
    if to < all.len() {
        // Where nobody shall go: pages are counted by whoever asks.
        let link = format!("<http://127.0.0.1:1/elsewhere?page={}>; rel=\"next\"", page + 1);
        response.headers_mut().insert("link", link.parse().expect("a value"));
    }
    response
}

fn shown(kind: ForgeKind, comment: &Comment) -> Value {
    let Comment { id, author, body } = comment;
    let kind_of_user = if *author == USER { "Bot" } else { "User" };
    let writer = json!({ "id": author, "type": kind_of_user });
    match kind {
        ForgeKind::Gitlab => json!({ "id": id, "body": body, "author": writer, "system": false }),
        ForgeKind::Github | ForgeKind::Gitea => json!({ "id": id, "body": body, "user": writer }),
    }
}
