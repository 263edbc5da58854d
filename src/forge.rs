//! A forge's API: statuses of commits, and comments on pull requests.
//!
//! GitHub, GitLab, and Gitea with Forgejo are one client with three dialects. It sends what it is given and decides nothing;
//! which status follows from what is in `controller::announcing`. A token is sent to the one address that was named, never
//! follows a redirect to another, and is in no error, no log and no `Debug`.

mod answer;
mod client;
mod comment;
mod error;
mod kind;
mod settings;
mod status;
mod token;

pub use self::client::Forge;
pub use self::comment::Placed;
pub use self::error::{Deed, ForgeError};
pub use self::kind::ForgeKind;
pub use self::settings::{ForgeSettings, Patience, Remote, SettingsError};
pub use self::status::{CommitState, CommitStatus};
pub use self::token::Token;
