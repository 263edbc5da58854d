use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::ForgeKind;

/// What a forge is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// To set a status on a commit.
    Status,
    /// To show or take comments on a pull request.
    Comment,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "the status of a commit",
            Self::Comment => "the comment on a pull request",
        })
    }
}

/// What came of it instead.
#[derive(Debug, Error)]
pub enum ForgeError {
    /// The HTTP client itself could not be made.
    #[error("cannot set up an HTTP client for {host}")]
    Client {
        /// The forge.
        host: String,
        /// What failed.
        source: reqwest::Error,
    },
    /// The token's file cannot be read.
    #[error("cannot read the forge's token from `{}`; name a file that is there and that bascule's user may read", path.display())]
    TokenUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is none, or one that no header carries.
    #[error(
        "the forge's token is empty, or has spaces or letters beyond ASCII, which no token has: look into its file"
    )]
    TokenStrange,
    /// Nobody answers, or not to the end.
    #[error("{kind} at {host} does not answer: {reason}")]
    Unreachable {
        /// Which forge.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// Why, as the system says it.
        reason: String,
    },
    /// No whole answer in time.
    #[error("{kind} at {host} did not answer within {} s", limit.as_secs())]
    Timeout {
        /// Which forge.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// It has had too many requests.
    #[error("{kind} at {host} asks to wait ({status}): {message}")]
    Limited {
        /// Which forge.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// 403 or 429.
        status: u16,
        /// In its words.
        message: String,
        /// For how long.
        wait: Duration,
    },
    /// It has a fault of its own.
    #[error("{kind} at {host} has a fault of its own ({status}): {message}")]
    Failing {
        /// Which forge.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// 500 and above.
        status: u16,
        /// In its words.
        message: String,
        /// For how long to leave it alone, where it says so.
        wait: Option<Duration>,
    },
    /// It refuses, and will again until somebody mends it.
    #[error("{kind} at {host} refuses {deed} ({status}): {message}; {cure}")]
    Refused {
        /// Which forge.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// What it was asked for.
        deed: Deed,
        /// 400 and above.
        status: u16,
        /// In its words.
        message: String,
        /// What to do about it.
        cure: String,
    },
    /// It says that it is elsewhere.
    #[error(
        "{kind} at {host} sends to another place, {to}, which the token was not given for; if it is right, name it with `--forge-url`"
    )]
    Elsewhere {
        /// Which forge.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// Scheme, host and port of the other place.
        to: String,
    },
    /// What answers there does not speak like the forge.
    #[error("{host} does not answer like the API of {kind} ({status}); is `--forge-url` its address?")]
    NotAForge {
        /// Which forge was expected.
        kind: ForgeKind,
        /// Where.
        host: String,
        /// Of the answer.
        status: u16,
    },
}

impl ForgeError {
    /// True where the same may succeed later, though nobody does anything about it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Limited { .. } | Self::Failing { .. } => true,
            Self::Client { .. }
            | Self::TokenUnreadable { .. }
            | Self::TokenStrange
            | Self::Refused { .. }
            | Self::Elsewhere { .. }
            | Self::NotAForge { .. } => false,
        }
    }

    /// For how long the forge asks to be left alone.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limited { wait, .. } => Some(*wait),
            Self::Failing { wait, .. } => *wait,
            _ => None,
        }
    }

    /// True where only what was asked is refused, such as a commit that the forge does not have; not the token.
    pub fn is_of_what_was_asked(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 404 | 422, .. })
    }
}

/// What to do about a refusal.
pub(super) fn cure(kind: ForgeKind, deed: Deed, status: u16, repository: &str) -> String {
    match status {
        401 => "the token is not valid, or no longer: make another one".to_owned(),
        403 => format!("the token lacks {}", permission(kind, deed)),
        404 => format!(
            "is `{repository}` right, is the commit or the pull request there, and may the token see it? It takes {}",
            permission(kind, deed)
        ),
        422 if deed == Deed::Status => format!("is the commit pushed to `{repository}`?"),
        _ => format!("is `{repository}` right?"),
    }
}

/// The permission that a deed takes, as the forge calls it.
const fn permission(kind: ForgeKind, deed: Deed) -> &'static str {
    match (kind, deed) {
        (ForgeKind::Github, Deed::Status) => {
            "the permission to write commit statuses (`statuses: write` in a workflow, `repo:status` of a classic token)"
        }
        (ForgeKind::Github, Deed::Comment) => {
            "the permission to write pull requests (`pull-requests: write` in a workflow, `repo` of a classic token)"
        }
        (ForgeKind::Gitlab, Deed::Status) => "the scope `api` with the role Developer or higher",
        (ForgeKind::Gitlab, Deed::Comment) => "the scope `api` with the role Reporter or higher",
        (ForgeKind::Gitea, Deed::Status) => "the scope `write:repository` of a user who may write to it",
        (ForgeKind::Gitea, Deed::Comment) => "the scope `write:issue`",
    }
}
