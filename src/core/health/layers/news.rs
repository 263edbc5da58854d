use std::collections::BTreeMap;
use std::time::Duration;

use super::{Event, SiteCount, Subject};
use crate::core::health::Verdict;
use crate::core::model::{BackendName, SiteName, Timestamp};

/// Longest that a change of one backend is held back to see whether its whole site changes.
const WINDOW_MAX: Duration = Duration::from_secs(30);
/// Between a verdict and the snapshot that shows it, with room for a busy machine.
const SNAPSHOTS: Duration = Duration::from_secs(2);

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A layer as a whole became another.
    Event(Event),
    /// A backend's verdict changed, and its site's state did not with it.
    Backend(Change),
}

/// A backend's verdict changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Which one.
    pub backend: BackendName,
    /// Where.
    pub site: SiteName,
    /// What was believed before.
    pub from: Verdict,
    /// What is believed now.
    pub to: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// Makes one event of what happens to a site as a whole, and leaves the rest as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SiteNews {
    pending: BTreeMap<BackendName, Change>,
    due: Option<Timestamp>,
}

/// A site at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    /// Which one.
    pub(super) site: &'a SiteName,
    /// What was told of it last; none while nothing was.
    pub(super) told: Option<Verdict>,
    /// What its backends' verdicts add up to.
    pub(super) count: &'a SiteCount,
    /// Why it is down, in words.
    pub(super) cause: &'a str,
}

impl Standing<'_> {
    /// How long changes are held back: backends that fail at one moment are found out within an interval and a timeout of
    /// each other.
    fn window(&self) -> Duration {
        (self.count.slowest + SNAPSHOTS).min(WINDOW_MAX)
    }
}

impl SiteNews {
    /// Takes the changes since the last moment, and says what is to be told now. A site that goes down is told at once;
    /// one that comes back when all of it has, or at the end of the window.
    pub(super) fn follow(&mut self, now: Timestamp, standing: &Standing<'_>, changes: Vec<Change>) -> Vec<News> {
        let Standing { site, told, count, cause } = *standing;
        let window = standing.window();
        let mut news = Vec::new();
        for change in changes {
            // What changes again while it is held back is told in its own right: nothing is lost.
            news.extend(self.pending.insert(change.backend.clone(), change).map(News::Backend));
            self.due.get_or_insert_with(|| now.plus(window));
        }
        // A due time that is further away than the window was set before the clock was set back.
        let is_due = self.due.is_none_or(|due| now >= due || due.since(now) > window);
        let event = |at, to, cause: String, backends| {
            let from = told.unwrap_or_default();
            News::Event(Event { at, subject: Subject::Site(site.clone()), from, to, cause, backends })
        };
        if count.is_down() && told != Some(Verdict::Down) {
            news.push(event(count.since.unwrap_or(now), Verdict::Down, cause.to_owned(), count.down));
            self.fold(Verdict::Down);
        } else if count.up > 0 && told != Some(Verdict::Up) && (count.up == count.probed || is_due) {
            let first = self.pending.values().filter(|change| change.to == Verdict::Up).map(|change| change.at).min();
            let cause = format!("{} of {} backends up", count.up, count.probed);
            news.push(event(first.unwrap_or(now), Verdict::Up, cause, count.up));
            self.fold(Verdict::Up);
        }
        if is_due {
            news.extend(std::mem::take(&mut self.pending).into_values().map(News::Backend));
        }
        if self.pending.is_empty() {
            self.due = None;
        }
        news
    }

    /// Forgets the changes that the site's own event tells.
    fn fold(&mut self, to: Verdict) {
        self.pending.retain(|_, change| change.to != to);
    }
}

#[cfg(test)]
mod tests {
    use Verdict::{Down, Unknown, Up};

    use super::*;

    /// Changes are held back for seven seconds.
    const SLOWEST: Duration = Duration::from_secs(5);

    /// A site of three backends, told what it is, with what it tells.
    struct Site {
        news: SiteNews,
        told: Option<Verdict>,
        verdicts: [Verdict; 3],
    }

    impl Site {
        fn new(told: Option<Verdict>, verdict: Verdict) -> Self {
            Self { news: SiteNews::default(), told, verdicts: [verdict; 3] }
        }

        /// What is told at a second at which backends (by number) become something.
        fn at(&mut self, second: i64, changes: &[(usize, Verdict)]) -> Vec<String> {
            let at = Timestamp::from_unix_millis(second * 1000);
            let site: SiteName = "dijon".parse().expect("a name");
            let change = |(number, to): &(usize, Verdict)| {
                let from = std::mem::replace(&mut self.verdicts[*number], *to);
                let backend = format!("b{number}").parse().expect("a name");
                Change { at, backend, site: site.clone(), from, to: *to, reason: String::new() }
            };
            let changes = changes.iter().map(change).collect();
            let number_of =
                |wanted| u32::try_from(self.verdicts.iter().filter(|it| **it == wanted).count()).expect("3");
            let (up, down) = (number_of(Up), number_of(Down));
            let count = SiteCount {
                backends: 3,
                probed: 3,
                up,
                down,
                since: Some(at),
                slowest: SLOWEST,
                ..SiteCount::default()
            };
            let standing = Standing { site: &site, told: self.told, count: &count, cause: "silent" };
            let news = self.news.follow(at, &standing, changes);
            let told = |news: News| match news {
                News::Event(event) => {
                    self.told = Some(event.to);
                    format!("site {} to {}: {}", event.from, event.to, event.backends)
                }
                News::Backend(change) => format!("{} {}", change.backend, change.to),
            };
            news.into_iter().map(told).collect()
        }
    }

    #[test]
    fn a_site_that_goes_down_is_one_event_and_so_is_its_return() {
        let mut site = Site::new(Some(Up), Up);
        assert_eq!(site.at(1, &[(0, Down)]), Vec::<String>::new(), "it may be the whole site");
        assert_eq!(site.at(2, &[(2, Down)]), Vec::<String>::new());
        assert_eq!(site.at(3, &[(1, Down)]), ["site up to down: 3"]);
        assert_eq!(site.at(30, &[]), Vec::<String>::new());
        assert_eq!(site.at(40, &[(0, Up), (1, Up)]), Vec::<String>::new());
        assert_eq!(site.at(41, &[(2, Up)]), ["site down to up: 3"]);
        assert_eq!(site.at(90, &[]), Vec::<String>::new());
    }

    #[test]
    fn a_backend_alone_is_told_alone() {
        let mut site = Site::new(Some(Up), Up);
        assert_eq!(site.at(1, &[(0, Down)]), Vec::<String>::new());
        assert_eq!(site.at(7, &[]), Vec::<String>::new());
        assert_eq!(site.at(8, &[]), ["b0 down"]);
        assert_eq!(site.at(9, &[(0, Up)]), Vec::<String>::new());
        assert_eq!(site.at(16, &[]), ["b0 up"]);
    }

    #[test]
    fn what_flips_within_the_window_is_told_flip_by_flip() {
        let mut site = Site::new(Some(Up), Up);
        site.at(1, &[(0, Down)]);
        assert_eq!(site.at(2, &[(0, Up)]), ["b0 down"]);
        assert_eq!(site.at(8, &[]), ["b0 up"]);
    }

    #[test]
    fn a_site_that_comes_back_in_part_is_back_and_goes_down_again_as_a_whole() {
        let mut site = Site::new(Some(Down), Down);
        assert_eq!(site.at(1, &[(0, Up)]), Vec::<String>::new());
        assert_eq!(site.at(8, &[]), ["site down to up: 1"]);
        assert_eq!(site.at(20, &[(1, Up)]), Vec::<String>::new());
        assert_eq!(site.at(21, &[(0, Down), (1, Down)]), ["b1 up", "site up to down: 3"]);
    }

    #[test]
    fn a_site_that_was_never_told_of_is_told_of_as_it_is() {
        let mut site = Site::new(None, Unknown);
        assert_eq!(site.at(1, &[]), Vec::<String>::new());
        assert_eq!(site.at(2, &[(0, Up), (1, Up), (2, Up)]), ["site unknown to up: 3"]);
        let mut site = Site::new(None, Down);
        assert_eq!(site.at(1, &[]), ["site unknown to down: 3"]);
    }

    #[test]
    fn verdicts_that_are_forgotten_are_no_return() {
        let mut site = Site::new(Some(Down), Down);
        assert_eq!(site.at(1, &[(0, Unknown), (1, Unknown), (2, Unknown)]), Vec::<String>::new());
        assert_eq!(site.at(8, &[]), ["b0 unknown", "b1 unknown", "b2 unknown"]);
    }
}
