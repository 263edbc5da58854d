use std::fmt::Display;

/// A number with its noun: `1 push`, `2 pushes`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = match noun {
        _ if count == N::from(1) => "",
        _ if noun.ends_with(['s', 'x']) || noun.ends_with("sh") || noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_everything_else_many() {
        for (count, noun, expected) in [
            (0_usize, "change", "0 changes"),
            (1, "change", "1 change"),
            (2, "change", "2 changes"),
            (1, "push", "1 push"),
            (11, "push", "11 pushes"),
        ] {
            assert_eq!(counted(count, noun), expected);
        }
    }
}
