//! Merging desired with observed state into what should be served now.

mod change;
mod choice;
mod effective;
mod member;
mod overrides;
mod plan;
mod policy;

pub use self::change::{Change, Detail};
pub use self::choice::Choice;
pub use self::effective::{Effective, EffectiveService, Serving};
pub use self::member::{Exclusion, Member, Role};
pub use self::overrides::{Action, Override, Overrides, Target};
pub use self::plan::{Hold, Inputs, Plan, plan};
