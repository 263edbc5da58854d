use std::net::SocketAddr;

use super::{GrpcProbe, HttpProbe, ProbeKind};
use crate::core::model::Port;

/// What a probe tries, and how much of it has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tries {
    /// One thing, at the backend's own port.
    One(ProbeKind),
    /// Several, side by side; each has to pass.
    All(Vec<Try>),
    /// Several, side by side; one has to pass.
    Any(Vec<Try>),
}

impl From<ProbeKind> for Tries {
    fn from(kind: ProbeKind) -> Self {
        Self::One(kind)
    }
}

impl Tries {
    /// All that is tried.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &ProbeKind> {
        let (one, several) = match self {
            Self::One(kind) => (Some(kind), &[][..]),
            Self::All(tries) | Self::Any(tries) => (None, &tries[..]),
        };
        one.into_iter().chain(several.iter().map(|it| &it.kind))
    }

    /// What is asked of an address, in one text. That of one try is as it was before there were several, so that what was
    /// stored of it is believed.
    pub(super) fn identity(&self, upstream: SocketAddr) -> String {
        let each = |tries: &[Try]| -> Vec<String> {
            tries.iter().map(|one| one.kind.identity(one.upstream(upstream))).collect()
        };
        match self {
            Self::One(kind) => kind.identity(upstream),
            Self::All(tries) => format!("all {:?}", each(tries)),
            Self::Any(tries) => format!("any {:?}", each(tries)),
        }
    }
}

/// One of several things that a probe tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// A port other than the one that edges dial, at the same address.
    pub port: Option<Port>,
    /// What is tried.
    pub kind: ProbeKind,
}

impl Try {
    /// Where it is tried, of a backend that edges dial there.
    pub fn upstream(&self, backend: SocketAddr) -> SocketAddr {
        SocketAddr::new(backend.ip(), self.port.map_or(backend.port(), Port::get))
    }

    /// What is tried in a few words, for people to know it by: `GET /health`, `TCP at port 9090`.
    pub fn words(&self) -> String {
        let words = match &self.kind {
            ProbeKind::Http(HttpProbe { method, path, .. }) => format!("{} {path}", method.as_str()),
            ProbeKind::Grpc(GrpcProbe { service, .. }) if service.is_empty() => "gRPC".to_owned(),
            ProbeKind::Grpc(GrpcProbe { service, .. }) => format!("gRPC {service}"),
            ProbeKind::Tcp => "TCP".to_owned(),
        };
        match self.port {
            Some(port) => format!("{words} at port {port}"),
            None => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries() -> Vec<Try> {
        let http = HttpProbe::new("/health?full=1".parse().expect("a path"));
        let port = Some("9090".parse().expect("a port"));
        let grpc = GrpcProbe { service: "a.B".to_owned(), ..GrpcProbe::default() };
        vec![
            Try { port: None, kind: ProbeKind::Http(http) },
            Try { port, kind: ProbeKind::Grpc(grpc) },
            Try { port, kind: ProbeKind::Tcp },
            Try { port: None, kind: ProbeKind::Grpc(GrpcProbe::default()) },
        ]
    }

    #[test]
    fn tries_are_told_by_name() {
        let words: Vec<_> = tries().iter().map(Try::words).collect();
        assert_eq!(words, ["GET /health?full=1", "gRPC a.B at port 9090", "TCP at port 9090", "gRPC"]);
    }

    #[test]
    fn one_try_is_what_it_was_and_several_are_something_else() {
        let upstream: SocketAddr = "10.200.1.23:8080".parse().expect("an address");
        let texts = [
            Tries::One(ProbeKind::Tcp),
            Tries::All(vec![Try { port: None, kind: ProbeKind::Tcp }]),
            Tries::Any(vec![Try { port: None, kind: ProbeKind::Tcp }]),
            Tries::All(vec![Try { port: Some("81".parse().expect("a port")), kind: ProbeKind::Tcp }]),
        ]
        .map(|tries| tries.identity(upstream));
        let expected = [
            "tcp 10.200.1.23:8080",
            "all [\"tcp 10.200.1.23:8080\"]",
            "any [\"tcp 10.200.1.23:8080\"]",
            "all [\"tcp 10.200.1.23:81\"]",
        ];
        assert_eq!(texts, expected);
    }
}
