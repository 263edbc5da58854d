use crate::core::model::Timestamp;

/// What an answer tells beside passing or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// When the certificate ends that the backend presented; none where none was presented this time.
    pub certificate_ends: Option<Timestamp>,
    /// What the backend says of itself; none where it is not asked to, or has not answered.
    pub report: Option<Report>,
}

impl Told {
    /// What several answers of one backend tell: the certificate that ends first, and the report of any.
    pub fn together(answers: impl Iterator<Item = Self>) -> Self {
        answers.fold(Self::default(), |told, answer| Self {
            certificate_ends: told.certificate_ends.into_iter().chain(answer.certificate_ends).min(),
            report: match (told.report, answer.report) {
                (Some(one), Some(other)) => Some(Report { drains: one.drains || other.drains }),
                (one, other) => one.or(other),
            },
        })
    }

    /// Takes newer words in; what they leave unsaid stays. True where the backend's own report is another.
    pub fn take(&mut self, newer: Self) -> bool {
        let before = self.report.unwrap_or_default();
        self.certificate_ends = newer.certificate_ends.or(self.certificate_ends);
        self.report = newer.report.or(self.report);
        before != self.report.unwrap_or_default()
    }
}

/// What a backend says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// It wants no new request.
    pub drains: bool,
}

impl Report {
    /// The response header of a probe's answer by which a backend reports.
    pub const HEADER: &str = "bascule-report";

    /// Reads the header's values: words with commas between. Words that are not known are for a later version.
    pub fn of<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut words = values.flat_map(|value| value.split(',')).map(str::trim);
        Self { drains: words.any(|word| word.eq_ignore_ascii_case("drain")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        for (values, drains) in [
            (&[][..], false),
            (&["drain"], true),
            (&[" Drain "], true),
            (&["later, drain"], true),
            (&["later", "drain"], true),
            (&["drained"], false),
            (&[""], false),
        ] {
            assert_eq!(Report::of(values.iter().copied()), Report { drains }, "{values:?}");
        }
    }

    #[test]
    fn several_answers_tell_together() {
        let told = |ends: Option<i64>, drains: Option<bool>| Told {
            certificate_ends: ends.map(Timestamp::from_unix_millis),
            report: drains.map(|drains| Report { drains }),
        };
        for (answers, expected) in [
            (vec![], told(None, None)),
            (vec![told(Some(5), None), told(Some(3), Some(false)), told(None, None)], told(Some(3), Some(false))),
            (vec![told(None, Some(true)), told(Some(4), Some(false))], told(Some(4), Some(true))),
        ] {
            assert_eq!(Told::together(answers.clone().into_iter()), expected, "{answers:?}");
        }
    }

    #[test]
    fn what_is_left_unsaid_stays() {
        let mut told = Told::default();
        let ends = Some(Timestamp::from_unix_millis(5));
        assert!(told.take(Told { certificate_ends: ends, report: Some(Report { drains: true }) }));
        assert!(!told.take(Told::default()));
        assert_eq!(told, Told { certificate_ends: ends, report: Some(Report { drains: true }) });
        assert!(told.take(Told { certificate_ends: None, report: Some(Report::default()) }));
        assert!(!told.take(Told::default()));
    }
}
