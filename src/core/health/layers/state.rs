use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::news::Standing;
use super::tunnel::Others;
use super::{Change, Event, News, SiteCount, SiteNews, Subject, TunnelHealth, TunnelJudge, TunnelSample};
use crate::core::health::{BackendHealth, Observed, Outcome, Verdict};
use crate::core::inventory::{Backend, BackendState, Desired};
use crate::core::model::{BackendName, SiteName, Timestamp};

/// Events that are shown: what happened lately, on one screen. The state file has more.
pub const EVENTS_SHOWN: usize = 20;

/// What is known of the layers, as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers {
    /// Tunnels by site.
    pub tunnels: BTreeMap<SiteName, TunnelHealth>,
    /// The newest events, newest first.
    pub events: Vec<Event>,
}

/// What is known of the layers, with what it takes to know more.
#[derive(Debug, Default)]
pub struct LayerState {
    tunnels: BTreeMap<SiteName, TunnelJudge>,
    sites: BTreeMap<SiteName, SiteNews>,
    verdicts: BTreeMap<BackendName, Verdict>,
    /// What was told of each layer last.
    told: BTreeMap<Subject, Verdict>,
    events: VecDeque<Event>,
}

impl LayerState {
    /// Goes on from the newest events of before, newest first, and with the last one of each layer.
    pub fn new(events: Vec<Event>, last: Vec<Event>) -> Self {
        let told = last.into_iter().map(|event| (event.subject, event.to)).collect();
        let events = events.into_iter().take(EVENTS_SHOWN).collect();
        Self { told, events, ..Self::default() }
    }

    /// Follows what is declared. A tunnel that is declared otherwise is another one.
    pub fn follow(&mut self, desired: &Desired) {
        let mut before = std::mem::take(&mut self.tunnels);
        for site in desired.sites.values() {
            let Some(tunnel) = &site.tunnel else { continue };
            let known = before.remove(&site.name).filter(|judge| judge.tunnel() == tunnel);
            let judge = known.unwrap_or_else(|| TunnelJudge::new(Arc::new(tunnel.clone())));
            self.tunnels.insert(site.name.clone(), judge);
        }
        self.sites.retain(|site, _| desired.sites.contains_key(site));
        self.verdicts.retain(|backend, _| desired.backends.contains_key(backend));
        let tunnels = &self.tunnels;
        self.told.retain(|subject, _| match subject {
            Subject::Site(site) => desired.sites.contains_key(site),
            Subject::Tunnel(site) => tunnels.contains_key(site),
            Subject::Prober | Subject::Forge => true,
        });
    }

    /// Takes a look at a tunnel. One at what is not declared any more is late and means nothing.
    pub fn take(&mut self, sample: &TunnelSample) {
        let TunnelSample { site, tunnel, at, seen } = sample;
        if let Some(judge) = self.tunnels.get_mut(site).filter(|judge| judge.tunnel() == &**tunnel) {
            judge.take(*at, seen);
        }
    }

    /// Draws the conclusions of a moment: what is there to tell?
    pub fn settle(&mut self, now: Timestamp, desired: &Desired, observed: &Observed) -> Vec<News> {
        let counts = SiteCount::of_all(desired, observed, now);
        let mut news: Vec<News> = self.prober(now, observed).into_iter().map(News::Event).collect();
        news.extend(self.settle_tunnels(now, &counts).into_iter().map(News::Event));
        let mut changes = self.changes(now, desired, observed);
        for (site, count) in &counts {
            let tunnel = self.tunnels.get(site).map(TunnelJudge::health);
            let cause = count.cause(tunnel).map(|cause| cause.to_string()).unwrap_or_default();
            let told = self.told.get(&Subject::Site(site.clone())).copied();
            let standing = Standing { site, told, count, cause: &cause };
            let keeper = self.sites.entry(site.clone()).or_default();
            news.extend(keeper.follow(now, &standing, changes.remove(site).unwrap_or_default()));
        }
        for item in &news {
            if let News::Event(event) = item {
                self.told.insert(event.subject.clone(), event.to);
                self.events.push_front(event.clone());
            }
        }
        self.events.truncate(EVENTS_SHOWN);
        news
    }

    /// What is shown.
    pub fn view(&self) -> Layers {
        let tunnel = |(site, judge): (&SiteName, &TunnelJudge)| (site.clone(), judge.health().clone());
        Layers { tunnels: self.tunnels.iter().map(tunnel).collect(), events: self.events.iter().cloned().collect() }
    }

    fn prober(&self, now: Timestamp, observed: &Observed) -> Option<Event> {
        let from = self.told.get(&Subject::Prober).copied().unwrap_or(Verdict::Up);
        let (at, to, cause) = match observed.isolated_since {
            Some(since) => (since, Verdict::Down, "no site is within reach; verdicts are frozen"),
            // Before the first snapshot nothing is known.
            None if observed.revision.is_none() => return None,
            None => (now, Verdict::Up, "sites are within reach again; verdicts count"),
        };
        let event = Event { at, subject: Subject::Prober, from, to, cause: cause.to_owned(), backends: 0 };
        (from != to).then_some(event)
    }

    fn settle_tunnels(&mut self, now: Timestamp, counts: &BTreeMap<SiteName, SiteCount>) -> Vec<Event> {
        let proved = |judge: &TunnelJudge| judge.health().proved_at;
        let reached: BTreeMap<SiteName, Option<Timestamp>> = counts
            .iter()
            .filter(|(site, count)| count.probed > 0 || self.tunnels.contains_key(*site))
            .map(|(site, count)| (site.clone(), count.reached_at.max(self.tunnels.get(site).and_then(proved))))
            .collect();
        let mut events = Vec::new();
        for (site, judge) in &mut self.tunnels {
            let others = reached.iter().filter(|(other, _)| *other != site);
            let newest = others.map(|(_, reached)| *reached).reduce(Ord::max);
            judge.settle(now, newest.map_or(Others::None, Others::ReachedAt));
            let TunnelHealth { state: to, cause, .. } = judge.health();
            let subject = Subject::Tunnel(site.clone());
            let told = self.told.get(&subject).copied();
            if *to != Verdict::Unknown && told != Some(*to) {
                let from = told.unwrap_or_default();
                events.push(Event { at: now, subject, from, to: *to, cause: cause.clone(), backends: 0 });
            }
        }
        events
    }

    /// The verdicts that are others than they were, by site.
    fn changes(&mut self, now: Timestamp, desired: &Desired, observed: &Observed) -> BTreeMap<SiteName, Vec<Change>> {
        let mut changes: BTreeMap<SiteName, Vec<Change>> = BTreeMap::new();
        let probed = desired.backends.values().filter(|backend| backend.state != BackendState::Disabled);
        for backend in probed {
            let Some(health) = observed.backends.get(&backend.name) else { continue };
            // What is first seen may have been so for long.
            let before = self.verdicts.insert(backend.name.clone(), health.verdict);
            if let Some(from) = before.filter(|before| *before != health.verdict) {
                changes.entry(backend.site.clone()).or_default().push(change(backend, from, health, now));
            }
        }
        changes
    }
}

fn change(backend: &Backend, from: Verdict, health: &BackendHealth, now: Timestamp) -> Change {
    let reason = match (health.verdict, health.last.as_ref().map(|last| &last.outcome)) {
        (Verdict::Up, _) => "passes".to_owned(),
        (Verdict::Down, Some(Outcome::Fail(failure))) => failure.to_string(),
        (Verdict::Down, _) => "failed".to_owned(),
        (Verdict::Unknown, _) => "not seen for too long".to_owned(),
    };
    let (backend, site) = (backend.name.clone(), backend.site.clone());
    Change { at: health.since.unwrap_or(now), backend, site, from, to: health.verdict, reason }
}
