//! Observed state: samples become verdicts.

mod availability;
mod doubt;
mod flap;
mod freshness;
mod grace;
mod layers;
mod observed;
mod reach;
mod sample;
mod secrets;
mod share;
mod step;
mod told;
mod tries;

pub use self::availability::{Availability, Hour, HourCount};
pub use self::doubt::Doubt;
pub use self::flap::Flap;
pub use self::freshness::Freshness;
pub use self::grace::Grace;
pub use self::layers::{
    Change, EVENTS_SHOWN, Event, LayerState, Layers, News, PeerReading, SiteCause, SiteCount, SiteState, Subject,
    SubjectError, TUNNEL_STALE, TunnelHealth, TunnelSample, TunnelSeen,
};
pub use self::observed::{BackendHealth, LastSample, Observed};
pub use self::reach::{Belief, Reach};
pub use self::sample::{Failure, Outcome, Sample, Vantage};
pub use self::secrets::{SecretFault, SecretFaults};
pub use self::share::Share;
pub use self::step::{Thresholds, Transition, Verdict, age, clock_set, confirm, excuse, forgive, resume, step};
pub use self::told::{Report, Told};
pub use self::tries::{Tried, all_of, any_of, passed_over};
