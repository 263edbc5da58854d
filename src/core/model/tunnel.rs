//! What a tunnel is named by: an interface, a peer's key, a gateway behind it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::{Port, parse_port};
use super::text::text_type;

/// The name of a network interface, as wg-quick(8) takes one: 15 characters at most, which is what Linux keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_=+.-".contains(&byte);
        // It becomes a part of a path and an argument of a program.
        let is_name = !text.starts_with(['.', '-']) && (1..=15).contains(&text.len()) && text.bytes().all(is_plain);
        is_name.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(
    InterfaceName,
    name: "InterfaceName",
    expected: "the name of a network interface such as `wg0`",
    pattern: r"^[a-zA-Z0-9_=+][a-zA-Z0-9_=+.-]{0,14}$",
    examples: ["wg0"]
);

/// A WireGuard peer's public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey([u8; 32]);

impl PeerKey {
    fn parse(text: &str) -> Option<Self> {
        // This alphabet's decoder refuses bits that no byte needs, so that a key has one spelling.
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// From 64 hexadecimal digits, as WireGuard's configuration protocol has it.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(key))
    }

    /// Its first characters: enough to find it among others.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect::<String>() + "…"
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

text_type!(
    PeerKey,
    name: "PeerKey",
    expected: "a WireGuard public key: 44 characters as `wg pubkey` prints them",
    pattern: "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
    examples: ["NLyjzYH8lnSiI3t1bVuqSPjLFMrTaxJYjE4gaASSgjs="]
);

/// The port that a gateway is asked on where none is declared: `discard`. Next to nobody serves it, so a machine that is
/// there refuses, and no server's log fills.
const GATEWAY_PORT: Port = Port::new(9).unwrap();

/// A machine behind a tunnel that answers whenever the tunnel works: an IP address, with a TCP port or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayAddress {
    ip: IpAddr,
    port: Option<Port>,
}

impl GatewayAddress {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self { ip, port: None });
        }
        let (host, port) = text.rsplit_once(':')?;
        let ip = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => IpAddr::V6(host.parse().ok()?),
            None => IpAddr::V4(host.parse().ok()?),
        };
        Some(Self { ip, port: Some(parse_port(port)?) })
    }

    /// Its IP address.
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Where a connection is tried.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(GATEWAY_PORT).get())
    }
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(_) => self.socket().fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

text_type!(
    GatewayAddress,
    name: "GatewayAddress",
    expected: "an IP address, with a port or without, such as `10.200.1.1` or `10.200.1.1:22`",
    pattern: r"^([0-9.]+(:[1-9][0-9]{0,4})?|[0-9a-fA-F:.]+|\[[0-9a-fA-F:.]+\]:[1-9][0-9]{0,4})$",
    examples: ["10.200.1.1", "10.200.1.1:22"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces() {
        for (text, good) in [
            ("wg0", true),
            ("wg-dijon.1", true),
            ("", false),
            ("..", false),
            ("-h", false),
            ("a/b", false),
            ("wg 0", false),
            ("fifteen-letters", true),
            ("sixteen-letters-", false),
        ] {
            assert_eq!(text.parse::<InterfaceName>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn keys_are_one_thing_in_both_spellings() {
        let text = "NLyjzYH8lnSiI3t1bVuqSPjLFMrTaxJYjE4gaASSgjs=";
        let key: PeerKey = text.parse().expect("a key");
        assert_eq!(key.to_string(), text);
        let hex = key.0.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(PeerKey::from_hex(&hex), Some(key));
        assert_eq!(PeerKey::from_hex(&hex[2..]), None);
        assert_eq!(PeerKey::from_hex(&format!("{}zz", &hex[2..])), None);
        for bad in ["", "NLyjzYH8", &text[1..], &text.replace("js=", "jt="), &text.replace('=', "A")] {
            assert!(bad.parse::<PeerKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn gateways() {
        for (text, expected) in [
            ("10.200.1.1", Some("10.200.1.1:9")),
            ("10.200.1.1:22", Some("10.200.1.1:22")),
            ("fd00::1", Some("[fd00::1]:9")),
            ("[fd00::1]:22", Some("[fd00::1]:22")),
            ("[fd00::1]", None),
            ("gateway", None),
            ("10.200.1.1:0", None),
            ("10.200.1.1:022", None),
            ("http://10.200.1.1", None),
        ] {
            let parsed = text.parse::<GatewayAddress>().ok();
            assert_eq!(parsed.map(|it| it.socket().to_string()).as_deref(), expected, "{text}");
            assert!(parsed.is_none_or(|it| it.to_string() == text), "{text}");
        }
    }
}
