//! The one view of the whole that text, JSON and (later) HTML show.

mod dto;
mod operator;
mod site;
mod text;
mod view;

pub use self::dto::{
    AppliedDto, BackendDto, EdgeDto, EdgeState, FaultDto, LastSampleDto, RelayState, RevisionDto, ServiceDto, SeverDto,
    SiteDto, SiteState, StatusDto,
};
pub use self::operator::{ErrorDto, FailbackDto, OverrideClearedDto, OverrideDto, OverrideSetDto, OverridesDto};
pub use self::text::{Paint, overrides_text, span, text};
pub use self::view::{Applied, EdgeReport, Fault, Inputs, view};
