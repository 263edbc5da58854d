//! The layers between an edge and a backend: the tunnel to a site, and the site. Each is judged by itself, so that one
//! fault is one event, and the status tells where the way ends.

mod event;
mod gateway;
mod news;
mod site;
mod state;
mod tunnel;
mod wireguard;

pub use self::event::{Event, Subject, SubjectError};
use self::gateway::Gateway;
use self::news::SiteNews;
pub use self::news::{Change, News};
pub use self::site::{SiteCause, SiteCount, SiteState};
pub use self::state::{EVENTS_SHOWN, LayerState, Layers};
use self::tunnel::TunnelJudge;
pub use self::tunnel::{TUNNEL_STALE, TunnelHealth, TunnelSample, TunnelSeen};
pub use self::wireguard::PeerReading;
use self::wireguard::Wireguard;
