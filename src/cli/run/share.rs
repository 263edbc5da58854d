use std::str::FromStr;

/// A share from `MIN` to `MAX` percent; none for `off`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share<const MIN: u8, const MAX: u8>(pub(super) Option<u8>);

impl<const MIN: u8, const MAX: u8> FromStr for Share<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let percent = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
        let percent = percent.filter(|percent: &u8| (MIN..=MAX).contains(percent));
        percent
            .map(|percent| Self(Some(percent)))
            .ok_or_else(|| format!("give a share from `{MIN}%` to `{MAX}%`, or `off`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_within_its_bounds() {
        for (text, expected) in [
            ("off", Some(None)),
            ("1%", Some(Some(1))),
            ("99%", Some(Some(99))),
            ("0%", None),
            ("100%", None),
            ("50", Some(Some(50))),
            ("-1%", None),
            ("half", None),
        ] {
            assert_eq!(text.parse::<Share<1, 99>>().ok().map(|share| share.0), expected, "{text}");
        }
    }
}
