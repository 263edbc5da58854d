//! ASCII armor (RFC 9580, section 6): binary data as lines of text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What stood between a line that begins a block and the one that ends it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// Of its first line, from 1.
    pub(super) line: usize,
    /// What it says it is, such as `PGP SIGNATURE`.
    pub(super) name: &'a str,
    pub(super) bytes: Vec<u8>,
}

/// All blocks of a text, or the line of the first bad one and what is wrong with it. What stands between them is for people.
///
/// The checksum is not looked at: a newer format has none, and what is in the blocks is signed.
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, (usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines().map(str::trim));
    while let Some((line, text)) = lines.next() {
        let Some(name) = text.strip_prefix("-----BEGIN ").and_then(|name| name.strip_suffix("-----")) else { continue };
        let mut encoded = String::new();
        let mut is_ended = false;
        for (_, text) in lines.by_ref() {
            if let Some(end) = text.strip_prefix("-----END ").and_then(|end| end.strip_suffix("-----")) {
                is_ended = end == name;
                break;
            }
            // Headers have a colon, and the checksum an equals sign before it: Base64 has neither there.
            if !text.contains(':') && !text.starts_with('=') {
                encoded.push_str(text);
            }
        }
        if !is_ended {
            return Err((
                line,
                format!("the block that begins here has no line `-----END {name}-----`: copy it whole"),
            ));
        }
        let bytes = STANDARD.decode(encoded);
        let bytes = bytes.map_err(|_| (line, "the block that begins here is damaged: copy it whole".to_owned()))?;
        blocks.push(Block { line, name, bytes });
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_lines() {
        let text = "of anna\n-----BEGIN A B-----\r\nVersion: 1\n\nAAAA\nBBA=\n=abcd\n-----END A B-----\nend\n";
        let block = Block { line: 2, name: "A B", bytes: vec![0, 0, 0, 4, 16] };
        assert_eq!(blocks(text), Ok(vec![block]));
        assert_eq!(blocks("no block"), Ok(Vec::new()));
    }

    #[test]
    fn a_bad_block_is_named_by_its_line() {
        for (text, part) in [
            ("\n-----BEGIN A-----\nAAAA\n", "no line `-----END A-----`"),
            ("\n-----BEGIN A-----\nAAAA\n-----END B-----\n", "no line `-----END A-----`"),
            ("\n-----BEGIN A-----\nA?AA\n-----END A-----\n", "is damaged"),
            ("\n-----BEGIN A-----\nAAA\n-----END A-----\n", "is damaged"),
        ] {
            let (line, reason) = blocks(text).expect_err("it is bad");
            assert!(line == 2 && reason.contains(part), "{text}: {line}: {reason}");
        }
    }
}
