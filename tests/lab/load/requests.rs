use std::sync::Arc;
use std::time::Instant;

use axum::http::{Method, Request as HttpRequest, header};
use http_body_util::Full;
use hyper::body::Bytes;

use super::connection::{Connection, Pool, body};
use super::{DOMAIN, Failure, Kind, Request, Shared};
use crate::backends::{CHUNK_BYTES, CHUNKS, WHO, fingerprint};

/// Of ten requests, seven are GET and three POST; of each, more than half over kept connections.
const MIX: [Asked; 10] = {
    let [get_kept, get_new] = [Asked::new(Kind::Get, true), Asked::new(Kind::Get, false)];
    let [post_kept, post_new] = [Asked::new(Kind::Post, true), Asked::new(Kind::Post, false)];
    [get_kept, get_new, post_kept, get_kept, get_new, get_kept, post_new, get_new, get_kept, post_kept]
};
/// Bodies of POST: most fit into one packet of a socket's buffer, some do not.
const BODY_BYTES: usize = 4_000;
const LONG_BODY_BYTES: usize = 100_000;
/// One request in so many is a POST with a long body, which is one POST in twelve.
const LONG_EVERY: u32 = 40;
/// Which one of them: a POST by `MIX`.
const LONG_AT: u32 = 2;

/// What is asked, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    kind: Kind,
    is_kept: bool,
}

impl Asked {
    pub(super) const DOWNLOAD: Self = Self::new(Kind::Download, false);

    const fn new(kind: Kind, is_kept: bool) -> Self {
        Self { kind, is_kept }
    }

    /// What the request with a number asks.
    pub(super) const fn at(number: u32) -> Self {
        MIX[number as usize % MIX.len()]
    }
}

/// Names a request among all of all runs.
pub(super) struct Id {
    pub(super) run: String,
    pub(super) number: u32,
}

/// Sends one request and keeps what became of it.
pub(super) async fn ask(asked: Asked, begun: Instant, id: Id, pool: Arc<Pool>, shared: Arc<Shared>) {
    let (mut backend, mut resent) = (None, false);
    let end = begun + shared.offer.patience;
    let trying = attempt(asked, &id, &pool, Notes { backend: &mut backend, resent: &mut resent });
    let result = tokio::time::timeout_at(end.into(), trying).await.unwrap_or(Err(Failure::Late));
    let request = Request { kind: asked.kind, begun, ended: Instant::now(), failure: result.err(), backend, resent };
    shared.seen().requests.push(request);
}

/// What is worth knowing of a request that does not end well, too.
struct Notes<'a> {
    backend: &'a mut Option<String>,
    resent: &'a mut bool,
}

async fn attempt(asked: Asked, id: &Id, pool: &Pool, notes: Notes<'_>) -> Result<(), Failure> {
    let kept = if asked.is_kept { pool.take() } else { None };
    let is_reused = kept.is_some();
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open().await?,
    };
    let (request, expected) = request(asked, id);
    let mut answer = connection.send(request.clone()).await;
    if is_reused && asked.kind == Kind::Get && matches!(answer, Err(Failure::Closed)) {
        *notes.resent = true;
        connection = Connection::open().await?;
        answer = connection.send(request).await;
    }
    let answer = answer?;
    *notes.backend = answer.headers().get(WHO).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = answer.status();
    let body = body(answer).await?;
    if asked.is_kept {
        pool.give_back(connection).await;
    }
    match (status.as_u16(), expected) {
        (200, Expected::Bytes(length)) if body.len() != length => Err(Failure::Wrong),
        (200, Expected::Text(text)) if body != text => Err(Failure::Wrong),
        (200, _) => Ok(()),
        (status, _) => Err(Failure::Status(status)),
    }
}

enum Expected {
    Any,
    Bytes(usize),
    Text(String),
}

fn request(asked: Asked, id: &Id) -> (HttpRequest<Full<Bytes>>, Expected) {
    let Id { run, number } = id;
    let (method, path, body, expected) = match asked.kind {
        Kind::Get => (Method::GET, format!("/page/{number}"), Bytes::new(), Expected::Any),
        Kind::Download => (Method::GET, "/download".to_owned(), Bytes::new(), Expected::Bytes(CHUNKS * CHUNK_BYTES)),
        Kind::Post => {
            let length = if number % LONG_EVERY == LONG_AT { LONG_BODY_BYTES } else { BODY_BYTES };
            let body = vec![u8::try_from(number % 251).expect("less than 251"); length];
            let expected = Expected::Text(fingerprint(&body));
            (Method::POST, format!("/submit/{run}-{number}"), Bytes::from(body), expected)
        }
    };
    let mut builder = HttpRequest::builder().method(method).uri(path).header(header::HOST, DOMAIN);
    if !asked.is_kept {
        builder = builder.header(header::CONNECTION, "close");
    }
    (builder.body(Full::new(body)).expect("a request"), expected)
}
