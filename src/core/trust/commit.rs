/// A commit taken apart: its signature, and what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCommit {
    /// As the header `gpgsig` has it, without the spaces before its lines; none where the commit is not signed.
    pub signature: Option<Vec<u8>>,
    /// The commit without its signatures.
    pub payload: Vec<u8>,
}

const SIGNATURE: &[u8] = b"gpgsig ";
/// The signature of the same commit in a repository with SHA-256, which git leaves out of what is signed too.
const OTHER_SIGNATURE: &[u8] = b"gpgsig-sha256 ";

impl SignedCommit {
    /// Takes a commit apart as git does: only the lines before the first empty one count. None where there are two
    /// signatures.
    pub fn read(raw: &[u8]) -> Option<Self> {
        let mut signature: Option<Vec<u8>> = None;
        let mut payload = Vec::with_capacity(raw.len());
        let (mut rest, mut place) = (raw, Place::Payload);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            if line == b"\n" {
                break;
            }
            if let Some(first) = line.strip_prefix(SIGNATURE) {
                if signature.replace(first.to_vec()).is_some() {
                    return None;
                }
                place = Place::Signature;
            } else if line.starts_with(OTHER_SIGNATURE) {
                place = Place::OtherSignature;
            } else {
                let continued = line.strip_prefix(b" ");
                if continued.is_none() {
                    place = Place::Payload;
                }
                match place {
                    Place::Payload => payload.extend_from_slice(line),
                    Place::Signature => signature.get_or_insert_default().extend_from_slice(continued?),
                    Place::OtherSignature => {}
                }
            }
            rest = after;
        }
        payload.extend_from_slice(rest);
        Some(Self { signature, payload })
    }
}

/// What a line that begins with a space continues.
#[derive(Debug, Clone, Copy)]
enum Place {
    Payload,
    Signature,
    OtherSignature,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, signature: Option<&str>, payload: &str) {
        let read = SignedCommit::read(raw.as_bytes()).expect("at most one signature");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        assert_eq!((read.signature.map(text).as_deref(), text(read.payload).as_str()), (signature, payload));
    }

    #[test]
    fn a_signature_is_a_header_and_nothing_else() {
        check("tree 1\nauthor a\n\ntext\n", None, "tree 1\nauthor a\n\ntext\n");
        check(
            "tree 1\ngpgsig a\n b\n \n c\nother x\n y\n\ntext\n",
            Some("a\nb\n\nc\n"),
            "tree 1\nother x\n y\n\ntext\n",
        );
        check("tree 1\ngpgsig a\ngpgsig-sha256 b\n c\n\ntext", Some("a\n"), "tree 1\n\ntext");
        // In the message it is text.
        check("tree 1\n\ngpgsig a\n b\n", None, "tree 1\n\ngpgsig a\n b\n");
        check("tree 1\ngpgsig a\n\ngpgsig b\n", Some("a\n"), "tree 1\n\ngpgsig b\n");
        check("tree 1\ngpgsig a\n\nend\0more\n", Some("a\n"), "tree 1\n\nend\0more\n");
        check("", None, "");
        assert_eq!(SignedCommit::read(b"tree 1\ngpgsig a\ngpgsig b\n\n"), None);
    }
}
