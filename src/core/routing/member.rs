use std::fmt;
use std::sync::Arc;

use super::{Action, Guard, Override, Rise};
use crate::core::health::Verdict;
use crate::core::inventory::Backend;
use crate::core::model::Timestamp;

/// One backend's part in its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The backend as declared.
    pub backend: Arc<Backend>,
    /// What is believed of it.
    pub verdict: Verdict,
    /// Its tier, from 0.
    pub tier: usize,
    /// Whether it gets traffic, and why (not).
    pub role: Role,
    /// How far it has come back to its share of the traffic; none where it has all of it.
    pub rise: Option<Rise>,
    /// How much of its declared share it asks for by its reports, in percent: 25, 50, 75 or 100.
    pub share: u8,
    /// What an operator decided about it, or about its site.
    pub overridden: Option<Arc<Override>>,
}

impl Member {
    /// What there is to say of it; none for a backend that simply serves.
    pub fn reason(&self, now: Timestamp) -> Option<String> {
        let overridden = self.overridden.as_ref().map(|it| it.of_backend(now));
        match (self.role, overridden) {
            // The override says all that the role does.
            (Role::Out(Exclusion::Overridden(_)), Some(overridden)) => Some(overridden),
            (role, overridden) => {
                let share = |rise: Rise| format!("at {} % of its share, as it was down", rise.percent());
                let asked = (self.share < 100).then(|| format!("at {} % of its share, by its own report", self.share));
                let parts = [role.reason(), self.rise.map(share), asked, overridden];
                let parts: Vec<_> = parts.into_iter().flatten().collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
        }
    }
}

/// Whether a backend gets traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does.
    InRotation,
    /// It is down and gets traffic all the same, since every other one is down too.
    LastResort,
    /// It is down and gets traffic all the same: a guard lets observation take out no more.
    Guarded(Guard),
    /// It would: a tier before its own serves, or another backend of a service that has one at a time.
    Standby,
    /// It does not.
    Out(Exclusion),
}

impl Role {
    /// True when requests are sent to the backend now.
    pub const fn gets_traffic(self) -> bool {
        match self {
            Self::InRotation | Self::LastResort | Self::Guarded(_) => true,
            Self::Standby | Self::Out(_) => false,
        }
    }

    /// True for what a probe took out, now or a while ago.
    pub(in crate::core) const fn was_out(self) -> bool {
        matches!(self, Self::Out(Exclusion::Down | Exclusion::Recovering | Exclusion::Flapping { .. }))
    }

    /// What there is to say of it; none for a backend that simply serves.
    pub fn reason(self) -> Option<String> {
        match self {
            Self::InRotation => None,
            Self::LastResort => Some("last resort: nothing else is up".to_owned()),
            Self::Guarded(guard) => Some(format!("down, held in rotation by {guard}")),
            Self::Standby => Some("standby".to_owned()),
            Self::Out(why) => Some(why.to_string()),
        }
    }
}

/// Why a backend gets no traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Probes say that it is down.
    Down,
    /// It was down, and has not been up again for long enough.
    Recovering,
    /// It goes down over and over, and is held down for a while though it passes.
    Flapping {
        /// Until when, unless it goes down again.
        until: Timestamp,
    },
    /// Its tier was left, and has not recovered for long enough, or waits for an operator.
    HeldBack,
    /// Its tier has fewer backends than it needs to serve.
    TierTooSmall,
    /// It asks for no new request by itself, and another one is up.
    Reported,
    /// Declared `state: drain`.
    Drain,
    /// Declared `state: disabled`.
    Disabled,
    /// Declared `weight: 0`.
    WeightZero,
    /// Its site or service is declared `maintenance: true`.
    Maintenance,
    /// An operator says so.
    Overridden(Action),
}

impl Exclusion {
    /// True for what the inventory itself says: such a backend is never rendered.
    pub const fn is_declared(self) -> bool {
        match self {
            Self::Drain | Self::Disabled | Self::WeightZero | Self::Maintenance => true,
            Self::Down
            | Self::Recovering
            | Self::Flapping { .. }
            | Self::HeldBack
            | Self::TierTooSmall
            | Self::Reported
            | Self::Overridden(_) => false,
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Recovering => f.write_str("recovering"),
            Self::Flapping { until } => write!(f, "flapping, held until {}", until.time_of_day()),
            Self::HeldBack => f.write_str("held back until failback"),
            Self::TierTooSmall => f.write_str("too few up in its tier"),
            Self::Reported => f.write_str("draining by its own report"),
            Self::Drain => f.write_str("draining"),
            Self::Disabled => f.write_str("disabled"),
            Self::WeightZero => f.write_str("weight is 0"),
            Self::Maintenance => f.write_str("maintenance"),
            Self::Overridden(action) => write!(f, "override: {action}"),
        }
    }
}
