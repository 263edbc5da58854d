use std::collections::BTreeMap;

use bascule::core::health::{BackendHealth, Flap, Observed, Verdict};
use bascule::core::inventory::Desired;
use bascule::core::model::{Generation, ServiceName, Timestamp};
use bascule::core::routing::{self, Action, Choice, Effective, Exclusion, Inputs, Override, Overrides, Plan, Role};

use crate::support::inventory::{PLAIN_EDGE, Texts, desired};

/// A service with two backends at each of two sites, `d1`, `d2`, `t1` and `t2`, and what has been seen and planned of it.
pub(super) struct History {
    pub(super) desired: Desired,
    pub(super) health: BTreeMap<String, (Verdict, Timestamp)>,
    /// What has gone down over and over.
    pub(super) flaps: BTreeMap<String, Flap>,
    pub(super) overrides: Vec<Override>,
    pub(super) previous: Option<Effective>,
    pub(super) remembered: BTreeMap<ServiceName, Choice>,
}

const NAMES: [&str; 4] = ["d1", "d2", "t1", "t2"];

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000)
}

impl History {
    pub(super) fn of(routing: &str) -> Self {
        let backend = |(number, name): (usize, &&str)| {
            let (site, network) = if name.starts_with('d') { ("dijon", 1) } else { ("thory", 2) };
            format!("{{service: www, name: {name}, site: {site}, addr: 127.{network}.0.{}, port: 80}}", number + 1)
        };
        let backends: Vec<_> = NAMES.iter().enumerate().map(backend).collect();
        let service = format!("{{name: www, domains: [www.acecinema.fr], health: {{type: tcp}}, routing: {routing}}}");
        let texts = Texts { edges: PLAIN_EDGE, services: &service, backends: &backends.join("\n---\n") };
        Self {
            desired: desired(texts),
            health: BTreeMap::new(),
            flaps: BTreeMap::new(),
            overrides: Vec::new(),
            previous: None,
            remembered: BTreeMap::new(),
        }
    }

    /// Plans at a second with the verdicts of `d1 d2 t1 t2` by letter: `u`p, `d`own, `?`. Planning again changes nothing.
    pub(super) fn plan(&mut self, second: i64, letters: &str) -> Plan {
        for (name, letter) in NAMES.iter().zip(letters.chars()) {
            let verdict = match letter {
                'u' => Verdict::Up,
                'd' => Verdict::Down,
                _ => Verdict::Unknown,
            };
            let known = self.health.entry((*name).to_owned()).or_insert((verdict, at(second)));
            if known.0 != verdict {
                *known = (verdict, at(second));
            }
        }
        let health = |(name, (verdict, since)): (&String, &(Verdict, Timestamp))| {
            let flap = self.flaps.get(name).copied().unwrap_or_default();
            let health = BackendHealth { verdict: *verdict, since: Some(*since), flap, ..BackendHealth::default() };
            (name.parse().expect("a name"), health)
        };
        let observed = Observed {
            generation: Generation(1),
            revision: None,
            isolated_since: None,
            backends: self.health.iter().map(health).collect(),
        };
        let overrides = Overrides::in_force(self.overrides.clone(), at(second));
        let inputs = Inputs {
            desired: &self.desired,
            observed: &observed,
            overrides: &overrides,
            previous: self.previous.as_ref(),
            remembered: &self.remembered,
            returning: None,
            guard: None,
            now: at(second),
        };
        let plan = routing::plan(&inputs);
        let again = routing::plan(&Inputs { previous: Some(&plan.effective), ..inputs });
        assert_eq!((&again.effective, again.changes.len()), (&plan.effective, 0), "a plan is stable at {second} s");
        self.previous = Some(plan.effective.clone());
        plan
    }

    /// The roles at a second, one letter each: `A` in rotation, `s`tandby, `d`own, `r`ecovering, fla`p`ping, `h`eld back,
    /// `f`ew in its tier, `L`ast resort, `o`verridden, `G`uarded.
    pub(super) fn roles(&mut self, second: i64, letters: &str) -> String {
        let plan = self.plan(second, letters);
        let service = plan.effective.services.values().next().expect("a service");
        let role = |name: &&str| match service.member(&name.parse().expect("a name")).expect("a member").role {
            Role::InRotation => 'A',
            Role::Standby => 's',
            Role::LastResort => 'L',
            Role::Guarded(_) => 'G',
            Role::Out(Exclusion::Down) => 'd',
            Role::Out(Exclusion::Recovering) => 'r',
            Role::Out(Exclusion::Flapping { .. }) => 'p',
            Role::Out(Exclusion::HeldBack) => 'h',
            Role::Out(Exclusion::TierTooSmall) => 'f',
            Role::Out(Exclusion::Overridden(_)) => 'o',
            Role::Out(_) => '-',
        };
        NAMES.iter().map(role).collect()
    }

    /// Runs a history of (second, verdicts, roles).
    #[track_caller]
    pub(super) fn check(&mut self, steps: &[(i64, &str, &str)]) {
        for (second, letters, expected) in steps {
            assert_eq!(self.roles(*second, letters), *expected, "at {second} s with {letters}");
        }
    }

    /// Forgets what a restart forgets: all but the choices in the state file.
    pub(super) fn restart(&mut self) {
        let chosen = |effective: &Effective| {
            let choice = |(name, service): (&ServiceName, &std::sync::Arc<routing::EffectiveService>)| {
                Some((name.clone(), service.choice.clone()?.to_string().parse().expect("a choice")))
            };
            effective.services.iter().filter_map(choice).collect()
        };
        self.remembered = self.previous.take().as_ref().map(chosen).unwrap_or_default();
    }

    /// Has a backend go down five times, every 10 s, the last time at a second. It is held for three minutes from then on.
    pub(super) fn flap(&mut self, name: &str, second: i64) {
        let flap = self.flaps.entry(name.to_owned()).or_default();
        (0..5).for_each(|number| flap.count(at(second - 40 + number * 10)));
    }

    pub(super) fn decide(&mut self, target: &str, action: Action, second: i64, length: i64) {
        self.overrides.push(Override {
            by: String::new(),
            target: target.parse().expect("a target"),
            action,
            reason: "disk swap".to_owned(),
            set_at: at(second),
            until: at(second + length),
        });
    }
}
