use crate::core::model::Timestamp;

/// From when until when a key counts. Both moments are still within.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// Not before this.
    pub after: Option<Timestamp>,
    /// Not after this.
    pub before: Option<Timestamp>,
}

impl Validity {
    /// Whether the key does not count yet at a moment.
    pub fn is_early(&self, at: Timestamp) -> bool {
        self.after.is_some_and(|after| at < after)
    }

    /// Whether the key counts no more at a moment.
    pub fn is_late(&self, at: Timestamp) -> bool {
        self.before.is_some_and(|before| at > before)
    }
}

/// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with or without a `Z`, as UTC.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, length: usize| digits.get(from..from + length).map_or(Ok(0), str::parse::<i8>);
    let year = digits.get(..4)?.parse().ok()?;
    let (month, day) = (part(4, 2).ok()?, part(6, 2).ok()?);
    let (hour, minute, second) = (part(8, 2).ok()?, part(10, 2).ok()?, part(12, 2).ok()?);
    let moment = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let moment = jiff::tz::Offset::UTC.to_timestamp(moment).ok()?;
    Some(Timestamp::from_unix_millis(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_openssh_in_utc() {
        for (text, expected) in [
            ("20231114", Some("2023-11-14T00:00:00.000Z")),
            ("20231114Z", Some("2023-11-14T00:00:00.000Z")),
            ("202311142213", Some("2023-11-14T22:13:00.000Z")),
            ("20231114221320Z", Some("2023-11-14T22:13:20.000Z")),
            ("2023111", None),
            ("20231314", None),
            ("20230229", None),
            ("202311142", None),
            ("202311142460", None),
            ("2023-11-14", None),
            ("+0231114", None),
            ("", None),
            ("always", None),
        ] {
            assert_eq!(moment(text).map(|moment| moment.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn both_ends_are_within() {
        let at = Timestamp::from_unix_millis;
        let validity = Validity { after: Some(at(10)), before: Some(at(20)) };
        let stands = |millis| (validity.is_early(at(millis)), validity.is_late(at(millis)));
        assert_eq!([9, 10, 20, 21].map(stands), [(true, false), (false, false), (false, false), (false, true)]);
        assert!(!Validity::default().is_early(at(0)) && !Validity::default().is_late(at(i64::MAX)));
    }
}
