//! One request over one connection.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::dial::{Connection, failure_of, words};
use crate::core::health::{Failure, Report};

/// What every probe calls itself.
const AGENT: &str = concat!("bascule/", env!("CARGO_PKG_VERSION"));

/// A body is read up to here, so that the connection can be used again; for a longer one, a new connection is cheaper.
pub(super) const BODY_MAX: usize = 16 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// Method.
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) path: &'a str,
    /// Value of the `Host` header.
    pub(super) host: &'a str,
    /// Other headers.
    pub(super) headers: &'a BTreeMap<String, String>,
}

/// An answer whose head has come, with the connection on which the rest of it still has to come.
pub(super) struct Answer {
    sender: http1::SendRequest<Empty<Bytes>>,
    link: Link,
    response: Response<Incoming>,
}

/// Why no answer came.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    /// True where the connection ended without a byte of an answer that could be understood, or held bytes before anything
    /// was asked (hyper takes them for no answer: the `408` that some servers send before they close). On a connection
    /// that had been idle this says that the server was done with it, not that the server is unwell.
    pub(super) may_be_stale: bool,
}

/// hyper's side of the connection.
///
/// A hyper connection keeps a read buffer of 8 KiB and is meant to live in a task of its own. 10,000 idle ones would be
/// 80 MB and 10,000 tasks. Here it lives as long as one exchange, inside the probe's own future, and gives the bare
/// stream back.
struct Link {
    connection: http1::Connection<TokioIo<Connection>, Empty<Bytes>>,
    is_open: bool,
}

impl Link {
    /// Awaits `work` while the connection moves its bytes.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.is_open && self.connection.poll_without_shutdown(context).is_ready() {
                // How it ended also reaches whoever waits for the answer or its body.
                self.is_open = false;
            }
            work.as_mut().poll(context)
        })
        .await
    }
}

/// Sends the request and waits for the head of the answer.
pub(super) async fn ask(stream: Connection, question: Question<'_>) -> Result<Answer, Unanswered> {
    let request = request(question).map_err(|failure| Unanswered { failure, may_be_stale: false })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| unanswered(&error))?;
    let mut link = Link { connection, is_open: true };
    let asked = sender.send_request(request);
    let response = link.drive(asked).await.map_err(|error| unanswered(&error))?;
    Ok(Answer { sender, link, response })
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// What the backend says of itself in the head.
    pub(super) fn report(&self) -> Report {
        let values = self.response.headers().get_all(Report::HEADER);
        Report::of(values.iter().filter_map(|value| value.to_str().ok()))
    }

    /// Reads the body until more than `max` bytes have come, and shows each piece. Returns the connection where it can carry
    /// another request.
    pub(super) async fn end(self, mut show: impl FnMut(&[u8]), max: usize) -> Result<Option<Connection>, Failure> {
        let Self { sender, mut link, response } = self;
        let mut body = response.into_body();
        let mut read = 0;
        while let Some(frame) = link.drive(body.frame()).await {
            let frame = frame.map_err(|error| broken_off(&error))?;
            let Some(bytes) = frame.data_ref() else { continue };
            show(bytes);
            read += bytes.len();
            if read > max {
                return Ok(None);
            }
        }
        // One more look lets the connection turn to the next request, or end where the server wants that.
        let is_ready = poll_fn(|context| {
            let ended = !link.is_open || link.connection.poll_without_shutdown(context).is_ready();
            Poll::Ready(!ended && sender.is_ready())
        })
        .await;
        let parts = link.connection.into_parts();
        // Bytes that nobody asked for would be taken for the next answer.
        Ok((is_ready && parts.read_buf.is_empty()).then(|| parts.io.into_inner()))
    }
}

/// Sorts what hyper said after the head had come: whatever ended the connection, the answer broke off.
fn broken_off(error: &hyper::Error) -> Failure {
    match unanswered(error).failure {
        Failure::Connect(detail) | Failure::Refused(detail) => Failure::Protocol(format!("broke off: {detail}")),
        failure => failure,
    }
}

fn request(question: Question<'_>) -> Result<Request<Empty<Bytes>>, Failure> {
    let Question { method, path, host, headers } = question;
    let cannot = |error: hyper::http::Error| Failure::Prober(words(&error));
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static(AGENT))
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .body(Empty::new())
        .map_err(cannot)?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| cannot(error.into()))?;
        let value = HeaderValue::from_str(value).map_err(|error| cannot(error.into()))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// Sorts what hyper said. A reset is told as the operating system tells it; everything else is bad HTTP.
fn unanswered(error: &hyper::Error) -> Unanswered {
    let mut source = std::error::Error::source(error);
    while let Some(below) = source {
        if let Some(io) = below.downcast_ref::<std::io::Error>() {
            return Unanswered { failure: failure_of(io), may_be_stale: true };
        }
        source = below.source();
    }
    let may_be_stale = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    Unanswered { failure: Failure::Protocol(words(error)), may_be_stale }
}
