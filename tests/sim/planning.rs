//! What plans must be like, one after the other, crashes or not.

mod members;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bascule::controller::PlanSnapshot;
use bascule::core::health::Verdict;
use bascule::core::inventory::{Backend, BackendState, Desired, Failback, Policy, Service, WhenAllDown};
use bascule::core::model::BackendName;
use bascule::core::routing::{Action, Choice, EffectiveService, Exclusion, Member, Role};

use tokio::time::Instant;

use self::members::{is_flapping, is_overridden, is_single, roles, was_out};
use super::clock;
use super::damping::Damping;
use super::observing::Observing;

/// What the simulation sees of a verdict, it sees up to so much later than the controller dates it.
const SLACK: Duration = Duration::from_millis(1500);

/// Longest time that a slow disk takes to write a plan: what is being written, and then the plan.
const WRITTEN: Duration = Duration::from_secs(7);
/// Longest time until something known is planned for.
const BEHIND_MAX: Duration = Duration::from_secs(4);
/// Longest time from a plan to the end of a push that is made for it: gathering, the pace of a slow edge and a slow disk.
const UNDER_WAY: Duration = Duration::from_secs(20);
/// Longest time until an operator's word that traffic may return is carried out.
const ORDERED: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Planning {
    /// The newest plan.
    pub(crate) last: Option<PlanSnapshot>,
    /// The newest plan is the first after a start.
    is_first: bool,
    /// Since when the newest plan has been older than what it should be made of.
    behind_since: Option<Instant>,
    /// Since when the newest plan has had an override that has ended.
    ended_since: Option<Instant>,
    /// Since when plans leave out each backend that is down.
    left_out: BTreeMap<BackendName, Instant>,
    /// When each address was last declared to take traffic of each service.
    declared_at: BTreeMap<(String, SocketAddr), Instant>,
    /// What was declared before, and until when, newest last.
    declared_until: Vec<(Instant, Arc<Desired>)>,
    /// When each service was last declared with another policy than `single`.
    plural_at: BTreeMap<String, Instant>,
    /// The clock was set while the controller was away, or so shortly before that it had not written what follows from it, which
    /// it cannot know then: it takes hold times for over, or for new.
    was_set_away: bool,
    /// Whether it was set shortly before it left, how often it had been set then, and by how much before that.
    was_set_before: bool,
    times_set: u64,
    set_ms: i64,
    /// By how much the clock was set while the controller was away, in all: what was up or down before seems to have been so
    /// for longer, also to the runs after the next.
    set_away: Duration,
    /// Services whose traffic may return by an operator's word, and since when.
    pub(crate) returning: BTreeMap<String, Instant>,
    /// When an override was last cleared: plans for several that go at once are seen as one.
    pub(crate) cleared_at: Option<Instant>,
}

type Faults = Vec<(&'static str, String)>;

/// What a plan is looked at with.
struct Look<'w> {
    desired: &'w Desired,
    observing: &'w Observing,
    damping: &'w Damping,
    returning: &'w BTreeMap<String, Instant>,
    is_first: bool,
    /// How much longer than it was something may be taken to have been so.
    slack: Duration,
    /// Another backend serves where there is one at a time: that was written before it was told.
    is_written_first: bool,
    /// Overrides are being cleared, and one that took a backend out may have counted for a moment.
    is_clearing: bool,
}

impl Planning {
    /// Whether the newest plan is older than what it should be made of. It may be for a moment, and while the disk is slow.
    pub(crate) fn note_behind(&mut self, is_behind: bool) -> Option<Duration> {
        too_long(&mut self.behind_since, is_behind)
    }

    /// The same for an override that has ended and still counts.
    pub(crate) fn note_ended(&mut self, is_looked_after: bool) -> Option<Duration> {
        let now = clock::now();
        let services = self.last.iter().flat_map(|it| it.plan.effective.services.values());
        let mut overrides = services.flat_map(|it| &it.members).filter_map(|it| it.overridden.as_ref());
        let has_ended = is_looked_after && overrides.any(|it| it.until <= now);
        too_long(&mut self.ended_since, has_ended)
    }

    /// How long plans have left out a backend that is down.
    pub(crate) fn left_out_for(&self, backend: &BackendName) -> Duration {
        self.left_out.get(backend).map_or(Duration::ZERO, Instant::elapsed)
    }

    fn note_declared(&mut self, desired: &Desired) {
        let earlier = self.last.as_ref().map(|before| Arc::clone(&before.desired));
        if let Some(earlier) = earlier.clone().filter(|earlier| earlier.revision != desired.revision) {
            self.declared_until.retain(|(until, _)| until.elapsed() < UNDER_WAY);
            self.declared_until.push((Instant::now(), earlier));
        }
        for backend in earlier.iter().flat_map(|it| it.backends.values()).chain(desired.backends.values()) {
            if backend.state == BackendState::Active && backend.weight > 0 {
                self.declared_at.insert((backend.service.to_string(), backend.upstream()), Instant::now());
            }
        }
    }

    /// What is declared, and what was so lately that what an edge has just been sent may be made of it.
    pub(crate) fn declared_lately(&self) -> Vec<Arc<Desired>> {
        let earlier = self.declared_until.iter().filter(|(until, _)| until.elapsed() < UNDER_WAY);
        earlier.map(|(_, desired)| Arc::clone(desired)).chain(declared(self)).collect()
    }

    /// True for an address that is declared for a service, or was so lately that a push for it may be under way.
    pub(crate) fn is_declared(&self, service: &str, upstream: SocketAddr) -> bool {
        let is_now = self.last.iter().flat_map(|it| it.desired.backends.values()).any(|it| {
            it.service.as_str() == service
                && it.upstream() == upstream
                && it.state == BackendState::Active
                && it.weight > 0
        });
        let was = self.declared_at.get(&(service.to_owned(), upstream)).is_some_and(|at| at.elapsed() < UNDER_WAY);
        is_now || was
    }

    /// True for a service that has been `single` for longer than a push may take that was made for what was before.
    pub(crate) fn is_long_single(&self, service: &str) -> bool {
        let declared =
            self.last.as_ref().and_then(|it| it.desired.services.values().find(|it| it.name.as_str() == service));
        declared.is_some_and(|it| is_single(it))
            && self.plural_at.get(service).is_none_or(|at| at.elapsed() > UNDER_WAY)
    }

    /// The controller is away.
    pub(crate) fn stopped(&mut self) {
        self.was_set_before = clock::was_set_within(WRITTEN);
        (self.times_set, self.set_ms) = (clock::times_set(), clock::set_ms_before(WRITTEN));
    }

    pub(crate) fn restarted(&mut self) {
        self.is_first = true;
        self.was_set_away = self.was_set_before || clock::times_set() != self.times_set;
        self.set_away += Duration::from_millis(clock::set_ms().abs_diff(self.set_ms));
    }

    /// Takes a look at a plan; says what must not be.
    pub(crate) fn look(&mut self, snapshot: &PlanSnapshot, observing: &Observing, damping: &Damping) -> Faults {
        let desired = &*snapshot.desired;
        let is_first = std::mem::take(&mut self.is_first);
        // What is rendered from a plan is under way until after the next.
        let plural = |desired: &Desired| -> Vec<String> {
            desired.services.iter().filter(|it| !is_single(it.1)).map(|it| it.0.to_string()).collect()
        };
        self.note_declared(desired);
        let before = self.last.replace(snapshot.clone());
        let had_some = before.as_ref().is_some_and(|before| !before.desired.services.is_empty());
        let earlier = before.as_ref().map(|before| plural(&before.desired)).unwrap_or_default();
        for name in earlier.into_iter().chain(plural(desired)) {
            self.plural_at.insert(name, Instant::now());
        }
        let members = snapshot.plan.effective.services.values().flat_map(|service| &service.members);
        let down = members.filter(|member| member.role == Role::Out(Exclusion::Down)).map(|it| it.backend.name.clone());
        let mut earlier = std::mem::take(&mut self.left_out);
        self.left_out = down.map(|name| (name.clone(), earlier.remove(&name).unwrap_or_else(Instant::now))).collect();
        let is_written_first = moves_alone(before.as_ref(), snapshot);
        let is_clearing = self.cleared_at.is_some_and(|at| at.elapsed() < WRITTEN);
        let slack = SLACK + self.set_away;
        let returning = &self.returning;
        let look = Look { desired, observing, damping, returning, is_first, slack, is_written_first, is_clearing };
        let mut faults = Vec::new();
        if had_some && desired.services.is_empty() {
            faults.push(("last good wins", format!("{} declares nothing and is served", snapshot.plan.revision)));
        }
        for (name, service) in &snapshot.plan.effective.services {
            look.pool(service, &mut faults);
            look.holds(service, &mut faults);
            let before = before.as_ref().and_then(|before| before.plan.effective.services.get(name));
            if let Some(before) = before.filter(|_| !self.was_set_away) {
                look.moves(before, service, &mut faults);
            }
        }
        faults
    }
}

impl Look<'_> {
    /// True for a backend against which only a probe may speak.
    fn is_candidate(&self, service: &Service, member: &Member) -> bool {
        let Backend { state, weight, site, .. } = &*member.backend;
        let at_work = service.maintenance || self.desired.sites[site].maintenance;
        let is_out = is_overridden(member, Action::Down) || is_overridden(member, Action::Drain);
        *state == BackendState::Active && *weight > 0 && !at_work && !is_out
    }

    /// How long a backend has been what it is; in a plan that was written first, what it was when the plan was made counts
    /// as well.
    fn held(&self, member: &Member, verdict: Verdict) -> Option<Duration> {
        let within = if self.is_written_first { WRITTEN } else { Duration::ZERO };
        self.observing.held_lately(&member.backend.name, verdict, within)
    }

    /// True where a backend was up for so long, or an operator says so.
    fn was_up_for(&self, member: &Member, time: Duration) -> bool {
        is_overridden(member, Action::Up)
            || self.held(member, Verdict::Up).is_some_and(|held| held + self.slack >= time)
    }

    /// Observation alone never leaves nothing; of one at a time there is one.
    fn pool(&self, service: &EffectiveService, faults: &mut Faults) {
        let name = &service.service.name;
        let serving = service.in_rotation().count();
        let candidates: Vec<&Member> =
            service.members.iter().filter(|member| self.is_candidate(&service.service, member)).collect();
        let is_down = |member: &&Member| {
            is_flapping(member) || member.verdict == Verdict::Down && !is_overridden(member, Action::Up)
        };
        let is_page = service.service.routing.when_all_down == WhenAllDown::Page && candidates.iter().all(is_down);
        if serving == 0 && !candidates.is_empty() && !is_page {
            faults.push(("observation alone never empties a pool", format!("{name}: {:?}", roles(service))));
        }
        if matches!(service.service.routing.policy, Policy::Single { .. }) && serving > 1 {
            faults.push(("`single` has one backend", format!("{name}: {:?}", roles(service))));
        }
    }

    /// What flaps gets no traffic while another is up; and no operator's word counts past its end.
    fn holds(&self, service: &EffectiveService, faults: &mut Faults) {
        let name = &service.service.name;
        let counts = |member: &&Member| self.is_candidate(&service.service, member);
        let is_up = |member: &Member| {
            is_overridden(member, Action::Up)
                || member.verdict == Verdict::Up && !self.damping.may_be_held(&member.backend.name)
        };
        let is_another_up = service.members.iter().filter(counts).any(is_up);
        let is_held = |member: &&Member| {
            let is_forced = is_overridden(member, Action::Up);
            member.role == Role::InRotation && !is_forced && self.damping.is_held(&member.backend.name)
        };
        if let Some(member) =
            service.members.iter().find(is_held).filter(|_| is_another_up && !is_single(&service.service))
        {
            let detail = format!("{} of {name}: {:?}", member.backend.name, roles(service));
            faults.push(("what flaps is held while another is up", detail));
        }
        // It may have ended while the plan was written, or by a clock that was set meanwhile.
        if self.is_written_first && clock::was_set_within(WRITTEN) {
            return;
        }
        let made_at = clock::now().minus(if self.is_written_first { WRITTEN } else { Duration::ZERO });
        let ended = service.members.iter().find(|it| it.overridden.as_ref().is_some_and(|it| it.until <= made_at));
        if let Some(member) = ended {
            faults.push(("an override ends by itself", format!("{} of {name} is planned by one", member.backend.name)));
        }
    }

    /// What moved between two plans may have moved.
    fn moves(&self, before: &EffectiveService, after: &EffectiveService, faults: &mut Faults) {
        let is_returning = self.returning.get(after.service.name.as_str()).is_some_and(|at| at.elapsed() < ORDERED);
        if before.service.routing != after.service.routing || is_returning {
            return;
        }
        match (&after.service.routing.policy, &before.choice, &after.choice) {
            (Policy::Single { confirm, .. }, Some(Choice::Backend(left)), Some(Choice::Backend(taken)))
                if left != taken =>
            {
                let was_gone = before.member(left).is_some_and(|left| !self.is_candidate(&before.service, left));
                let (left, taken) = (after.member(left), after.member(taken));
                let Some((left, taken)) = left.zip(taken) else { return };
                // Of plans that were made in one go only the last is seen: who was gone before it may have been left then.
                if !was_gone && !self.may_change(after, left, taken, *confirm) {
                    let detail = format!(
                        "{}: from {} to {}, which has been down for {:?} of {confirm:?}: {:?}",
                        after.service.name,
                        left.backend.name,
                        taken.backend.name,
                        self.held(left, Verdict::Down),
                        roles(after)
                    );
                    faults.push(("`single` changes only after `confirm`", detail));
                }
            }
            (Policy::Priority { tiers, min_healthy }, Some(Choice::Tier(left)), Some(Choice::Tier(taken))) => {
                let place = |tier| tiers.iter().position(|it| it == tier);
                let (Some(left), Some(taken)) = (place(left), place(taken)) else { return };
                let need = usize::try_from(*min_healthy).unwrap_or(1);
                if taken < left && !self.may_return(after, (left, taken), need) && !self.is_remembered(before, after) {
                    let (was, is) = (roles(before), roles(after));
                    let detail = format!("{}: from tier {left} to {taken}: {is:?}, before {was:?}", after.service.name);
                    faults.push(("failback waits for its time", detail));
                }
            }
            (Policy::Spread, _, _) => self.recoveries(before, after, faults),
            _ => {}
        }
    }

    fn may_change(&self, service: &EffectiveService, left: &Member, taken: &Member, confirm: Duration) -> bool {
        let is_gone = !self.is_candidate(&service.service, left);
        let is_confirmed = self.held(left, Verdict::Down).is_some_and(|held| held + self.slack >= confirm);
        let is_back = match service.service.routing.failback {
            Failback::After(hold) => taken.tier < left.tier && self.was_up_for(taken, hold),
            Failback::Manual => false,
        };
        is_gone || is_confirmed || is_back || self.is_clearing
    }

    fn may_return(&self, service: &EffectiveService, (left, taken): (usize, usize), need: usize) -> bool {
        let of_tier = |tier: usize| {
            service
                .members
                .iter()
                .filter(move |member| member.tier == tier)
                .filter(|member| self.is_candidate(&service.service, member))
        };
        let is_usable = |member: &&Member| {
            !is_flapping(member) && (member.verdict != Verdict::Down || is_overridden(member, Action::Up))
        };
        let is_lost = of_tier(left).filter(is_usable).count() < need;
        let is_back = match service.service.routing.failback {
            Failback::After(hold) => of_tier(taken).filter(|it| self.was_up_for(it, hold)).count() >= need,
            Failback::Manual => false,
        };
        is_lost || is_back
    }

    /// True at a start where the state file has a verdict that was forgotten shortly before a crash: the backend was asked
    /// something else in between, and is asked again what it was asked when it was judged.
    fn is_remembered(&self, before: &EffectiveService, after: &EffectiveService) -> bool {
        let is_again = |now: &Member| {
            let earlier = before.member(&now.backend.name);
            now.verdict == Verdict::Up && earlier.is_some_and(|it| it.verdict == Verdict::Unknown)
        };
        self.is_first && after.members.iter().any(is_again)
    }

    /// With `spread`, what was down waits for the failback time. What was out before a restart is not known after it.
    fn recoveries(&self, before: &EffectiveService, after: &EffectiveService, faults: &mut Faults) {
        let Failback::After(hold) = after.service.routing.failback else { return };
        if self.is_first || hold.is_zero() {
            return;
        }
        for member in &after.members {
            let was_left_out = before.member(&member.backend.name).is_some_and(|it| {
                it.backend == member.backend
                    && matches!(
                        it.role,
                        Role::Out(Exclusion::Down | Exclusion::Recovering | Exclusion::Flapping { .. })
                    )
            });
            let is_alone = after
                .members
                .iter()
                .filter(|it| it.role.gets_traffic())
                .all(|it| it.backend.name == member.backend.name || was_out(before, it));
            if was_left_out && member.role == Role::InRotation && !is_alone && !self.was_up_for(member, hold) {
                let detail = format!("{} of {}: {:?}", member.backend.name, after.service.name, roles(after));
                faults.push(("failback waits for its time", format!("{detail} after {:?}", roles(before))));
            }
        }
    }
}

/// True where a plan has another backend than the one before for a service that has one at a time.
fn moves_alone(before: Option<&PlanSnapshot>, after: &PlanSnapshot) -> bool {
    after.plan.effective.services.iter().any(|(name, service)| {
        let before = before.and_then(|before| before.plan.effective.services.get(name));
        matches!(service.choice, Some(Choice::Backend(_))) && before.is_none_or(|it| it.choice != service.choice)
    })
}

/// How long something has been so, once that is too long.
fn too_long(since: &mut Option<Instant>, is_so: bool) -> Option<Duration> {
    *since = if is_so { since.or_else(|| Some(Instant::now())) } else { None };
    since.map(|since| since.elapsed()).filter(|time| *time > BEHIND_MAX)
}

/// What is declared now; none before the first plan.
pub(crate) fn declared(planning: &Planning) -> Option<Arc<Desired>> {
    planning.last.as_ref().map(|snapshot| Arc::clone(&snapshot.desired))
}
