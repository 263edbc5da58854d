use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why the source cannot be read. The last good revision stays in every case, and the source is read again.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Nobody answers there.
    #[error("cannot reach `{url}`: {message}")]
    Unreachable {
        /// The repository, without credentials.
        url: String,
        /// libgit2's words.
        message: String,
    },
    /// The repository refuses these credentials.
    #[error("`{url}` refuses the credentials: {message}; see `bascule run --help` on `--git-…`")]
    Refused {
        /// The repository, without credentials.
        url: String,
        /// What was tried.
        message: String,
    },
    /// The server's host key is not known.
    #[error(
        "the host key of `{host}` is not known: {fingerprint}; when that is right, add it to known_hosts \
         (`ssh-keyscan {host}`), or name a file with `--git-known-hosts`"
    )]
    HostKeyUnknown {
        /// The server.
        host: String,
        /// The key's fingerprint, as `ssh-keygen -l` shows it.
        fingerprint: String,
    },
    /// The server's host key is another one than before.
    #[error(
        "the host key of `{host}` has CHANGED to {fingerprint}: either the server was set up anew, or somebody is in \
         between; when the new key is right, replace the old one in known_hosts"
    )]
    HostKeyChanged {
        /// The server.
        host: String,
        /// The new key's fingerprint.
        fingerprint: String,
    },
    /// It took too long.
    #[error("`{url}` did not finish within {} s", limit.as_secs())]
    Timeout {
        /// The repository, without credentials.
        url: String,
        /// How long it had.
        limit: Duration,
    },
    /// Earlier reads hang, and no further one is begun.
    #[error("{hung} reads of `{url}` hang and cannot be ended; restart bascule when the repository answers again")]
    Hung {
        /// The repository, without credentials.
        url: String,
        /// How many.
        hung: usize,
    },
    /// There is no such branch.
    #[error("`{url}` has no branch `{branch}`; it has {known}")]
    NoBranch {
        /// The repository, without credentials.
        url: String,
        /// The branch.
        branch: String,
        /// The branches that there are.
        known: String,
    },
    /// There is no such folder at the branch's head.
    #[error("there is no folder `{path}` at {revision}; the folders there are {known}")]
    NoPath {
        /// The folder.
        path: String,
        /// The commit.
        revision: String,
        /// The folders that there are.
        known: String,
    },
    /// The folder has no YAML file.
    #[error("there is no YAML file in `{path}`")]
    Empty {
        /// The folder.
        path: String,
    },
    /// Something is larger than any inventory.
    #[error("`{path}` is beyond a limit: {limit}")]
    Limit {
        /// The file or folder.
        path: String,
        /// Which limit.
        limit: String,
    },
    /// A folder changes faster than it can be read.
    #[error("`{path}` changed while it was read")]
    Unstable {
        /// The folder.
        path: String,
    },
    /// A folder or file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A local repository cannot be read.
    #[error("cannot read the repository `{}`: {message}", path.display())]
    Repository {
        /// The repository.
        path: PathBuf,
        /// libgit2's words.
        message: String,
    },
    /// Changes cannot be watched.
    #[error("cannot watch `{}` for changes", path.display())]
    Watch {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: notify::Error,
    },
}
