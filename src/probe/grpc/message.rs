//! The two messages of `grpc.health.v1`, as they travel. Each has one field; see docs/decisions/0015.

/// Tag of field 1 with a text in it.
const SERVICE: u8 = (1 << 3) | 2;
/// Tag of field 1 with a number in it.
const STATUS: u64 = 1 << 3;
/// Flag and length before each message of gRPC.
const PREFIX: usize = 5;

/// What `HealthCheckResponse` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
    /// A number that no version of the protocol has so far.
    Other(u64),
}

/// A `HealthCheckRequest` with its prefix.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(SERVICE);
        put_number(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend(message);
    framed
}

/// Reads a `HealthCheckResponse` with its prefix; why not, in words.
pub(super) fn response(framed: &[u8]) -> Result<Health, &'static str> {
    let (prefix, message) = framed.split_at_checked(PREFIX).ok_or("no message")?;
    let (flag, length) = prefix.split_first().ok_or("no message")?;
    if *flag != 0 {
        return Err("a compressed message, which nobody asked for");
    }
    let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if length != message.len() {
        return Err("not one whole message");
    }
    // A field that is left out has its default, 0; of one that is there twice the last counts.
    let mut status = 0;
    let mut rest = message;
    while !rest.is_empty() {
        let tag = take_number(&mut rest)?;
        let is_status = tag == STATUS;
        match tag & 7 {
            0 => {
                let number = take_number(&mut rest)?;
                status = if is_status { number } else { status };
            }
            1 => skip(&mut rest, 8)?,
            2 => {
                let length = take_number(&mut rest)?;
                skip(&mut rest, usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            5 => skip(&mut rest, 4)?,
            _ => return Err(GARBLED),
        }
    }
    Ok(match status {
        0 => Health::Unknown,
        1 => Health::Serving,
        2 => Health::NotServing,
        3 => Health::ServiceUnknown,
        other => Health::Other(other),
    })
}

const GARBLED: &str = "a message that is no HealthCheckResponse";

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn put_number(mut number: u64, into: &mut Vec<u8>) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return into.push(low);
        }
        into.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(GARBLED)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(GARBLED)
}

fn skip(bytes: &mut &[u8], count: usize) -> Result<(), &'static str> {
    *bytes = bytes.get(count..).ok_or(GARBLED)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_protobuf_writes_them() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = "s".repeat(300);
        let framed = request(&long);
        // 300 is 0b10_0101100.
        assert_eq!(framed[..8], [0, 0, 0, 1, 47, 0x0a, 0b1010_1100, 0b10]);
        assert_eq!(framed.len(), 5 + 303);
    }

    #[test]
    fn responses_are_read() {
        for (framed, expected) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Ok(Health::Serving)),
            (&[0, 0, 0, 0, 2, 8, 2], Ok(Health::NotServing)),
            (&[0, 0, 0, 0, 2, 8, 3], Ok(Health::ServiceUnknown)),
            (&[0, 0, 0, 0, 3, 8, 0x80, 1], Ok(Health::Other(128))),
            (&[0, 0, 0, 0, 0], Ok(Health::Unknown)),
            (&[0, 0, 0, 0, 4, 8, 2, 8, 1], Ok(Health::Serving)),
            // Fields of a later version: a text, a number, four and eight bytes.
            (&[0, 0, 0, 0, 5, 8, 1, 0x12, 1, 8], Ok(Health::Serving)),
            (&[0, 0, 0, 0, 4, 8, 1, 0x10, 2], Ok(Health::Serving)),
            (&[0, 0, 0, 0, 7, 0x15, 8, 2, 8, 2, 8, 1], Ok(Health::Serving)),
            (&[0, 0, 0, 0, 11, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1], Ok(Health::Serving)),
            (&[], Err("no message")),
            (&[0, 0, 0, 0], Err("no message")),
            (&[1, 0, 0, 0, 2, 8, 1], Err("a compressed message, which nobody asked for")),
            (&[0, 0, 0, 0, 3, 8, 1], Err("not one whole message")),
            (&[0, 0, 0, 0, 2, 8, 1, 0], Err("not one whole message")),
            (&[0, 0xff, 0xff, 0xff, 0xff, 8, 1], Err("not one whole message")),
            (&[0, 0, 0, 0, 1, 8], Err(GARBLED)),
            (&[0, 0, 0, 0, 2, 0x12, 9], Err(GARBLED)),
            (&[0, 0, 0, 0, 2, 0x0b, 0], Err(GARBLED)),
            (&[0, 0, 0, 0, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Err(GARBLED)),
        ] {
            assert_eq!(response(framed), expected, "{framed:?}");
        }
    }
}
