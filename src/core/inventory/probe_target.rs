use std::net::IpAddr;

use url::{Host, Url};

use crate::core::model::RequestPath;

/// Where a backend may be probed: its own address and port, over its service's protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProbeTarget {
    /// `http` or `https`.
    pub(super) protocol: &'static str,
    /// The backend's address.
    pub(super) addr: IpAddr,
    /// The backend's port.
    pub(super) port: u16,
}

/// What is wrong with a backend's `health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetFault {
    /// Not a URL that a probe can ask for.
    Shape,
    /// Not the service's protocol.
    Protocol,
    /// Not the backend's address.
    Host,
    /// Not the backend's port.
    Port,
}

impl ProbeTarget {
    /// The path and query that a `health` value asks for: of a path, itself; of a URL, what follows the backend's own
    /// address.
    pub(super) fn path(self, text: &str) -> Result<RequestPath, TargetFault> {
        if text.starts_with('/') {
            return text.parse().map_err(|_| TargetFault::Shape);
        }
        let url = Url::parse(text).map_err(|_| TargetFault::Shape)?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !is_bare {
            return Err(TargetFault::Shape);
        }
        if url.scheme() != self.protocol {
            return Err(TargetFault::Protocol);
        }
        let host = match url.host() {
            Some(Host::Ipv4(addr)) => Some(IpAddr::V4(addr)),
            Some(Host::Ipv6(addr)) => Some(IpAddr::V6(addr)),
            Some(Host::Domain(_)) | None => None,
        };
        if host != Some(self.addr) {
            return Err(TargetFault::Host);
        }
        if url.port_or_known_default() != Some(self.port) {
            return Err(TargetFault::Port);
        }
        // The text after the authority, not the parsed path: what is probed is what was reviewed.
        let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
        let path = after_scheme.find(['/', '?']).map_or("", |at| &after_scheme[at..]);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        path.parse().map_err(|_| TargetFault::Shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_backend_itself_is_probed() {
        use TargetFault::{Host, Port, Protocol, Shape};
        let target = ProbeTarget { protocol: "http", addr: [10, 0, 0, 1].into(), port: 8080 };
        for (text, expected) in [
            ("/health", Ok("/health")),
            ("/health?deep=1", Ok("/health?deep=1")),
            ("http://10.0.0.1:8080", Ok("/")),
            ("http://10.0.0.1:8080/", Ok("/")),
            ("http://10.0.0.1:8080?a=b", Ok("/?a=b")),
            ("http://10.0.0.1:8080/a/b?c=d", Ok("/a/b?c=d")),
            ("https://10.0.0.1:8080/", Err(Protocol)),
            ("http://10.0.0.2:8080/", Err(Host)),
            ("http://localhost:8080/", Err(Host)),
            ("http://10.0.0.1/", Err(Port)),
            ("http://10.0.0.1:8081/", Err(Port)),
            ("http://root@10.0.0.1:8080/", Err(Shape)),
            ("http://10.0.0.1:8080/#top", Err(Shape)),
            ("http://10.0.0.1:8080/a\"b", Err(Shape)),
            ("http://", Err(Shape)),
        ] {
            let path = target.path(text);
            assert_eq!(path.as_ref().map(RequestPath::as_str).map_err(|fault| *fault), expected, "{text:?}");
        }
        let target = ProbeTarget { protocol: "https", addr: "fd00::1".parse().expect("an address"), port: 443 };
        assert_eq!(target.path("https://[fd00::1]/up").expect("its own").as_str(), "/up");
    }
}
