//! Merging desired with observed state into what should be served now.

mod change;
mod effective;
mod plan;

pub use self::change::{Change, Detail};
pub use self::effective::{Effective, EffectiveService, Exclusion, Member, Role, Serving};
pub use self::plan::{Hold, Plan, plan};
