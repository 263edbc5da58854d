//! Evidence: what clients meet at an edge, told as it happens. Caddy logs every answer of 500 or more that a service gives
//! into a datagram; bascule reads which backend gave it, and probes that one at once. Nothing else follows from it: only
//! probes judge.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::checks::Checking;
use super::handler::go_duration;
use super::json::{Encoder, EvidenceLog, Filter, FilterEncoder, Handler, LogField, LogName, NetWriter, Sampling};
use crate::core::model::{BackendName, ServiceName};
use crate::core::routing::{Effective, EffectiveService};

/// The logger of Caddy's for requests. Errors that Caddy has itself are logged under another name, and stay where they were.
pub(super) const ACCESS: &str = "http.log.access";
/// The logger of what is told; the names of edge and service follow.
const LOGGER: &str = "http.log.access.bascule";
/// The same to the server that logs.
const LOGGER_OF_SERVER: &str = "bascule";
/// The field with the address that was dialed last.
const UPSTREAM: &str = "{http.reverse_proxy.upstream.hostport}";
/// Answers a second that are told of, and of how many beyond one is. One would do to have a backend probed; so many leave
/// room for every backend beside a service that only has errors.
const TOLD_A_SECOND: u32 = 100;
/// A datagram goes out without waiting. This is for the name of a host that must be looked up before, when a configuration
/// is loaded.
const DIAL_MAX: Duration = Duration::from_millis(500);

/// Longest datagram: names have 63 bytes, an address 47, and Caddy's own words about a hundred.
pub const DATAGRAM_MAX: usize = 1024;

/// An answer that a client got, as an edge tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'d> {
    /// The edge that tells.
    pub edge: &'d str,
    /// The service.
    pub service: &'d str,
    /// The address that was dialed, the last one where several were.
    pub upstream: SocketAddr,
    /// The status of the answer: the backend's, or Caddy's own (502, 504) where none came from it.
    pub status: u16,
}

#[derive(Deserialize)]
struct Datagram<'d> {
    logger: &'d str,
    status: u16,
    upstream: &'d str,
}

/// What a datagram says; none for anything else. Fields that are not known here are let pass, since a newer Caddy may add
/// some.
pub fn read(datagram: &[u8]) -> Option<Told<'_>> {
    if datagram.len() > DATAGRAM_MAX {
        return None;
    }
    let text = std::str::from_utf8(datagram).ok()?;
    let Datagram { logger, status, upstream } = serde_json::from_str(text).ok()?;
    let (edge, service) = logger.strip_prefix(LOGGER)?.strip_prefix('.')?.split_once('.')?;
    let is_status = (500..600).contains(&status);
    Some(Told { edge, service, upstream: upstream.parse().ok()?, status }).filter(|_| is_status)
}

/// The backend that gave an answer; none for what is not planned.
pub fn backend_of<'e>(effective: &'e Effective, told: &Told<'_>) -> Option<&'e BackendName> {
    let service: ServiceName = told.service.parse().ok()?;
    let members = &effective.services.get(&service)?.members;
    let member = members.iter().find(|member| member.backend.upstream() == told.upstream)?;
    Some(&member.backend.name)
}

/// What stands before the links of a service: the name under which its requests are logged, and who was asked.
///
/// A request that no service has is logged under Caddy's own name, and told to nobody: what strangers ask for could fill
/// what is told of otherwise.
pub(super) fn handlers<'e>(
    effective: &EffectiveService,
    checking: &Checking<'_>,
) -> impl Iterator<Item = Handler<'e>> + use<'e> {
    let of_edge = |edge: &str| {
        let names = [format!("{LOGGER_OF_SERVER}.{edge}.{}", effective.service.name)];
        let name = Handler::LogName(LogName { names, handler: "vars" });
        [name, Handler::LogField(LogField { handler: "log_append", key: "upstream", value: UPSTREAM })]
    };
    checking.evidence().map(|(edge, _)| of_edge(edge.name.as_str())).into_iter().flatten()
}

/// The log that tells bascule.
pub(super) fn log(checking: &Checking<'_>) -> Option<EvidenceLog> {
    let (_, relay) = checking.evidence()?;
    let deleted = ["bytes_read", "duration", "request", "resp_headers", "size", "user_id"];
    Some(EvidenceLog {
        encoder: FilterEncoder {
            fields: deleted.map(|field| (field, Filter { filter: "delete" })).into(),
            format: "filter",
            wrap: Encoder { format: "json" },
        },
        include: [LOGGER],
        level: "ERROR",
        sampling: Sampling { first: TOLD_A_SECOND, interval: 1_000_000_000, thereafter: TOLD_A_SECOND },
        writer: NetWriter {
            address: format!("udp/{}", relay.bascule),
            dial_timeout: go_duration(DIAL_MAX),
            output: "net",
            soft_start: true,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"level":"error","ts":1795942311.2,"logger":"http.log.access.bascule.ovh.api","msg":"handled request","status":500,"upstream":"10.200.1.23:8080"}"#;

    #[test]
    fn only_what_an_edge_tells_is_read() {
        let expected = Told { edge: "ovh", service: "api", upstream: ([10, 200, 1, 23], 8080).into(), status: 500 };
        assert_eq!(read(TOLD.as_bytes()), Some(expected));
        assert_eq!(read(format!("{TOLD}\n").as_bytes()), Some(expected), "as Caddy ends it");
        let newer = TOLD.replace("\"msg\"", "\"new\":{\"a\":1},\"msg\"");
        assert_eq!(read(newer.as_bytes()), Some(expected), "with what a newer Caddy adds");
        let bracketed = TOLD.replace("10.200.1.23:8080", "[2001:db8::1]:80");
        assert_eq!(read(bracketed.as_bytes()).map(|told| told.upstream.port()), Some(80));
        let padded = |length: usize| format!("{TOLD}{}", " ".repeat(length - TOLD.len()));
        assert_eq!(read(padded(DATAGRAM_MAX).as_bytes()), Some(expected));
        let garbage = [
            String::new(),
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            TOLD[..TOLD.len() - 1].to_owned(),
            format!("{TOLD}{TOLD}"),
            padded(DATAGRAM_MAX + 1),
            TOLD.replace(".bascule.ovh.api", ""),
            TOLD.replace(".bascule.ovh.api", ".bascule"),
            TOLD.replace(".bascule.ovh.api", ".basculed.ovh.api"),
            TOLD.replace(".ovh.api", ".ovh"),
            TOLD.replace(":500", ":404"),
            TOLD.replace(":500", ":600"),
            TOLD.replace(":500", ":70000"),
            TOLD.replace(":500", ":-1"),
            TOLD.replace("\"status\":500", "\"status\":\"500\""),
            TOLD.replace("10.200.1.23:8080", "10.200.1.23"),
            TOLD.replace("10.200.1.23:8080", "dijon:80"),
            TOLD.replace("\"10.200.1.23:8080\"", "null"),
        ];
        for text in garbage {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        let mut bytes = TOLD.as_bytes().to_vec();
        for at in 0..bytes.len() {
            bytes[at] ^= 0x80;
            assert_eq!(read(&bytes), None, "no UTF-8 at {at}");
            bytes[at] ^= 0x80;
        }
    }
}
