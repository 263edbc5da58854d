//! The data types of the SSH protocol (RFC 4251).

/// Reads values one after the other; none where the bytes end too soon.
pub(super) struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*taken))
    }

    /// Bytes with their length before them.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    /// A positive number without the zeros before it, most significant byte first.
    pub(super) fn number(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        (!is_negative && zeros < bytes.len()).then(|| &bytes[zeros..])
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Appends bytes with their length before them.
pub(super) fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("what is signed is a name or a digest");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_positive_and_has_no_zeros_before_it() {
        let number = |bytes: &[u8]| {
            let mut text = Vec::new();
            push_string(&mut text, bytes);
            Wire::new(&text).number().map(<[u8]>::to_vec)
        };
        assert_eq!(number(&[0, 0x80, 1]), Some(vec![0x80, 1]));
        assert_eq!(number(&[7]), Some(vec![7]));
        for bytes in [&[][..], &[0], &[0x80]] {
            assert_eq!(number(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_ends_too_soon_is_nothing() {
        assert_eq!(Wire::new(&[0, 0, 0, 2, 1]).string(), None);
        assert_eq!(Wire::new(&[255, 255, 255, 255]).string(), None);
        assert_eq!(Wire::new(&[0, 0, 1]).u32(), None);
        assert_eq!(Wire::new(&[1]).end(), None);
    }
}
