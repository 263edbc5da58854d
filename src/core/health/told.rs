use std::sync::Arc;

use crate::core::model::Timestamp;

/// What an answer tells beside passing or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// When the certificate ends that the backend presented; none where none was presented this time.
    pub certificate_ends: Option<Timestamp>,
    /// What the backend says of itself; none where it is not asked to, or has not answered.
    pub report: Option<Report>,
    /// What of its report means nothing.
    pub unread: Option<Arc<str>>,
    /// Where one of several tries has to pass, and one did: those that did not, each with why.
    pub passed_over: Option<Arc<str>>,
}

impl Told {
    /// What several answers of one backend tell: the certificate that ends first, and the report of any.
    pub fn together(answers: impl Iterator<Item = Self>) -> Self {
        answers.fold(Self::default(), |told, answer| Self {
            certificate_ends: told.certificate_ends.into_iter().chain(answer.certificate_ends).min(),
            report: match (told.report, answer.report) {
                (Some(one), Some(other)) => Some(Report {
                    drains: one.drains || other.drains,
                    percent: one.percent.into_iter().chain(other.percent).min(),
                }),
                (one, other) => one.or(other),
            },
            unread: told.unread.or(answer.unread),
            passed_over: told.passed_over.or(answer.passed_over),
        })
    }

    /// Takes newer words in; what they leave unsaid stays. True where the backend begins or ends to drain.
    pub fn take(&mut self, newer: Self) -> bool {
        let before = self.drains();
        let Self { certificate_ends, report, unread, passed_over } = newer;
        self.certificate_ends = certificate_ends.or(self.certificate_ends);
        if report.is_some() {
            (self.report, self.unread) = (report, unread);
        }
        // Every probe tries all.
        self.passed_over = passed_over;
        before != self.drains()
    }

    /// True where the backend wants no new request, by its own report.
    pub fn drains(&self) -> bool {
        self.report.is_some_and(|report| report.drains)
    }
}

/// What a backend says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// It wants no new request.
    pub drains: bool,
    /// It wants so much of its share of the traffic, from 1 to 100; none where it does not say.
    pub percent: Option<u8>,
}

impl Report {
    /// The response header of a probe's answer by which a backend reports.
    pub const HEADER: &str = "bascule-report";

    /// Reads the header's values: words with commas between. Words that are not known are for a later version.
    pub fn of<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut report = Self::default();
        for word in values.flat_map(|value| value.split(',')).map(str::trim) {
            report.drains |= word.eq_ignore_ascii_case("drain");
            report.percent = report.percent.or_else(|| percent_of(word));
        }
        report
    }

    /// The first word of the header's values that means nothing, or not yet.
    pub fn unread<'v>(values: impl Iterator<Item = &'v str>) -> Option<&'v str> {
        let mut words = values.flat_map(|value| value.split(',')).map(str::trim);
        words.find(|word| !word.is_empty() && !word.eq_ignore_ascii_case("drain") && percent_of(word).is_none())
    }
}

/// Reads `weight=50%`. Nothing at all is no share: that is what `drain` says.
fn percent_of(word: &str) -> Option<u8> {
    let (name, value) = word.split_once('=')?;
    let number = value.trim().strip_suffix('%').filter(|_| name.trim().eq_ignore_ascii_case("weight"))?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|percent| is_plain && (1..=100).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        for (values, drains, percent) in [
            (&[][..], false, None),
            (&["drain"], true, None),
            (&[" Drain "], true, None),
            (&["later, drain"], true, None),
            (&["later", "drain"], true, None),
            (&["drained"], false, None),
            (&[""], false, None),
            (&["weight=50%"], false, Some(50)),
            (&["Weight = 1%, drain"], true, Some(1)),
            (&["drain", "weight=100%"], true, Some(100)),
            (&["weight=0%"], false, None),
            (&["weight=101%", "weight=300%"], false, None),
            (&["weight=+5%", "weight=5", "weight=%", "weights=5%"], false, None),
        ] {
            assert_eq!(Report::of(values.iter().copied()), Report { drains, percent }, "{values:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_found() {
        for (values, expected) in [
            (&[][..], None),
            (&["drain, Weight = 5%", "", "drain,"], None),
            (&["drain", "later, drained"], Some("later")),
            (&["weight=0%"], Some("weight=0%")),
            (&["weight=5"], Some("weight=5")),
        ] {
            assert_eq!(Report::unread(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn several_answers_tell_together() {
        let told = |ends: Option<i64>, drains: Option<bool>| Told {
            certificate_ends: ends.map(Timestamp::from_unix_millis),
            report: drains.map(|drains| Report { drains, percent: None }),
            ..Told::default()
        };
        for (answers, expected) in [
            (vec![], told(None, None)),
            (vec![told(Some(5), None), told(Some(3), Some(false)), told(None, None)], told(Some(3), Some(false))),
            (vec![told(None, Some(true)), told(Some(4), Some(false))], told(Some(4), Some(true))),
        ] {
            assert_eq!(Told::together(answers.clone().into_iter()), expected, "{answers:?}");
        }
        let asks = |percent| Told { report: Some(Report { drains: false, percent }), ..Told::default() };
        let together = Told::together([asks(Some(70)), asks(None), asks(Some(30))].into_iter());
        assert_eq!(together, asks(Some(30)));
    }

    #[test]
    fn what_is_left_unsaid_stays() {
        let mut told = Told::default();
        let ends = Some(Timestamp::from_unix_millis(5));
        let drains = Some(Report { drains: true, percent: None });
        let (unread, passed_over) = (Some("later".into()), Some("TCP: timed out".into()));
        let first = Told { certificate_ends: ends, report: drains, unread, passed_over };
        assert!(told.take(first.clone()));
        assert!(!told.take(Told::default()));
        assert_eq!(told, Told { passed_over: None, ..first }, "what was tried is told each time");
        assert!(told.take(Told { report: Some(Report::default()), ..Told::default() }));
        assert!(!told.take(Told::default()));
        assert_eq!(told.unread, None, "a newer report was read");
    }
}
