//! The engine that routes for real, driven by hand: samples in, plans out.

use std::collections::BTreeMap;
use std::time::Duration;

use bascule::core::health::{
    BackendHealth, Belief, Failure, Observed, Outcome, Reach, Sample, Thresholds, Told, Vantage, confirm, forgive, step,
};
use bascule::core::inventory::{Backend, BackendState, Desired};
use bascule::core::model::{BackendName, Timestamp};
use bascule::core::routing::{Inputs, Plan, plan};

/// When every history begins.
pub(super) const BEGIN: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
/// Plans that follow each other at their own time, at most.
const PLANS_MAX: usize = 200;

/// A controller without its loops.
pub(super) struct Engine<'d> {
    desired: &'d Desired,
    reach: Reach,
    pub(super) observed: Observed,
    pub(super) planned: Option<Plan>,
    pub(super) now: Timestamp,
}

impl<'d> Engine<'d> {
    pub(super) fn new(desired: &'d Desired) -> Self {
        let mut reach = Reach::default();
        let probed = desired.backends.values().filter(|backend| backend.state != BackendState::Disabled);
        reach.follow(probed.map(|backend| (&backend.site, &backend.name)));
        let health = |backend: &Backend| {
            let target = Some(backend.probe_target());
            (backend.name.clone(), BackendHealth { target, ..BackendHealth::default() })
        };
        let backends = desired.backends.values().map(|backend| health(backend)).collect();
        let observed = Observed { revision: Some(desired.revision.clone()), backends, ..Observed::new() };
        Self { desired, reach, observed, planned: None, now: BEGIN }
    }

    /// Every backend is probed once a second, for so many seconds; those for which `fails` says so fail. Plans each time.
    pub(super) fn probe(&mut self, seconds: u64, fails: impl Fn(&Backend) -> Option<Failure>) {
        for _ in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            for backend in self.desired.backends.values().filter(|backend| backend.state != BackendState::Disabled) {
                let outcome = fails(backend).map_or(Outcome::Pass, Outcome::Fail);
                self.take(backend, outcome);
            }
            self.plan();
        }
    }

    /// As the observer does it.
    fn take(&mut self, backend: &Backend, outcome: Outcome) {
        let sample = Sample {
            backend: backend.name.clone(),
            vantage: Vantage::Controller,
            at: self.now,
            latency: Duration::from_millis(3),
            outcome,
            told: Told::default(),
        };
        let thresholds = Thresholds::from(&backend.probe);
        let belief = self.reach.take(&backend.site, &sample);
        let fall = if belief == Belief::Held { u32::MAX } else { thresholds.fall };
        let health = |all: &'_ mut BTreeMap<BackendName, BackendHealth>,
                      name: &BackendName,
                      change: &dyn Fn(&mut BackendHealth)| {
            change(all.get_mut(name).expect("every backend is known"));
        };
        let all = &mut self.observed.backends;
        health(all, &backend.name, &|health| {
            step(health, &sample, Thresholds { fall, ..thresholds });
        });
        match belief {
            Belief::Sample | Belief::Held => {}
            Belief::Confirms(held) => {
                for name in held {
                    let thresholds = Thresholds::from(&self.desired.backends[&name].probe);
                    health(all, &name, &|health| {
                        confirm(health, &name, sample.at, thresholds);
                    });
                }
            }
            Belief::Returns(unreached) => unreached.iter().for_each(|name| health(all, name, &forgive)),
        }
    }

    fn plan(&mut self) {
        let previous = self.planned.as_ref().map(|plan| &plan.effective);
        let inputs = Inputs { observed: &self.observed, previous, now: self.now, ..Inputs::declared(self.desired) };
        self.planned = Some(plan(&inputs));
    }

    /// Plans at each moment that a plan waits for, until none is left.
    pub(super) fn settle(&mut self) -> &Plan {
        for _ in 0..PLANS_MAX {
            let Some(next_at) = self.planned.as_ref().and_then(|plan| plan.next_at) else { break };
            self.now = self.now.plus(Duration::from_millis(1)).max(next_at);
            self.plan();
        }
        self.planned.as_ref().expect("it has planned")
    }
}
