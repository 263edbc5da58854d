//! Where things listen and are reached.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use super::text::text_type;

/// A TCP port, never zero.
pub type Port = NonZeroU16;

/// The port that plain HTTP uses when none is named.
pub const HTTP_PORT: u16 = 80;
/// The port that HTTPS uses when none is named.
pub const HTTPS_PORT: u16 = 443;
/// Where Caddy's admin API listens unless it is told otherwise (Caddy documentation, "API").
pub const CADDY_ADMIN_PORT: u16 = 2019;

/// How bascule reaches a Caddy's admin API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdminAddress {
    /// `http://127.0.0.1:2019`: host (a name or an IP address, IPv6 in brackets) and port.
    Tcp {
        /// Host as it stands in a URL.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix//run/caddy/admin.sock`: an absolute path.
    Unix(PathBuf),
}

impl AdminAddress {
    fn parse(text: &str) -> Option<Self> {
        if has_braces_or_blanks(text) {
            return None;
        }
        if let Some(path) = text.strip_prefix("unix/") {
            let path = Path::new(path);
            return (path.is_absolute() && path.file_name().is_some()).then(|| Self::Unix(path.to_owned()));
        }
        // The URL standard mends capitals, backslashes and missing slashes; here there is one way to write an address.
        let rest = text.strip_prefix("http://")?;
        let is_plain = !rest.starts_with('/') && !rest.contains(['\\', '?', '#', '@']);
        let url = url::Url::parse(text).ok().filter(|_| is_plain)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty())?;
        bare.then(|| Self::Tcp { host: host.to_owned(), port: url.port().unwrap_or(HTTP_PORT) })
    }

    /// True for TCP on a loopback address: the Caddy behind it runs on this machine, in this network namespace.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                let addr = host.trim_matches(['[', ']']).parse::<IpAddr>();
                host == "localhost" || addr.is_ok_and(|addr| addr.is_loopback())
            }
            Self::Unix(_) => false,
        }
    }

    /// The port, where the address has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix/{}", path.display()),
        }
    }
}

text_type!(
    AdminAddress,
    name: "AdminAddress",
    expected: "an admin address such as `http://127.0.0.1:2019` or `unix//run/caddy/admin.sock`",
    pattern: r"^(http://[^\s{}/?#@]+/?|unix//[^\s{}]+)$",
    examples: ["http://127.0.0.1:2019", "unix//run/caddy/admin.sock"]
);

/// Where a program on the same machine or network is reached: `127.0.0.1:7501`, `bascule:7501`, or
/// `unix//run/bascule/relay.sock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DialAddress {
    /// Host (a name or an IP address, IPv6 in brackets) and port.
    Tcp {
        /// Host as it stands in a URL.
        host: String,
        /// Port.
        port: Port,
    },
    /// An absolute path.
    Unix(PathBuf),
}

/// Where bascule answers relays unless it is told otherwise.
pub const BASCULE_RELAY_PORT: Port = Port::new(7501).unwrap();
/// Where the relay listens inside an edge's Caddy unless it is told otherwise: beside Caddy's admin API.
const CADDY_RELAY_PORT: Port = Port::new(CADDY_ADMIN_PORT + 1).unwrap();

impl DialAddress {
    /// Where bascule answers relays by default.
    pub fn bascule_relay() -> Self {
        Self::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: BASCULE_RELAY_PORT }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix/") {
            let path = Path::new(path).to_owned();
            let is_good = path.is_absolute() && path.file_name().is_some() && !has_braces_or_blanks(text);
            return is_good.then_some(Self::Unix(path));
        }
        let (host, port) = text.rsplit_once(':')?;
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                host.parse::<super::Hostname>().is_ok_and(|name| !name.is_wildcard())
                    || host.parse::<IpAddr>().is_ok_and(|addr| addr.is_ipv4())
            }
        };
        is_host.then_some(Self::Tcp { host: host.to_owned(), port: parse_port(port)? })
    }
}

impl fmt::Display for DialAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix/{}", path.display()),
        }
    }
}

text_type!(
    DialAddress,
    name: "DialAddress",
    expected: "an address such as `127.0.0.1:7501` or `unix//run/bascule/relay.sock`",
    pattern: r"^([^\s/:@{}*?#%\\]+:[1-9][0-9]{0,4}|\[[0-9a-fA-F:.]+\]:[1-9][0-9]{0,4}|unix//[^\s{}]+)$",
    examples: ["127.0.0.1:7501", "unix//run/bascule/relay.sock"]
);

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// An address that an edge listens on: `:443`, `10.0.0.1:443`, `[::1]:8443`, `http://:8080`.
///
/// Without a scheme, port 80 is plain HTTP and every other port is HTTPS (or plain HTTP too, where the edge's
/// `tls.mode` is `off`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener {
    scheme: Option<Scheme>,
    /// None is every address of the machine.
    host: Option<IpAddr>,
    port: Port,
}

impl Listener {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(_) => return None,
            None => (None, text),
        };
        let (host, port) = rest.rsplit_once(':')?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            _ if host.is_empty() => None,
            Some(host) => Some(IpAddr::V6(host.parse().ok()?)),
            None => Some(IpAddr::V4(host.parse().ok()?)),
        };
        Some(Self { scheme, host, port: parse_port(port)? })
    }

    /// Where the relay listens inside an edge's Caddy by default.
    pub fn relay() -> Self {
        Self { scheme: None, host: Some(Ipv4Addr::LOCALHOST.into()), port: CADDY_RELAY_PORT }
    }

    /// What this listener speaks on an edge that terminates TLS.
    pub fn scheme(&self) -> Scheme {
        match self.scheme {
            Some(scheme) => scheme,
            None if self.port.get() == HTTP_PORT => Scheme::Http,
            None => Scheme::Https,
        }
    }

    /// True where `https://` is written out, so that `tls.mode: off` contradicts it.
    pub fn demands_tls(&self) -> bool {
        self.scheme == Some(Scheme::Https)
    }

    /// The address to bind; none is every address of the machine.
    pub fn host(&self) -> Option<IpAddr> {
        self.host
    }

    /// The port to bind.
    pub fn port(&self) -> Port {
        self.port
    }

    /// True where one Caddy cannot listen on both.
    pub fn clashes(&self, other: &Self) -> bool {
        let is_all = self.host.is_none() || other.host.is_none();
        self.port == other.port && (is_all || self.host == other.host)
    }

    /// True where it takes connections that are made to this admin address. A name other than `localhost` may be any address,
    /// which a listener on all addresses certainly takes.
    pub fn claims(&self, admin: &AdminAddress) -> bool {
        let AdminAddress::Tcp { host: admin, port } = admin else { return false };
        if self.port.get() != *port {
            return false;
        }
        let Some(own) = self.host.filter(|host| !host.is_unspecified()) else { return true };
        match admin.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(admin) => admin == own || admin.is_unspecified(),
            Err(_) => admin == "localhost" && own.is_loopback(),
        }
    }

    /// The address in Caddy's form: `:443`, `10.0.0.1:443`, `[::1]:443`.
    pub fn caddy_address(&self) -> String {
        match self.host {
            Some(host) => SocketAddr::new(host, self.port.get()).to_string(),
            None => format!(":{}", self.port),
        }
    }
}

/// A port written without sign or leading zero: one number, one spelling.
pub(super) fn parse_port(text: &str) -> Option<Port> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.as_str())?;
        }
        f.write_str(&self.caddy_address())
    }
}

text_type!(
    Listener,
    name: "Listener",
    expected: "an address to listen on such as `:443`, `10.0.0.1:443` or `http://:8080`",
    pattern: r"^(https?://)?([0-9.]+|\[[0-9a-fA-F:.]+\])?:[1-9][0-9]{0,4}$",
    examples: [":443", "http://:8080", "10.0.0.1:443"]
);

/// An e-mail address, as far as an ACME account needs one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

impl Email {
    fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
        let good = !local.is_empty()
            && local.bytes().all(is_plain)
            && domain.parse::<super::Hostname>().is_ok_and(|name| !name.is_wildcard());
        good.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(
    Email,
    name: "Email",
    expected: "an e-mail address such as `ops@acecinema.fr`",
    pattern: r"^[A-Za-z0-9._+-]+@[^\s/:@{}*?#%\\]+$",
    examples: ["ops@acecinema.fr"]
);

fn has_braces_or_blanks(text: &str) -> bool {
    text.contains(|c: char| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses and prints again: the canonical form, or none where the text is refused.
    fn canonical<T: std::str::FromStr + ToString>(text: &str) -> Option<String> {
        text.parse::<T>().ok().map(|value| value.to_string())
    }

    #[test]
    fn admin_addresses() {
        for (text, expected) in [
            ("http://127.0.0.1:2019", Some("http://127.0.0.1:2019")),
            ("http://[::1]:2019/", Some("http://[::1]:2019")),
            ("http://caddy:2019", Some("http://caddy:2019")),
            ("unix//run/caddy/admin.sock", Some("unix//run/caddy/admin.sock")),
            ("unix/run/caddy.sock", None),
            ("https://127.0.0.1:2019", None),
            ("http://user:secret@127.0.0.1:2019", None),
            ("http://127.0.0.1:2019/config/", None),
            ("127.0.0.1:2019", None),
            ("http://{env.ADMIN}:2019", None),
        ] {
            assert_eq!(canonical::<AdminAddress>(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn listeners() {
        for (text, expected) in [
            (":443", Some((Scheme::Https, ":443"))),
            (":80", Some((Scheme::Http, ":80"))),
            ("http://:8080", Some((Scheme::Http, ":8080"))),
            ("https://:80", Some((Scheme::Https, ":80"))),
            ("127.0.0.1:8443", Some((Scheme::Https, "127.0.0.1:8443"))),
            ("[::1]:8443", Some((Scheme::Https, "[::1]:8443"))),
            (":0", None),
            (":65536", None),
            (":+80", None),
            (":080", None),
            ("443", None),
            ("tcp://:80", None),
            ("localhost:80", None),
            ("10.0.0.1:0443", None),
            ("[fe80::1%1]:443", None),
            ("HTTP://:80", None),
        ] {
            let parsed = text.parse::<Listener>().ok();
            assert_eq!(
                parsed.map(|it| (it.scheme(), it.caddy_address())),
                expected.map(|(s, a)| (s, a.to_owned())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn emails() {
        for (text, good) in [
            ("ops@acecinema.fr", true),
            ("ops", false),
            ("@acecinema.fr", false),
            ("a@b@c", false),
            ("{env.X}@a.fr", false),
        ] {
            assert_eq!(canonical::<Email>(text).is_some(), good, "{text:?}");
        }
    }
}
