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

/// The two ways to speak TLS. Both are made once: each one that verifies reads the system's certificates, some hundred
/// kilobytes of files.
#[derive(Debug)]
pub(super) struct Connectors {
    verifying: tokio_native_tls::TlsConnector,
    trusting: tokio_native_tls::TlsConnector,
}

impl Connectors {
    pub(super) fn new() -> Result<Self, native_tls::Error> {
        let verifying = native_tls::TlsConnector::new()?;
        let trusting = native_tls::TlsConnector::builder()
            .disable_built_in_roots(true)
            .danger_accept_invalid_certs(true)
            .build()?;
        Ok(Self { verifying: verifying.into(), trusting: trusting.into() })
    }

    /// Agrees on TLS. The name that is sent and that the certificate must carry is the declared one, else the host that is
    /// asked for, else the address (which is never sent: RFC 6066, section 3).
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        upstream: SocketAddr,
        tls: &UpstreamTls,
        host: Option<&Hostname>,
    ) -> Result<Secured, Failure> {
        let connector = if tls.verify { &self.verifying } else { &self.trusting };
        let secured = match tls.server_name.as_ref().or(host) {
            Some(name) => connector.connect(name.as_str(), stream).await,
            None => connector.connect(&upstream.ip().to_string(), stream).await,
        };
        let stream = secured.map_err(|error| Failure::Tls(words(&error)))?;
        let certificate = stream.get_ref().peer_certificate().ok().flatten();
        let certificate_ends = certificate.and_then(|certificate| end_of(&certificate.to_der().ok()?));
        Ok(Secured { connection: Box::new(stream), certificate_ends })
    }
}

/// A connection with TLS.
pub(super) struct Secured {
    pub(super) connection: Connection,
    /// When the certificate ends that was presented; none where that cannot be read.
    pub(super) certificate_ends: Option<Timestamp>,
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
