use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Request as HttpRequest, header};
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::connection::{Connection, stream};
use super::{DOMAIN, Failure, Lost, Shared, StreamKind};
use crate::backends::{BEAT, WHO};
use crate::world::SITES;

/// How long a client bears silence on a stream that has something to say ten times a second.
const SILENCE: Duration = Duration::from_secs(5);
/// Before a client opens a stream again.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a stream is opened anew at the start, to have one at the wished site.
const WISHES: u32 = 12;

/// Keeps one stream open until the load stops, opening it again whenever it is lost.
pub(super) async fn keep(kind: StreamKind, number: usize, shared: Arc<Shared>) {
    shared.stop.run_until_cancelled(keep_open(kind, number, &shared)).await;
}

async fn keep_open(kind: StreamKind, number: usize, shared: &Shared) {
    let site = SITES[number % SITES.len()];
    let mut wishes = WISHES;
    loop {
        let opened = timeout(SILENCE, Stream::open(kind)).await.unwrap_or(Err(Failure::Late));
        let Ok((mut stream, backend)) = opened else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // At the start every site shall have some. Later a site may be away.
        if wishes > 0 && !backend.starts_with(site) {
            wishes -= 1;
            continue;
        }
        wishes = 0;
        shared.seen().streams.push((kind, backend.clone()));
        while timeout(SILENCE, stream.beat()).await == Ok(true) {}
        shared.seen().lost.push(Lost { kind, backend, at: Instant::now() });
        tokio::time::sleep(PAUSE).await;
    }
}

enum Stream {
    WebSocket(Box<WebSocketStream<TcpStream>>, u64),
    Events(
        hyper::body::Incoming,
        #[expect(dead_code, reason = "held: without it the connection is closed")] Connection,
    ),
}

impl Stream {
    /// Opens a stream; tells who answers.
    async fn open(kind: StreamKind) -> Result<(Self, String), Failure> {
        match kind {
            StreamKind::WebSocket => {
                let request = format!("ws://{DOMAIN}/echo").into_client_request().map_err(|_| Failure::Wrong)?;
                let opened = tokio_tungstenite::client_async(request, stream().await?).await;
                let (socket, answer) = opened.map_err(|_| Failure::Closed)?;
                Ok((Self::WebSocket(Box::new(socket), 0), who(answer.headers())?))
            }
            StreamKind::Events => {
                let mut connection = Connection::open().await?;
                let request = HttpRequest::get("/events").header(header::HOST, DOMAIN);
                let answer = connection.send(request.body(Full::new(Bytes::new())).expect("a request")).await?;
                if answer.status() != 200 {
                    return Err(Failure::Status(answer.status().as_u16()));
                }
                let backend = who(answer.headers())?;
                Ok((Self::Events(answer.into_body(), connection), backend))
            }
        }
    }

    /// One message; false at the end.
    async fn beat(&mut self) -> bool {
        match self {
            Self::Events(body, _) => matches!(body.frame().await, Some(Ok(_))),
            Self::WebSocket(socket, number) => {
                tokio::time::sleep(BEAT).await;
                *number += 1;
                let text = number.to_string();
                if socket.send(Message::text(text.clone())).await.is_err() {
                    return false;
                }
                loop {
                    match socket.next().await {
                        Some(Ok(Message::Text(echo))) => return echo.as_str() == text,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        _ => return false,
                    }
                }
            }
        }
    }
}

fn who(headers: &axum::http::HeaderMap) -> Result<String, Failure> {
    let name = headers.get(WHO).and_then(|value| value.to_str().ok());
    name.map(str::to_owned).ok_or(Failure::Wrong)
}
