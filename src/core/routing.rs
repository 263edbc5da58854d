//! Merging desired with observed state into what should be served now.

mod change;
mod choice;
mod damping;
mod effective;
mod failback;
mod guard;
mod leaving;
mod live;
mod member;
mod outlook;
mod overrides;
mod plan;
mod policy;
mod report;
mod rise;
mod settings;
mod stand_in;

pub use self::change::{Change, Detail};
pub use self::choice::Choice;
pub use self::effective::{Effective, EffectiveService, Serving};
pub use self::failback::{Returned, fail_back};
pub use self::guard::{Guard, InventoryGuard};
pub use self::leaving::{Leaving, OpenRequests};
pub use self::live::Live;
pub use self::member::{Exclusion, Member, Role};
pub use self::outlook::outlook;
pub use self::overrides::{Action, Cause, Field, Override, OverrideDoc, Overrides, Refusal, Target, reason, signature};
pub use self::plan::{Hold, Inputs, Plan, plan};
pub(in crate::core) use self::rise::quarters;
pub use self::rise::{Ramp, Rise};
pub use self::settings::edge_differences;
