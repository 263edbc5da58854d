use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, Sample};
use crate::core::model::{BackendName, SiteName, Timestamp};

/// Tells failures of backends from a failure of the prober's own network.
///
/// When a site is lost, the others still answer. When nothing answers any more at any site, the fault is most likely here,
/// and every verdict would be wrong. So a failure to reach a backend counts only once something else, anywhere, has been
/// reached by a probe that began after the failed one: then there was a network to reach the backend through. That others
/// were reached between this failure and the one before says nothing of this one.
#[derive(Debug, Default)]
pub struct Reach {
    /// Sites with probed backends.
    sites: BTreeMap<SiteName, Site>,
    /// When the newest of the probes began that reached anything.
    reached_at: Option<Timestamp>,
    /// When the newest answer came.
    answered_at: Option<Timestamp>,
    /// When each backend that is out of reach was first found to be.
    unreached_since: BTreeMap<BackendName, Timestamp>,
    /// Backends whose newest failure does not count yet, and when that probe began.
    held: BTreeMap<BackendName, Timestamp>,
    isolated_since: Option<Timestamp>,
}

/// How much of a site is within reach.
#[derive(Debug, Default)]
struct Site {
    /// Probed backends.
    backends: usize,
    /// How many of them are out of reach.
    unreached: usize,
    /// When the last of them was found to be.
    lost_at: Option<Timestamp>,
}

/// What came of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Belief {
    /// It counts as it is.
    Sample,
    /// It is counted, and takes nobody down for now.
    Held,
    /// It counts, and so do the failures of these, which have been held.
    Confirms(BTreeSet<BackendName>),
    /// The prober's network is back: it counts, and the failures of these mean nothing.
    Returns(BTreeSet<BackendName>),
}

impl Reach {
    /// Follows the sites and backends that are probed.
    pub fn follow<'a>(&mut self, probed: impl Iterator<Item = (&'a SiteName, &'a BackendName)> + Clone) {
        let backends: BTreeSet<&BackendName> = probed.clone().map(|(_, backend)| backend).collect();
        self.unreached_since.retain(|backend, _| backends.contains(backend));
        self.held.retain(|backend, _| backends.contains(backend));
        self.sites.clear();
        for (site, backend) in probed {
            let site = self.sites.entry(site.clone()).or_default();
            site.backends += 1;
            if let Some(since) = self.unreached_since.get(backend) {
                site.unreached += 1;
                site.lost_at = site.lost_at.max(Some(*since));
            }
        }
    }

    /// Takes a sample of a backend at a site.
    pub fn take(&mut self, site: &SiteName, sample: &Sample) -> Belief {
        if !sample.outcome.tells_of_backend() {
            return Belief::Sample;
        }
        let Sample { backend, at, latency, .. } = sample;
        let began_at = at.minus(*latency);
        if is_out_of_reach(&sample.outcome) {
            self.lose(site, backend, *at);
            if self.sites.len() < 2 || self.reached_at >= Some(began_at) {
                self.held.remove(backend);
                return Belief::Sample;
            }
            self.held.insert(backend.clone(), began_at);
            if self.isolated_since.is_none() && self.is_isolated() {
                let lost = self.unreached_since.values().filter(|since| Some(**since) > self.answered_at);
                self.isolated_since = lost.min().copied();
            }
            return Belief::Held;
        }
        self.reached_at = self.reached_at.max(Some(began_at));
        self.answered_at = self.answered_at.max(Some(*at));
        if self.unreached_since.remove(backend).is_some()
            && let Some(site) = self.sites.get_mut(site)
        {
            site.unreached = site.unreached.saturating_sub(1);
        }
        self.held.remove(backend);
        if self.isolated_since.take().is_some() {
            self.held.clear();
            return Belief::Returns(self.unreached_since.keys().cloned().collect());
        }
        let confirmed: BTreeSet<BackendName> =
            self.held.iter().filter(|(_, failed)| **failed <= began_at).map(|(name, _)| name.clone()).collect();
        self.held.retain(|backend, _| !confirmed.contains(backend));
        if confirmed.is_empty() { Belief::Sample } else { Belief::Confirms(confirmed) }
    }

    fn lose(&mut self, site: &SiteName, backend: &BackendName, at: Timestamp) {
        if self.unreached_since.contains_key(backend) {
            return;
        }
        self.unreached_since.insert(backend.clone(), at);
        if let Some(site) = self.sites.get_mut(site) {
            site.unreached += 1;
            site.lost_at = site.lost_at.max(Some(at));
        }
    }

    /// True where nobody has answered since something was lost at every site where there was something left to lose.
    ///
    /// Only a backend that was within reach before tells anything of the network: phases are fixed, so those that are out
    /// anyway, one at each site, may fail again and again between two answers of others, and would never be taken out. And
    /// it is by when an answer came, not by when it was asked for: one may be under way at each failure.
    fn is_isolated(&self) -> bool {
        let is_new = |site: &Site| site.lost_at > self.answered_at;
        self.sites.values().any(is_new)
            && self.sites.values().all(|site| is_new(site) || site.unreached >= site.backends)
    }

    /// Takes moments along when the wall clock is set, by so many milliseconds.
    pub fn clock_set(&mut self, millis: i64) {
        let sites = self.sites.values_mut().filter_map(|site| site.lost_at.as_mut());
        let moments = sites.chain(self.unreached_since.values_mut());
        let moments = moments.chain(self.held.values_mut());
        for at in moments.chain(&mut self.reached_at).chain(&mut self.answered_at).chain(&mut self.isolated_since) {
            *at = at.by_clock_set(millis);
        }
    }

    /// Since when nothing at any site has been within reach; none while something is.
    pub fn isolated_since(&self) -> Option<Timestamp> {
        self.isolated_since
    }
}

/// True where nothing at all came back. A refused connection or a wrong answer came from somebody.
fn is_out_of_reach(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Pass => false,
        Outcome::Fail(failure) => failure.is_out_of_reach(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::health::{Failure, Told, Vantage};

    struct Sites(Reach);

    impl Sites {
        /// Backends `d1` and `d2` at dijon, `t1` at thory.
        fn new() -> Self {
            let mut reach = Reach::default();
            let names = [("dijon", "d1"), ("dijon", "d2"), ("thory", "t1")];
            let parsed: Vec<(SiteName, BackendName)> = names
                .iter()
                .map(|(site, name)| (site.parse().expect("a name"), name.parse().expect("a name")))
                .collect();
            reach.follow(parsed.iter().map(|(site, backend)| (site, backend)));
            Self(reach)
        }

        fn take(&mut self, second: i64, name: &str, outcome: Outcome) -> Belief {
            self.take_after((second, name, outcome, Duration::ZERO))
        }

        /// Takes the outcome of a probe that ended at this second and had taken so long.
        fn take_after(&mut self, (second, name, outcome, latency): (i64, &str, Outcome, Duration)) -> Belief {
            let site = if name.starts_with('d') { "dijon" } else { "thory" };
            let sample = Sample {
                backend: name.parse().expect("a name"),
                vantage: Vantage::Controller,
                at: at(second),
                latency,
                outcome,
                told: Told::default(),
            };
            self.0.take(&site.parse().expect("a name"), &sample)
        }

        fn lost(&mut self, second: i64, name: &str) -> Belief {
            self.take(second, name, Outcome::Fail(Failure::Timeout))
        }

        fn reached(&mut self, second: i64, name: &str) -> Belief {
            self.take(second, name, Outcome::Pass)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn set(names: &[&str]) -> BTreeSet<BackendName> {
        names.iter().map(|name| name.parse().expect("a name")).collect()
    }

    #[test]
    fn a_lost_site_is_believed_as_the_other_is_reached() {
        let mut sites = Sites::new();
        sites.reached(0, "t1");
        assert_eq!(sites.lost(1, "d1"), Belief::Held, "nobody else has been tried since");
        assert_eq!(sites.0.isolated_since(), None);
        assert_eq!(sites.reached(1, "t1"), Belief::Confirms(set(&["d1"])));
        assert_eq!(sites.lost(2, "d2"), Belief::Held);
        assert_eq!(sites.reached(3, "t1"), Belief::Confirms(set(&["d2"])));
        assert_eq!(sites.lost(3, "d1"), Belief::Sample);
    }

    #[test]
    fn when_nobody_is_reached_nobody_is_believed_to_be_down() {
        let mut sites = Sites::new();
        for name in ["d1", "d2", "t1"] {
            sites.reached(0, name);
        }
        assert_eq!(sites.lost(1, "d1"), Belief::Held);
        assert_eq!(sites.0.isolated_since(), None, "thory has not been tried");
        assert_eq!(sites.lost(2, "t1"), Belief::Held);
        assert_eq!(sites.lost(3, "d2"), Belief::Held);
        assert_eq!(sites.lost(4, "d1"), Belief::Held);
        assert_eq!(sites.0.isolated_since(), Some(at(1)));
        // The first that is reached tells that the network is back, and nothing of the others.
        assert_eq!(sites.reached(5, "d2"), Belief::Returns(set(&["d1", "t1"])));
        assert_eq!(sites.0.isolated_since(), None);
        assert_eq!(sites.lost(6, "t1"), Belief::Held);
        assert_eq!(sites.reached(7, "d1"), Belief::Confirms(set(&["t1"])));
    }

    #[test]
    fn whoever_refuses_has_been_reached() {
        let mut sites = Sites::new();
        sites.lost(1, "d1");
        let refused = Outcome::Fail(Failure::Refused("connection refused".to_owned()));
        assert_eq!(sites.take(1, "t1", refused), Belief::Confirms(set(&["d1"])));
        sites.lost(2, "d2");
        assert_eq!(sites.take(2, "t1", Outcome::Fail(Failure::Status(500))), Belief::Confirms(set(&["d2"])));
    }

    #[test]
    fn a_probe_that_was_not_made_reaches_nobody() {
        let mut sites = Sites::new();
        sites.lost(1, "d1");
        let unmade = Outcome::Fail(Failure::Prober("no free socket".to_owned()));
        assert_eq!(sites.take(2, "t1", unmade), Belief::Sample);
        assert_eq!(sites.lost(3, "d1"), Belief::Held);
    }

    #[test]
    fn what_was_reached_before_a_failure_says_nothing_of_it() {
        let mut sites = Sites::new();
        // Two short isolations: d1 is never tried in between.
        assert_eq!(sites.lost(1, "d1"), Belief::Held);
        assert_eq!(sites.reached(2, "t1"), Belief::Confirms(set(&["d1"])));
        assert_eq!(sites.lost(4, "d1"), Belief::Held);
        assert_eq!(sites.0.isolated_since(), None, "thory has not been tried since");
        assert_eq!(sites.lost(5, "t1"), Belief::Held);
        assert_eq!(sites.lost(6, "d1"), Belief::Held);
        assert_eq!(sites.0.isolated_since(), None, "d1 was out when there was a network, and d2 has not been tried");
        assert_eq!(sites.lost(7, "d2"), Belief::Held);
        assert_eq!(sites.0.isolated_since(), Some(at(5)));
    }

    #[test]
    fn what_is_out_at_every_site_is_out_whoever_answers_in_between() {
        let mut sites = Sites::new();
        sites.reached(0, "d2");
        // At first it may be the network.
        assert_eq!((sites.lost(1, "d1"), sites.lost(2, "t1")), (Belief::Held, Belief::Held));
        assert_eq!(sites.0.isolated_since(), Some(at(1)));
        assert_eq!(sites.reached(3, "d2"), Belief::Returns(set(&["d1", "t1"])));
        for second in (10..100).step_by(10) {
            assert_eq!((sites.lost(second, "d1"), sites.lost(second + 1, "t1")), (Belief::Held, Belief::Held));
            assert_eq!(sites.0.isolated_since(), None, "at {second}");
            assert_eq!(sites.reached(second + 2, "d2"), Belief::Confirms(set(&["d1", "t1"])));
        }
        // With the last one that answered, the network is gone.
        assert_eq!(sites.lost(103, "d2"), Belief::Held);
        assert_eq!(sites.0.isolated_since(), Some(at(103)));
    }

    #[test]
    fn a_failure_counts_where_another_was_reached_meanwhile() {
        let mut sites = Sites::new();
        let failed =
            |second, name, latency| (second, name, Outcome::Fail(Failure::Timeout), Duration::from_secs(latency));
        sites.reached(3, "t1");
        assert_eq!(sites.take_after(failed(4, "d1", 2)), Belief::Sample, "it began at 2");
        assert_eq!(sites.take_after(failed(5, "d2", 1)), Belief::Held, "it began at 4");
        assert_eq!(sites.take_after((6, "t1", Outcome::Pass, Duration::from_secs(3))), Belief::Sample, "it began at 3");
        assert_eq!(sites.reached(7, "t1"), Belief::Confirms(set(&["d2"])));
    }

    #[test]
    fn a_site_is_lost_though_an_answer_is_under_way_at_each_failure() {
        let mut sites = Sites::new();
        for second in (10..100).step_by(10) {
            let failed = (second, "d1", Outcome::Fail(Failure::Timeout), Duration::from_secs(1));
            assert_eq!(sites.take_after(failed), Belief::Held, "at {second}");
            assert_eq!(sites.0.isolated_since(), None, "at {second}");
            let passed = (second + 1, "t1", Outcome::Pass, Duration::from_secs(2));
            assert_eq!(sites.take_after(passed), Belief::Confirms(set(&["d1"])), "at {second}");
        }
    }

    #[test]
    fn with_one_site_there_is_nothing_to_compare_with() {
        let mut sites = Sites::new();
        let (site, backend) = ("dijon".parse().expect("a name"), "d1".parse().expect("a name"));
        sites.0.follow([(&site, &backend)].into_iter());
        assert_eq!(sites.lost(1, "d1"), Belief::Sample);
    }
}
