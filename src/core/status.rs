//! The one view of the whole that text, JSON and (later) HTML show.

mod dto;
mod forge;
mod live;
mod operator;
mod past;
mod quarantine;
mod secrets;
mod site;
mod steering;
mod text;
mod view;

pub use self::dto::{
    AppliedDto, BackendDto, EdgeDto, EdgeState, EventDto, FaultDto, LastSampleDto, RelayState, RevisionDto, ServiceDto,
    SeverDto, SiteDto, SiteState, StatusDto, TunnelDto, TunnelState, WireguardDto,
};
pub use self::forge::{ForgeDto, ForgeReport};
pub use self::live::{GuardDto, HealthDto, LiveDto, MemoryDto, RiseDto};
pub use self::operator::{ErrorDto, FailbackDto, OverrideClearedDto, OverrideDto, OverrideSetDto, OverridesDto};
pub use self::past::{PassDto, PastDto, past_text};
pub use self::quarantine::{QuarantinedDto, RefusedService, RefusedServiceDto, fault_of};
pub use self::steering::{EntryDto, HistoryDto, PinDto, ReconcileDto, SteeredDto, StepDto, history_text, named};
pub use self::text::{Paint, overrides_text, span, text};
pub use self::view::{Applied, EdgeReport, Fault, Inputs, view};
