//! HTTP/1: one request over one connection.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::attempt::{Held, Kept, Means, Notes};
use super::dial::{Connection, Protocol, Way, failure_of, words};
use super::secrets::SecretReader;
use crate::core::health::{Failure, Report, Told};
use crate::core::inventory::{BodyExpectation, HttpProbe, SecretText};

/// What every probe calls itself.
pub(super) const AGENT: &str = concat!("bascule/", env!("CARGO_PKG_VERSION"));

/// A body is read up to here, so that the connection can be used again; for a longer one, a new connection is cheaper.
const BODY_MAX: usize = 16 * 1024;

/// An HTTP probe.
pub(super) struct HttpCall<'a> {
    means: &'a Means,
    way: Way<'a>,
    probe: &'a HttpProbe,
    reports: bool,
}

impl<'a> HttpCall<'a> {
    pub(super) fn new(means: &'a Means, upstream: SocketAddr, probe: &'a HttpProbe, reports: bool) -> Self {
        let (host, tls) = (probe.host.as_ref(), probe.tls.as_ref());
        Self { means, way: Way { upstream, host, tls, protocol: Protocol::Http1 }, probe, reports }
    }

    /// Gets a whole answer and returns the connection where it can be used again. A status that does not pass is noted as
    /// soon as it is known, so that it also holds when the rest never comes.
    ///
    /// Redirects are answers like any other: following one would ask somebody else.
    pub(super) async fn make(&self, idle: Option<Kept>, notes: &mut Notes) -> Result<Option<Held>, Failure> {
        let answer = self.answer(idle, notes).await?;
        let status = answer.response.status().as_u16();
        if self.reports {
            take_report(answer.response.headers(), &mut notes.told);
        }
        let HttpProbe { status: expected, body, .. } = self.probe;
        if !expected.iter().any(|range| range.contains(status)) {
            notes.refused = Some(Failure::Status(status));
        }
        let Some(expectation) = body.as_ref().filter(|_| notes.refused.is_none()) else {
            return Ok(answer.end(|_| {}, BODY_MAX).await?.map(Held::Stream));
        };
        let mut body = Vec::new();
        let idle = answer.end(|bytes| body.extend_from_slice(bytes), BodyExpectation::READ_MAX).await?;
        body.truncate(BodyExpectation::READ_MAX);
        expectation.judge(&body).map_err(Failure::Body)?;
        Ok(idle.map(Held::Stream))
    }

    /// Asks on the idle connection, if there is one. Where that turns out to have been closed, asks once more on a fresh
    /// one: a server may close an idle connection at any moment, also in the one in which the request is on its way (RFC
    /// 9112, section 9.3.1).
    async fn answer(&self, idle: Option<Kept>, notes: &mut Notes) -> Result<Answer, Failure> {
        let host = self.way.authority();
        let HttpProbe { method, path, headers, .. } = self.probe;
        let secrets = &self.means.secrets;
        let question = Question { method: method.as_str(), path: path.as_str(), host: &host, headers, secrets };
        if let Some(Held::Stream(connection)) = notes.take_up(idle, &self.way) {
            match ask(connection, question).await {
                Err(unanswered) if unanswered.may_be_stale => {}
                result => return result.map_err(|unanswered| unanswered.failure),
            }
        }
        // What cannot be reached needs no secret; whether there is one is known all the same.
        let opened = notes.open(&self.means.connectors, &self.way).await;
        let connection = opened.inspect_err(|_| secrets.look(headers))?;
        ask(connection, question).await.map_err(|unanswered| unanswered.failure)
    }
}

/// Most characters of a report that are repeated where it means nothing.
const UNREAD_MAX: usize = 64;

/// Takes what a backend says of itself in the head of an answer.
pub(super) fn take_report(headers: &HeaderMap, told: &mut Told) {
    let values =
        || headers.get_all(Report::HEADER).iter().map(|value| value.to_str().unwrap_or("letters beyond ASCII"));
    told.report = Some(Report::of(values()));
    told.unread = Report::unread(values()).map(|word| word.chars().take(UNREAD_MAX).collect::<String>().into());
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    method: &'static str,
    /// Path and query.
    path: &'a str,
    /// Value of the `Host` header.
    host: &'a str,
    /// Other headers.
    headers: &'a BTreeMap<String, SecretText>,
    /// Those that the headers may name.
    secrets: &'a SecretReader,
}

/// An answer whose head has come, with the connection on which the rest of it still has to come.
struct Answer {
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
async fn ask(stream: Connection, question: Question<'_>) -> Result<Answer, Unanswered> {
    let request = request(question).map_err(|failure| Unanswered { failure, may_be_stale: false })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| unanswered(&error))?;
    let mut link = Link { connection, is_open: true };
    let asked = sender.send_request(request);
    let response = link.drive(asked).await.map_err(|error| unanswered(&error))?;
    Ok(Answer { sender, link, response })
}

impl Answer {
    /// Reads the body until more than `max` bytes have come, and shows each piece. Returns the connection where it can carry
    /// another request.
    async fn end(self, mut show: impl FnMut(&[u8]), max: usize) -> Result<Option<Connection>, Failure> {
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
    let Question { method, path, host, headers, secrets } = question;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static(AGENT))
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .body(Empty::new())
        .map_err(|error| cannot(&error))?;
    declare(headers, secrets, request.headers_mut())?;
    Ok(request)
}

/// Adds the headers that a probe declares, with the secrets that they name.
pub(super) fn declare(
    declared: &BTreeMap<String, SecretText>,
    secrets: &SecretReader,
    headers: &mut HeaderMap,
) -> Result<(), Failure> {
    for (name, text) in declared {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| cannot(&error))?;
        let revealed = text.reveal(|secret| secrets.read(secret)).map_err(|error| {
            // Whoever mends one is to know of the others.
            secrets.look(declared);
            cannot(&error)
        })?;
        let mut value = HeaderValue::from_str(&revealed).map_err(|error| cannot(&error))?;
        value.set_sensitive(text.literal().is_none());
        headers.insert(name, value);
    }
    Ok(())
}

/// A request that cannot even be written: the inventory's rules have a hole.
pub(super) fn cannot(error: &dyn std::error::Error) -> Failure {
    Failure::Prober(words(error))
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
