//! Opening connections, and whose fault it is when that fails.

use std::io;
use std::net::SocketAddr;

use openssl::asn1::{Asn1Time, TimeDiff};
use openssl::x509::X509;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_native_tls::native_tls;

use crate::core::health::Failure;
use crate::core::inventory::UpstreamTls;
use crate::core::model::{Hostname, Timestamp};

/// An open connection, with TLS or without.
pub(super) type Connection = Box<dyn ByteStream>;

/// What HTTP can be spoken over.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// What is spoken over a connection, which TLS agrees on by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1, which goes without saying.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How a backend is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) upstream: SocketAddr,
    pub(super) host: Option<&'a Hostname>,
    pub(super) tls: Option<&'a UpstreamTls>,
    pub(super) protocol: Protocol,
}

impl Way<'_> {
    /// Who is asked, as the request says it.
    pub(super) fn authority(&self) -> String {
        self.host.map_or_else(|| self.upstream.to_string(), ToString::to_string)
    }

    /// Opens a connection.
    pub(super) async fn open(&self, connectors: &Connectors) -> Result<Opened, Failure> {
        let stream = dial(self.upstream).await?;
        match self.tls {
            Some(tls) => connectors.secure(stream, self, tls).await,
            None => Ok(Opened { connection: Box::new(stream), certificate_ends: None }),
        }
    }
}

/// A fresh connection.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// When the certificate ends that was presented; none where there is none, or that cannot be read.
    pub(super) certificate_ends: Option<Timestamp>,
}

/// The ways to speak TLS. All are made once: each one that verifies reads the system's certificates, some hundred kilobytes
/// of files.
#[derive(Debug)]
pub(super) struct Connectors {
    http1: Pair,
    http2: Pair,
}

/// One that verifies certificates and one that takes any.
#[derive(Debug)]
struct Pair {
    verifying: tokio_native_tls::TlsConnector,
    trusting: tokio_native_tls::TlsConnector,
}

impl Pair {
    fn new(protocols: &[&str]) -> Result<Self, native_tls::Error> {
        let verifying = native_tls::TlsConnector::builder().request_alpns(protocols).build()?;
        let trusting = native_tls::TlsConnector::builder()
            .request_alpns(protocols)
            .disable_built_in_roots(true)
            .danger_accept_invalid_certs(true)
            .build()?;
        Ok(Self { verifying: verifying.into(), trusting: trusting.into() })
    }
}

/// HTTP/2 in ALPN (RFC 9113, section 3.2).
const H2: &str = "h2";

impl Connectors {
    pub(super) fn new() -> Result<Self, native_tls::Error> {
        Ok(Self { http1: Pair::new(&[])?, http2: Pair::new(&[H2])? })
    }

    /// Agrees on TLS. The name that is sent and that the certificate must carry is the declared one, else the host that is
    /// asked for, else the address (which is never sent: RFC 6066, section 3).
    async fn secure(&self, stream: TcpStream, way: &Way<'_>, tls: &UpstreamTls) -> Result<Opened, Failure> {
        let pair = match way.protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        };
        let connector = if tls.verify { &pair.verifying } else { &pair.trusting };
        let secured = match tls.server_name.as_ref().or(way.host) {
            Some(name) => connector.connect(name.as_str(), stream).await,
            None => connector.connect(&way.upstream.ip().to_string(), stream).await,
        };
        let stream = secured.map_err(|error| Failure::Tls(words(&error)))?;
        let secured = stream.get_ref();
        // A server that agrees on nothing would take HTTP/2 for a garbled request.
        let agreed = secured.negotiated_alpn().map_err(|error| Failure::Tls(words(&error)))?;
        if way.protocol == Protocol::Http2 && agreed.as_deref() != Some(H2.as_bytes()) {
            return Err(Failure::Tls("the server does not agree on HTTP/2 (`h2` by ALPN)".to_owned()));
        }
        let certificate = secured.peer_certificate().ok().flatten();
        let certificate_ends = certificate.and_then(|certificate| end_of(&certificate.to_der().ok()?));
        Ok(Opened { connection: Box::new(stream), certificate_ends })
    }
}

/// When a certificate ends, of which these are the bytes.
fn end_of(der: &[u8]) -> Option<Timestamp> {
    let certificate = X509::from_der(der).ok()?;
    let TimeDiff { days, secs } = Asn1Time::from_unix(0).ok()?.diff(certificate.not_after()).ok()?;
    let seconds = i64::from(days) * 86_400 + i64::from(secs);
    Some(Timestamp::from_unix_millis(seconds.saturating_mul(1000)))
}

/// Opens a TCP connection. It waits as long as the operating system does: the caller has the timeout.
pub(super) async fn dial(upstream: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(upstream).await.map_err(|error| failure_of(&error))?;
    // A request is one small write; it must not wait for the acknowledgement of another.
    stream.set_nodelay(true).map_err(|error| failure_of(&error))?;
    Ok(stream)
}

/// Opens a TCP connection and closes it at once.
///
/// It is closed with a reset. An orderly close leaves a `TIME_WAIT` behind at the side that closes first, a minute for each
/// probe, and an entry in the firewall's connection table for two: 120,000 and 240,000 of them at 2,000 probes a second,
/// where the usual table holds 65,536 to 262,144 and a full one drops everybody's packets. The price is that a server that
/// has accepted the connection reads "connection reset by peer" instead of an end, which some write to their log.
pub(super) async fn dial_and_close(upstream: SocketAddr) -> Result<(), Failure> {
    let stream = dial(upstream).await?;
    stream.set_zero_linger().map_err(|error| failure_of(&error))
}

/// Sorts what the operating system said: out of files, memory or ports, or forbidden by this machine's own rules, is the
/// prober's fault; everything else is told about the backend or the way to it.
pub(super) fn failure_of(error: &io::Error) -> Failure {
    match Errno::from_io_error(error) {
        Some(
            Errno::MFILE
            | Errno::NFILE
            | Errno::NOBUFS
            | Errno::NOMEM
            | Errno::ADDRNOTAVAIL
            | Errno::ACCESS
            | Errno::PERM,
        ) => Failure::Prober(words(error)),
        Some(Errno::TIMEDOUT) => Failure::Timeout,
        Some(Errno::CONNREFUSED | Errno::CONNRESET) => Failure::Refused(words(error)),
        Some(_) => Failure::Connect(words(error)),
        // Not the operating system's words but those of a layer above TCP: TLS that broke off, a body that ended early.
        None => Failure::Protocol(words(error)),
    }
}

/// An error with everything below it, outermost first. A part that the one above already says is not said again.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_this_machine_are_not_the_backends() {
        for (errno, expected) in [
            (Errno::MFILE, "prober"),
            (Errno::NFILE, "prober"),
            (Errno::NOBUFS, "prober"),
            (Errno::ADDRNOTAVAIL, "prober"),
            (Errno::PERM, "prober"),
            (Errno::CONNREFUSED, "refused"),
            (Errno::CONNRESET, "refused"),
            (Errno::HOSTUNREACH, "connect"),
            (Errno::NETUNREACH, "connect"),
            (Errno::TIMEDOUT, "timeout"),
        ] {
            let kind = match failure_of(&errno.into()) {
                Failure::Prober(_) => "prober",
                Failure::Connect(_) => "connect",
                Failure::Refused(_) => "refused",
                Failure::Timeout => "timeout",
                other => panic!("{errno}: {other:?}"),
            };
            assert_eq!(kind, expected, "{errno}");
        }
    }
}
