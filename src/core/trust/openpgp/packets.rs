//! Packets one after the other (RFC 9580, section 4.2), cut before anything in them is read.

use pgp::packet::{Packet, PacketParser};

pub(super) const SIGNATURE: u8 = 2;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const SECRET_SUBKEY: u8 = 7;
pub(super) const MARKER: u8 = 10;
pub(super) const TRUST: u8 = 12;

/// A packet that was not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framed<'a> {
    /// What it is.
    pub(super) tag: u8,
    /// The whole of it, its header included.
    bytes: &'a [u8],
}

impl Framed<'_> {
    /// None where the library cannot read it.
    pub(super) fn read(self) -> Option<Packet> {
        PacketParser::new(self.bytes).next()?.ok()
    }
}

/// Cuts bytes into packets. None where they are not exactly that. Keys and signatures have their length in front: those
/// that are streamed are not taken, so that nothing is longer than what is there.
pub(super) fn framed(mut bytes: &[u8]) -> Option<Vec<Framed<'_>>> {
    let mut packets = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        if first & 0x80 == 0 {
            return None;
        }
        let (tag, (length, header)) = if first & 0x40 == 0 {
            ((first >> 2) & 0x0f, old_length(first & 3, rest)?)
        } else {
            (first & 0x3f, new_length(rest)?)
        };
        let (packet, after) = bytes.split_at_checked(length.checked_add(1 + header)?)?;
        packets.push(Framed { tag, bytes: packet });
        bytes = after;
    }
    Some(packets)
}

/// A length and by how many bytes it is written.
fn old_length(kind: u8, rest: &[u8]) -> Option<(usize, usize)> {
    match kind {
        0 => Some((usize::from(*rest.first()?), 1)),
        1 => Some((usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 2)),
        2 => Some((usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?, 4)),
        _ => None,
    }
}

fn new_length(rest: &[u8]) -> Option<(usize, usize)> {
    match *rest.first()? {
        length @ 0..192 => Some((usize::from(length), 1)),
        high @ 192..224 => Some(((usize::from(high) - 192) * 256 + usize::from(*rest.get(1)?) + 192, 2)),
        224..255 => None,
        255 => Some((usize::try_from(u32::from_be_bytes(*rest.get(1..)?.first_chunk()?)).ok()?, 5)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_read_in_all_their_forms_and_never_past_the_end() {
        for (header, tag, length) in [
            (&[0xc2, 3][..], 2, 3),
            (&[0xc6, 192, 8], 6, 200),
            (&[0xcd, 255, 0, 0, 0, 7], 13, 7),
            (&[0x88, 3], 2, 3),
            (&[0x99, 1, 0], 6, 256),
            (&[0xb6, 0, 0, 0, 9], 13, 9),
        ] {
            let mut bytes = [header, &vec![0; length]].concat();
            let packets = framed(&bytes).expect("a packet");
            assert_eq!(packets, [Framed { tag, bytes: &bytes }], "{header:?}");
            bytes.pop();
            assert_eq!(framed(&bytes), None, "{header:?} cut short");
        }
        for bytes in [&[0x02, 0][..], &[0x8b, 0], &[0xc2, 224, 0], &[0xc2, 255, 255, 255, 255, 255], &[0xc2]] {
            assert_eq!(framed(bytes), None, "{bytes:?}");
        }
        assert_eq!(framed(&[]), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_packet_ends_it(tag in 0_u8..64, body in proptest::collection::vec(any::<u8>(), 0..190)) {
            let length = u8::try_from(body.len()).expect("a byte");
            for packet in framed(&[&[0xc0 | tag, length], &body[..]].concat()).expect("a packet") {
                let _ = packet.read();
            }
        }
    }
}
