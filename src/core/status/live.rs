//! What a controller goes by, for who plans beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::OverrideDto;
use crate::core::health::{BackendHealth, Flap, Observed, Report, Share, Told, Verdict};
use crate::core::inventory::Desired;
use crate::core::model::{BackendName, Digest, FileSet, Generation, Revision, ServiceName, TextError, Timestamp};
use crate::core::routing::{
    Choice, Effective, EffectiveService, Exclusion, Inputs, InventoryGuard, Live, Member, Override, Overrides, Plan,
    Ramp, Rise, Role, plan,
};

/// The answer of `GET /v1/live`: all that the next plan is made of, beside the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveDto {
    /// The moment of this answer, by the controller's clock.
    pub at: Timestamp,
    /// The revision that is planned for.
    pub revision: Revision,
    /// Its files, by path.
    pub files: BTreeMap<String, String>,
    /// How much observation may take out of the whole inventory at once; none: all.
    pub guard: Option<GuardDto>,
    /// What operators say.
    pub overrides: Vec<OverrideDto>,
    /// What is known of backends.
    pub health: BTreeMap<BackendName, HealthDto>,
    /// What the newest plan decided that the next one goes by.
    pub memory: BTreeMap<ServiceName, MemoryDto>,
}

/// The guard of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardDto {
    /// How many of a hundred backends may go out within the window.
    pub percent: u32,
    /// The window, in milliseconds.
    pub window_ms: u64,
}

/// What is known of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthDto {
    /// What it is known of.
    pub target: Option<Digest>,
    /// What is believed.
    pub verdict: Verdict,
    /// It was up when something was last known of it.
    pub was_up: bool,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How often it went down lately.
    pub flap: Flap,
    /// True where it reports to drain.
    pub drains: bool,
    /// How much of its share it asks for, in percent.
    pub percent: u8,
}

/// What a plan decided for a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryDto {
    /// What was chosen: `site:dijon`; none where the policy does not choose.
    pub choice: Option<String>,
    /// The tier that traffic moves back from, and how far it has come; none where it does not.
    pub ramp: Option<(usize, RiseDto)>,
    /// Backends that probes took out, now or a while ago.
    pub out: Vec<BackendName>,
    /// Backends that come back to their share.
    pub rising: BTreeMap<BackendName, RiseDto>,
}

/// A share that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiseDto {
    /// Since when.
    pub since: Timestamp,
    /// Quarters of the whole.
    pub quarters: u8,
}

impl LiveDto {
    /// Shows what a controller goes by at a moment: the inventory that it planned for with its files, and what the plan was
    /// made of.
    pub fn of(
        planned: (&Plan, &Desired),
        files: &FileSet,
        made_of: (&Observed, &Overrides),
        guard: Option<InventoryGuard>,
        at: Timestamp,
    ) -> Self {
        let ((plan, desired), (observed, overrides)) = (planned, made_of);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            at,
            revision: desired.revision.clone(),
            files: files.iter().map(|(path, bytes)| (path.to_owned(), text(bytes))).collect(),
            guard: guard.map(|InventoryGuard { percent, window }| GuardDto {
                percent,
                window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            }),
            overrides: overrides.iter().map(|it| OverrideDto::of(it, Some(desired), at)).collect(),
            health: observed.backends.iter().map(|(name, health)| (name.clone(), HealthDto::of(health))).collect(),
            memory: plan.effective.services.iter().map(|(name, it)| (name.clone(), MemoryDto::of(it))).collect(),
        }
    }

    /// The inventory's files.
    pub fn files(&self) -> FileSet {
        self.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect()
    }

    /// What the controller goes by, as a plan takes it. `desired` is what its files declare.
    pub fn read(&self, desired: &Desired) -> Result<Live, TextError> {
        let backends = self.health.iter().map(|(name, health)| (name.clone(), health.read())).collect();
        let generation = Generation::default();
        let observed = Observed { generation, revision: Some(self.revision.clone()), isolated_since: None, backends };
        let guard = self.guard.map(|GuardDto { percent, window_ms }| InventoryGuard {
            percent,
            window: Duration::from_millis(window_ms),
        });
        let overrides: Overrides = self.overrides.iter().map(decided).collect();
        let choice = |(name, memory): (&ServiceName, &MemoryDto)| {
            memory.choice.as_ref().map(|choice| Ok((name.clone(), choice.parse()?))).transpose()
        };
        let remembered =
            self.memory.iter().filter_map(|it| choice(it).transpose()).collect::<Result<_, TextError>>()?;
        let live = Live { now: self.at, observed, overrides, planned: Effective::default(), guard };
        // A plan that remembers what was chosen, and beside that what only plans know.
        let inputs = Inputs { previous: None, remembered: &remembered, ..live.inputs(desired) };
        let mut planned = plan(&inputs).effective;
        for (name, memory) in &self.memory {
            if let Some(service) = planned.services.get_mut(name) {
                memory.put(Arc::make_mut(service), remembered.get(name).cloned());
            }
        }
        Ok(Live { planned, ..live })
    }
}

fn decided(dto: &OverrideDto) -> Override {
    let OverrideDto { target, action, reason, by, set_at, until, remaining_seconds: _, declared: _ } = dto.clone();
    Override { target, action, reason, by, set_at, until }
}

impl HealthDto {
    fn of(health: &BackendHealth) -> Self {
        let BackendHealth { target, verdict, was_up, since, flap, told, share, .. } = health;
        Self {
            target: target.clone(),
            verdict: *verdict,
            was_up: *was_up,
            since: *since,
            flap: *flap,
            drains: told.drains(),
            percent: share.percent(),
        }
    }

    fn read(&self) -> BackendHealth {
        let Self { target, verdict, was_up, since, flap, drains, percent } = self.clone();
        let report = drains.then_some(Report { drains, percent: None });
        let told = Told { report, ..Told::default() };
        let share = Share::of_percent(percent);
        BackendHealth { target, verdict, was_up, since, flap, told, share, ..BackendHealth::default() }
    }
}

impl MemoryDto {
    fn of(service: &EffectiveService) -> Self {
        let name = |member: &Member| member.backend.name.clone();
        let rising = |member: &Member| Some((name(member), RiseDto::of(member.rise?)));
        Self {
            choice: service.choice.as_ref().map(ToString::to_string),
            ramp: service.ramp.map(|Ramp { from, rise }| (from, RiseDto::of(rise))),
            out: service.members.iter().filter(|member| member.role.was_out()).map(name).collect(),
            rising: service.members.iter().filter_map(rising).collect(),
        }
    }

    fn put(&self, service: &mut EffectiveService, choice: Option<Choice>) {
        let Self { choice: _, ramp, out, rising } = self;
        service.choice = choice;
        service.ramp = ramp.map(|(from, rise)| Ramp { from, rise: rise.read() });
        for member in &mut service.members {
            let name = &member.backend.name;
            member.rise = rising.get(name).copied().map(RiseDto::read);
            match (out.contains(name), member.role.was_out()) {
                (true, false) => member.role = Role::Out(Exclusion::Recovering),
                (false, true) => member.role = Role::InRotation,
                (true, true) | (false, false) => {}
            }
        }
    }
}

impl RiseDto {
    const fn of(Rise { since, quarters }: Rise) -> Self {
        Self { since, quarters }
    }

    const fn read(self) -> Rise {
        let Self { since, quarters } = self;
        Rise { since, quarters }
    }
}
