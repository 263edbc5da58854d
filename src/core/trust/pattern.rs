/// Whether a text fits a pattern of OpenSSH: `*` stands for any characters, `?` for one.
pub fn pattern_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[from] => {
                at += 1;
                from += 1;
            }
            // Back to the last star, which takes one character more.
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (at, from) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Whether a text fits a list of patterns between commas. A pattern after `!` that fits ends it.
pub(super) fn list_matches(list: &str, text: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        if let Some(pattern) = pattern.strip_prefix('!') {
            if pattern_matches(pattern.as_bytes(), text.as_bytes()) {
                return false;
            }
        } else {
            found |= pattern_matches(pattern.as_bytes(), text.as_bytes());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_fits_by_any_pattern_and_by_no_negated_one() {
        for (list, expected) in [
            ("git", true),
            ("file,git", true),
            ("g*", true),
            ("g?t", true),
            ("*", true),
            ("file", false),
            ("Git", false),
            ("*,!git", false),
            ("!git,*", false),
            ("!file", false),
            ("!file,*", true),
            ("", false),
        ] {
            assert_eq!(list_matches(list, "git"), expected, "{list}");
        }
    }
}
