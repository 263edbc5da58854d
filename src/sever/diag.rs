//! The two messages of the kernel's socket diagnosis that are needed, as bytes (`linux/inet_diag.h`, `sock_diag(7)`).
//!
//! An own encoder of 100 lines: the crates for it bring a runtime or a dozen message types of which none is used here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `AF_INET` and `AF_INET6`. A program may dial an IPv4 address over a socket of either.
pub(super) const FAMILIES: [u8; 2] = [2, 10];

const IPPROTO_TCP: u8 = 6;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_DUMP: u16 = 0x300;

/// States in which somebody may wait for the other side: established, SYN sent, and closed by the other side only.
const STATES: u32 = (1 << 1) | (1 << 2) | (1 << 8);

/// Bytes of `struct nlmsghdr`, and of the two bodies.
const HEADER: usize = 16;
const SOCKET_ID: usize = 48;
const ANSWER_MIN: usize = 4 + SOCKET_ID;

/// A socket by what the kernel calls it: ports, addresses, interface and cookie, as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    family: u8,
    id: [u8; SOCKET_ID],
}

impl Socket {
    /// Whom it is connected to.
    pub(super) fn peer(&self) -> SocketAddr {
        let port = u16::from_be_bytes([self.id[2], self.id[3]]);
        let address: [u8; 16] = self.id[20..36].try_into().expect("16 bytes");
        let address = match self.family {
            2 => IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3])),
            _ => Ipv6Addr::from(address).to_canonical(),
        };
        SocketAddr::new(address, port)
    }
}

/// What the kernel answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A socket of a list.
    Listed(Socket),
    /// The end of a list.
    End,
    /// The outcome of a request: 0, or an error number.
    Outcome(i32),
}

/// Asks for every socket of a family that is connected to a port.
pub(super) fn list(family: u8, peer_port: u16) -> Vec<u8> {
    let mut id = [0; SOCKET_ID];
    id[2..4].copy_from_slice(&peer_port.to_be_bytes());
    request(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, &Socket { family, id })
}

/// Asks that a socket be given up, and for the outcome.
pub(super) fn destroy(socket: &Socket) -> Vec<u8> {
    request(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, socket)
}

/// A header and a `struct inet_diag_req_v2`.
fn request(kind: u16, flags: u16, socket: &Socket) -> Vec<u8> {
    let length = u32::try_from(HEADER + 8 + SOCKET_ID).expect("72 bytes");
    let mut bytes = Vec::with_capacity(HEADER + 8 + SOCKET_ID);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence number and sender: one request at a time, and the kernel fills in the sender.
    bytes.extend([0; 8]);
    bytes.extend([socket.family, IPPROTO_TCP, 0, 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.extend(socket.id);
    bytes
}

/// Takes apart what one read gave. What is cut short or of another kind is left out.
pub(super) fn replies(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while bytes.len() >= HEADER {
        let length = u32::from_ne_bytes(bytes[..4].try_into().expect("4 bytes")) as usize;
        if length < HEADER || length > bytes.len() {
            break;
        }
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        replies.extend(reply(kind, &bytes[HEADER..length]));
        // Messages begin at multiples of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    replies
}

fn reply(kind: u16, body: &[u8]) -> Option<Reply> {
    match kind {
        NLMSG_DONE => Some(Reply::End),
        NLMSG_ERROR => Some(Reply::Outcome(i32::from_ne_bytes(body.get(..4)?.try_into().ok()?).abs())),
        SOCK_DIAG_BY_FAMILY if body.len() >= ANSWER_MIN => {
            Some(Reply::Listed(Socket { family: body[0], id: body[4..ANSWER_MIN].try_into().ok()? }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + body.len()).expect("short").to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn socket(family: u8, address: &[u8], port: u16) -> Socket {
        let mut id = [0; SOCKET_ID];
        id[2..4].copy_from_slice(&port.to_be_bytes());
        id[20..20 + address.len()].copy_from_slice(address);
        Socket { family, id }
    }

    fn listed(socket: &Socket) -> Vec<u8> {
        let mut body = vec![socket.family, 1, 0, 0];
        body.extend(socket.id);
        body.extend([0; 20]);
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    #[test]
    fn peers_are_told_alike_over_either_family() {
        let mapped = Ipv4Addr::new(10, 200, 1, 23).to_ipv6_mapped().octets();
        for (socket, expected) in [
            (socket(2, &[10, 200, 1, 23], 8080), "10.200.1.23:8080"),
            (socket(10, &mapped, 8080), "10.200.1.23:8080"),
            (socket(10, &Ipv6Addr::LOCALHOST.octets(), 80), "[::1]:80"),
        ] {
            assert_eq!(socket.peer().to_string(), expected);
        }
    }

    #[test]
    fn several_messages_of_one_read_are_taken_apart() {
        let first = socket(2, &[10, 200, 1, 23], 8080);
        let refused = message(NLMSG_ERROR, &(-1i32).to_ne_bytes());
        let bytes = [listed(&first), message(16, &[1, 2, 3]), refused, message(NLMSG_DONE, &[0; 4])].concat();
        assert_eq!(replies(&bytes), [Reply::Listed(first), Reply::Outcome(1), Reply::End]);
    }

    #[test]
    fn what_is_cut_short_is_no_socket() {
        let whole = listed(&socket(2, &[10, 200, 1, 23], 8080));
        for length in 0..whole.len() {
            assert_eq!(replies(&whole[..length]), [], "{length} bytes");
        }
        assert_eq!(replies(&[0; 64]), [], "a length of nothing must not be read for ever");
    }
}
