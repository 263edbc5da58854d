//! What can go wrong between a source and its files.

mod host_key;

use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use self::host_key::{HostKey, HostKeyCure};
use crate::core::model::Revision;
use crate::core::trust::Malformed;

/// Why a source gave no files. No message holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Neither a URL nor a folder.
    #[error(
        "`{text}` is no source of an inventory: {reason}. It takes a URL (https, http, ssh, file), `user@host:path`, or the \
         path of a git repository or a folder"
    )]
    NotALocation {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder of a work tree, where the repository is wanted.
    #[error(
        "`{}` is not a git repository itself: it is inside the one at `{}`. Use `--repo {} --path {}`, and commit what is to \
         count; a folder that is read without git is named by `--path` alone, without `--repo`",
        path.display(), root.display(), root.display(), below.display()
    )]
    InsideRepository {
        /// The folder.
        path: PathBuf,
        /// The repository.
        root: PathBuf,
        /// The folder, seen from the repository.
        below: PathBuf,
    },
    /// The remote cannot be talked to.
    #[error("cannot reach `{remote}`")]
    Unreachable {
        /// The remote.
        remote: String,
        /// What libgit2 says.
        source: Fault,
    },
    /// The remote is not who it should be, by its TLS certificate.
    #[error("the certificate of `{remote}` is not trusted; give the authority that signed it as the CA file")]
    Certificate {
        /// The remote.
        remote: String,
        /// What libgit2 says.
        source: Fault,
    },
    /// The remote wants other credentials.
    #[error("`{remote}` refused access: {tried}")]
    AuthRefused {
        /// The remote.
        remote: String,
        /// What it was shown.
        tried: String,
        /// What libgit2 says.
        source: Fault,
    },
    /// A file with credentials or trust cannot be read.
    #[error("cannot read {what} `{}`", path.display())]
    CredentialFile {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The CA file holds no usable certificate.
    #[error("no certificate authority can be read from `{}`", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What libgit2 says.
        source: Fault,
    },
    /// The ssh host is in no `known_hosts` file.
    #[error(
        "the ssh host `{}` is not known: its {} key has the fingerprint {}. If its owner confirms that, add this line to \
         `{}`:\n{}{}", key.host, key.key_type, key.fingerprint, key.known_hosts.display(), cure.line, cure.remarks(key)
    )]
    HostKeyUnknown {
        /// What it shows, and the file to add it to.
        key: Box<HostKey>,
        /// What is known of this host all the same, and what to do.
        cure: Box<HostKeyCure>,
    },
    /// The ssh host shows another key than the one that is known.
    #[error(
        "the ssh host `{}` shows another {} key than the one in `{}` line {line}: its fingerprint is {}. Someone may be in \
         between; nothing was fetched. If the host's owner changed the key, replace that line",
        key.host, key.key_type, key.known_hosts.display(), key.fingerprint
    )]
    HostKeyChanged {
        /// What it shows, and the file with the other key.
        key: Box<HostKey>,
        /// Where the other key is in the file, from 1.
        line: usize,
    },
    /// The file with the trusted keys has a line that is none.
    #[error("the file of `--allowed-signers` cannot be used")]
    Signers {
        /// The line.
        source: Malformed,
    },
    /// The file with the trusted OpenPGP keys has something in it that is none.
    #[error("the file of `--allowed-pgp-keys` cannot be used")]
    PgpKeys {
        /// What is wrong.
        source: Malformed,
    },
    /// Commits shall be signed, and there are none.
    #[error(
        "`{}` is a plain folder, which has no commits that could be signed, as `{flag}` asks for: name a git \
         repository with `--repo`, or leave that flag out", path.display()
    )]
    Unsignable {
        /// The folder.
        path: PathBuf,
        /// The flag that asks for it.
        flag: &'static str,
    },
    /// There is no repository at this place.
    #[error("`{place}` is not a git repository that can be read")]
    NotARepository {
        /// URL or path.
        place: String,
        /// What libgit2 says.
        source: Fault,
    },
    /// A local repository or folder is not there, or cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Objects or references of a local repository cannot be read.
    #[error("cannot read the repository `{place}`")]
    Repository {
        /// Its path.
        place: String,
        /// What libgit2 says.
        source: Fault,
    },
    /// The branch is not in the repository.
    #[error("there is no branch `{branch}` in `{place}`; {}", branches_there(branches, suggestion.as_deref()))]
    BranchMissing {
        /// URL or path.
        place: String,
        /// The branch.
        branch: String,
        /// The branches that there are.
        branches: Vec<String>,
        /// The one that may be meant.
        suggestion: Option<String>,
    },
    /// A text names no commit.
    #[error(
        "`{revision}` is no revision of `{place}`; give a commit, a branch or a tag that `git rev-parse` finds; a shallow \
         clone may have to fetch it first"
    )]
    RevisionMissing {
        /// The repository.
        place: String,
        /// The text.
        revision: String,
    },
    /// The inventory's folder is not in the tree.
    #[error(
        "there is no folder `{path}` in {}; {}{}",
        revision_name(revision.as_ref()), folders_there(folders, suggestion.as_deref()), root_hint(folders)
    )]
    PathMissing {
        /// The inventory's folder.
        path: String,
        /// The revision; none for a directory.
        revision: Option<Revision>,
        /// The folders at the deepest level that there is.
        folders: Vec<String>,
        /// The one that may be meant.
        suggestion: Option<String>,
    },
    /// There is nothing that could be an inventory.
    #[error("there is no YAML file in {} of {}", folder(path), revision_name(revision.as_ref()))]
    NoYaml {
        /// The inventory's folder.
        path: String,
        /// The revision; none for a directory.
        revision: Option<Revision>,
    },
    /// More than is read into memory.
    #[error("`{path}`: {what}, and the limit is {limit}")]
    LimitExceeded {
        /// The file or folder.
        path: String,
        /// What there is too much of.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// The name of a YAML file is not UTF-8.
    #[error("the name of `{path}` is not UTF-8")]
    NameNotUtf8 {
        /// The file, with replacement characters.
        path: String,
    },
    /// A directory never was the same twice in a row.
    #[error("`{}` kept changing while it was read", path.display())]
    Unsettled {
        /// The directory.
        path: PathBuf,
    },
    /// A fetch took too long.
    #[error("`{place}` did not give its files within {after:?}")]
    Timeout {
        /// URL or path.
        place: String,
        /// The bound.
        after: Duration,
    },
    /// Too many fetches hang.
    #[error("{count} fetches from `{place}` still hang; no other one is started before one of them ends")]
    StillHung {
        /// URL or path.
        place: String,
        /// How many.
        count: usize,
    },
    /// The cache was damaged, and making it anew did not help.
    #[error("the cache `{}` cannot be used", cache.display())]
    Cache {
        /// Its folder.
        cache: PathBuf,
        /// What libgit2 says.
        source: Fault,
    },
    /// The cache folder cannot be made or removed.
    #[error("the cache folder `{}` cannot be prepared", cache.display())]
    CacheFolder {
        /// The folder.
        cache: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache's folder belongs to somebody else.
    #[error("`{}` holds other files; it is not used as a cache of a git remote", cache.display())]
    CacheOccupied {
        /// The folder.
        cache: PathBuf,
    },
    /// Changes cannot be watched.
    #[error("cannot watch `{}`", path.display())]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the watcher says.
        source: notify::Error,
    },
    /// The thread of a fetch could not be started.
    #[error("no thread can be started for a fetch")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// The thread of a fetch ended without an answer.
    #[error("the fetch from `{place}` ended without an answer; this is a defect of bascule")]
    NoAnswer {
        /// URL or path.
        place: String,
    },
}

/// What libgit2 says, free of credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    message: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl SourceError {
    pub(super) fn branch_missing(place: String, branch: &str, branches: Vec<String>) -> Self {
        let suggestion = closest(branch, &branches);
        Self::BranchMissing { place, branch: branch.to_owned(), branches, suggestion }
    }

    pub(super) fn path_missing(path: &str, revision: Option<Revision>, folders: Vec<String>) -> Self {
        let suggestion = closest(path, &folders);
        Self::PathMissing { path: path.to_owned(), revision, folders, suggestion }
    }
}

/// Names of which a message shows no more.
const NAMES_SHOWN: usize = 10;
/// Below this similarity (0 to 1) a name is not taken for a misspelling: `mian` and `main` have 0.93, `master` and `main` 0.73.
const SIMILAR: f64 = 0.75;

fn closest(wanted: &str, names: &[String]) -> Option<String> {
    let scored = names.iter().map(|name| (strsim::jaro_winkler(wanted, name), name));
    let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best.0 >= SIMILAR).then(|| best.1.clone())
}

fn branches_there(names: &[String], suggestion: Option<&str>) -> String {
    if names.is_empty() {
        return "the repository has no commits yet".to_owned();
    }
    there_are(names, suggestion)
}

fn folders_there(names: &[String], suggestion: Option<&str>) -> String {
    if names.is_empty() {
        return "there are no folders".to_owned();
    }
    there_are(names, suggestion)
}

/// The folders that an inventory is made of.
const KINDS: [&str; 4] = ["sites", "services", "backends", "edges"];

/// A place that has the folders of an inventory is likely the inventory itself.
fn root_hint(folders: &[String]) -> &'static str {
    let is_inventory = KINDS.iter().filter(|kind| folders.iter().any(|folder| folder == *kind)).count() > 1;
    if is_inventory { ". These are the folders of an inventory: use `--path .` if it is the root itself" } else { "" }
}

fn there_are(names: &[String], suggestion: Option<&str>) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let mut text = format!("there {} {}", if names.len() == 1 { "is" } else { "are" }, shown.join(", "));
    if names.len() > NAMES_SHOWN {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {} more", names.len() - NAMES_SHOWN);
    }
    if let Some(name) = suggestion {
        let _ = write!(text, " (did you mean `{name}`?)");
    }
    text
}

fn folder(path: &str) -> impl fmt::Display {
    if path.is_empty() { "the root folder".to_owned() } else { format!("folder `{path}`") }
}

fn revision_name(revision: Option<&Revision>) -> String {
    revision.map_or_else(|| "the directory".to_owned(), |revision| format!("revision {}", revision.short()))
}
