//! gRPC: the standard health check over HTTP/2. What travels is in docs/decisions/0015.

mod message;
mod status;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use h2::client::{Connection as H2Connection, SendRequest};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, Response, Uri};

use super::attempt::{Held, Kept, Means, Notes};
use super::dial::{Connection, Protocol, Way, failure_of, words};
use super::http::{AGENT, cannot, declare, take_report};
use crate::core::health::Failure;
use crate::core::inventory::GrpcProbe;

/// The method that is called.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Longest answer that is read. An honest one has seven bytes.
const ANSWER_MAX: usize = 4 * 1024;

/// Longest head of an answer that is read.
const HEAD_MAX: u32 = 16 * 1024;

/// A conversation in HTTP/2.
///
/// It is driven while a probe runs, inside the probe's own future, as with HTTP/1: idle ones need no task. What the server
/// says between two probes, such as a ping or that it will close, waits in the socket for the next one.
pub(super) struct Channel {
    sender: SendRequest<Bytes>,
    link: Link,
}

struct Link {
    connection: H2Connection<Connection, Bytes>,
    is_open: bool,
}

impl Link {
    /// Awaits `work` while the connection moves its bytes; none where the connection ended, and `work` never will.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.is_open && Pin::new(&mut self.connection).poll(context).is_ready() {
                // How it ended also reaches whoever waits for the answer; but not where it ended before both had agreed.
                self.is_open = false;
            }
            match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.is_open => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            }
        })
        .await
    }
}

/// Why no answer came.
struct Unanswered {
    failure: Failure,
    /// True where the server did not take the call up: it closed the connection, was about to, or refused the stream. On a
    /// connection that had been idle this says that the server was done with it, not that the server is unwell.
    may_be_stale: bool,
}

/// A gRPC probe.
pub(super) struct GrpcCall<'a> {
    means: &'a Means,
    way: Way<'a>,
    probe: &'a GrpcProbe,
    reports: bool,
}

impl<'a> GrpcCall<'a> {
    pub(super) fn new(means: &'a Means, upstream: SocketAddr, probe: &'a GrpcProbe, reports: bool) -> Self {
        let (host, tls) = (probe.host.as_ref(), probe.tls.as_ref());
        Self { means, way: Way { upstream, host, tls, protocol: Protocol::Http2 }, probe, reports }
    }

    /// Makes a whole call and returns the connection where it can be used again.
    pub(super) async fn make(&self, idle: Option<Kept>, notes: &mut Notes) -> Result<Option<Held>, Failure> {
        let request = self.request()?;
        let (mut channel, response) = self.answer(&request, idle, notes).await?;
        if self.reports {
            take_report(response.headers(), &mut notes.told);
        }
        match channel.judge(response, self.probe).await {
            Ok(()) => {}
            // An answer that does not pass is a whole answer all the same.
            Err(failure @ (Failure::Grpc(_) | Failure::Status(_))) => notes.refused = Some(failure),
            Err(failure) => return Err(failure),
        }
        Ok(channel.link.is_open.then_some(Held::Channel(channel)))
    }

    /// Calls on the idle connection, if there is one, and once more on a fresh one where that had been closed.
    async fn answer(
        &self,
        request: &Request<()>,
        idle: Option<Kept>,
        notes: &mut Notes,
    ) -> Result<(Box<Channel>, Response<h2::RecvStream>), Failure> {
        let message = Bytes::from(message::request(&self.probe.service));
        if let Some(Held::Channel(mut channel)) = notes.take_up(idle, &self.way) {
            match channel.ask(request.clone(), message.clone()).await {
                Ok(response) => return Ok((channel, response)),
                Err(Unanswered { may_be_stale: true, .. }) => {}
                Err(Unanswered { failure, .. }) => return Err(failure),
            }
        }
        let connection = notes.open(&self.means.connectors, &self.way).await?;
        let mut channel = Box::new(Channel::open(connection).await.map_err(unspoken)?);
        let asked = channel.ask(request.clone(), message).await;
        asked.map(|response| (channel, response)).map_err(|unanswered| unspoken(unanswered.failure))
    }

    fn request(&self) -> Result<Request<()>, Failure> {
        let uri = Uri::builder()
            .scheme(if self.way.tls.is_some() { "https" } else { "http" })
            .authority(self.way.authority())
            .path_and_query(CHECK)
            .build()
            .map_err(|error| cannot(&error))?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        declare(&self.probe.headers, &self.means.secrets, headers)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        // Without it, servers take the client for one that loses trailers.
        headers.insert(TE, HeaderValue::from_static("trailers"));
        Ok(request)
    }
}

impl Channel {
    async fn open(stream: Connection) -> Result<Self, Failure> {
        let mut settings = h2::client::Builder::new();
        settings.enable_push(false).max_header_list_size(HEAD_MAX);
        let opened = settings.handshake(stream).await;
        let (sender, connection) = opened.map_err(|error| unanswered(&error).failure)?;
        Ok(Self { sender, link: Link { connection, is_open: true } })
    }

    /// Sends the call and waits for the head of the answer.
    async fn ask(&mut self, request: Request<()>, message: Bytes) -> Result<Response<h2::RecvStream>, Unanswered> {
        let Self { sender, link } = self;
        let asked = async {
            poll_fn(|context| sender.poll_ready(context)).await?;
            let (response, mut stream) = sender.send_request(request, false)?;
            stream.send_data(message, true)?;
            response.await
        };
        let closed = || Unanswered { failure: Failure::Refused("connection closed".to_owned()), may_be_stale: true };
        link.drive(asked).await.ok_or_else(closed)?.map_err(|error| unanswered(&error))
    }

    /// Reads the rest of the answer and judges all of it.
    async fn judge(&mut self, response: Response<h2::RecvStream>, probe: &GrpcProbe) -> Result<(), Failure> {
        let (head, mut body) = response.into_parts();
        if head.status.as_u16() != 200 {
            return Err(Failure::Status(head.status.as_u16()));
        }
        let content = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content.starts_with("application/grpc") {
            return Err(Failure::Protocol(format!("no gRPC: its content type is `{content}`")));
        }
        // A call that fails at once says so in its head.
        if let Some(Err(failure)) = status::ended(&head.headers, probe) {
            return Err(failure);
        }
        let closed = || Failure::Protocol("broke off: connection closed".to_owned());
        let (answer, trailers) = self.link.drive(read(&mut body)).await.ok_or_else(closed)??;
        match status::ended(&trailers, probe).or_else(|| status::ended(&head.headers, probe)) {
            None => return Err(Failure::Protocol("no gRPC: the answer ended without `grpc-status`".to_owned())),
            Some(Err(failure)) => return Err(failure),
            Some(Ok(())) => {}
        }
        let health = message::response(&answer).map_err(|why| Failure::Protocol(why.to_owned()))?;
        status::judge(health, probe)
    }
}

/// Reads an answer to its end.
async fn read(body: &mut h2::RecvStream) -> Result<(Vec<u8>, HeaderMap), Failure> {
    let mut answer = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes.map_err(|error| broken_off(&error))?;
        answer.extend_from_slice(&bytes);
        if answer.len() > ANSWER_MAX {
            return Err(Failure::Protocol("no gRPC health: the answer is longer than 4 KiB".to_owned()));
        }
        // It fits into the window that the stream began with; this is for the connection's, which lasts.
        body.flow_control().release_capacity(bytes.len()).map_err(|error| broken_off(&error))?;
    }
    let trailers = body.trailers().await.map_err(|error| broken_off(&error))?;
    Ok((answer, trailers.unwrap_or_default()))
}

/// Sorts what ended an answer after its head had come.
fn broken_off(error: &h2::Error) -> Failure {
    match unanswered(error).failure {
        Failure::Connect(detail) | Failure::Refused(detail) => Failure::Protocol(format!("broke off: {detail}")),
        failure => failure,
    }
}

/// What a fresh connection ended with before an answer: often a server in HTTP/1 that hangs up on what it does not understand.
fn unspoken(failure: Failure) -> Failure {
    match failure {
        Failure::Connect(detail) | Failure::Refused(detail) | Failure::Protocol(detail)
            if !detail.contains("HTTP/2") =>
        {
            Failure::Protocol(format!("no answer in HTTP/2: {detail}"))
        }
        failure => failure,
    }
}

/// Sorts what HTTP/2 said. What the operating system says is told as it does; everything else is bad HTTP/2, such as an answer
/// in HTTP/1.
fn unanswered(error: &h2::Error) -> Unanswered {
    if let Some(io) = error.get_io() {
        return Unanswered { failure: failure_of(io), may_be_stale: true };
    }
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let may_be_stale = error.is_remote() && (error.is_go_away() || is_refused);
    let detail = words(error);
    let detail = if error.is_library() { format!("no HTTP/2: {detail}") } else { detail };
    Unanswered { failure: Failure::Protocol(detail), may_be_stale }
}
