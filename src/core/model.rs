//! The vocabulary: values that everything else is made of.

mod address;
mod count;
mod diagnostic;
mod duration;
mod file_set;
mod hostname;
mod name;
mod path;
mod quote;
mod revision;
mod text;
mod time;
mod tunnel;

pub use self::address::{
    AdminAddress, BASCULE_RELAY_PORT, CADDY_ADMIN_PORT, DialAddress, Email, HTTP_PORT, HTTPS_PORT, Listener, Port,
    Scheme,
};
pub use self::count::counted;
pub use self::diagnostic::{Diagnostic, Place, Related, Severity};
pub use self::duration::{Term, TimeSpan};
pub use self::file_set::{FileSet, Limits};
pub use self::hostname::Hostname;
pub use self::name::{BackendName, EdgeName, ServiceName, SiteName, Tag};
pub use self::path::{PathPrefix, RequestPath};
pub use self::quote::{QUOTED_MAX, quoted};
pub use self::revision::{Digest, Generation, Revision, RevisionInfo};
pub use self::text::TextError;
pub(crate) use self::text::text_type;
pub use self::time::Timestamp;
pub use self::tunnel::{GatewayAddress, InterfaceName, PeerKey};
