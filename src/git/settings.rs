//! What a source is opened with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Location;
use crate::core::model::Limits;

/// Where an inventory is, and within which bounds it is read.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The repository or directory.
    pub location: Location,
    /// The branch that is followed; of no meaning for a plain directory.
    pub branch: String,
    /// The inventory's folder below the repository's root or the directory; empty for the root itself.
    pub path: String,
    /// What a remote is shown.
    pub credentials: Credentials,
    /// File with the keys of those who may sign what is served, in the format of ssh-keygen(1), ALLOWED SIGNERS; none: a commit
    /// needs no signature. It is read at each fetch.
    pub allowed_signers: Option<PathBuf>,
    /// File with the public OpenPGP keys of those who may sign what is served, as `gpg --export` gives them. With one of the two
    /// files, a commit needs a signature by a key of either. It is read at each fetch.
    pub allowed_pgp_keys: Option<PathBuf>,
    /// Bounds on what is read into memory.
    pub limits: Limits,
    /// Folder of the bare repository that keeps what was fetched from a remote. Made when it is not there. It can be deleted
    /// at any time: it holds nothing that the remote does not have.
    pub cache: PathBuf,
    /// Longest time for one fetch, connection and reading included.
    pub timeout: Duration,
}

/// What a remote is shown, and how its own identity is checked. Nothing of it is read from git's configuration.
#[derive(Clone, Default)]
pub struct Credentials {
    /// User name for http and https, and for ssh where the URL has none.
    pub username: Option<String>,
    /// Password or token for http and https, and for ssh servers that ask for one.
    pub password: Option<String>,
    /// Private key for ssh. Without it the ssh agent is asked.
    pub ssh_key: Option<PathBuf>,
    /// Passphrase of the private key.
    pub ssh_passphrase: Option<String>,
    /// Host keys that are trusted. Without it: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// Certificate authorities (PEM) that are trusted for https besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl Credentials {
    /// The values that no message may hold.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.password, &self.ssh_passphrase].into_iter().flatten().map(String::as_str).filter(|text| !text.is_empty())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, password, ssh_key, ssh_passphrase, known_hosts, ca_file } = self;
        let hide = |secret: &Option<String>| secret.as_ref().map(|_| "(secret)");
        f.debug_struct("Credentials")
            .field("username", username)
            .field("password", &hide(password))
            .field("ssh_key", ssh_key)
            .field("ssh_passphrase", &hide(ssh_passphrase))
            .field("known_hosts", known_hosts)
            .field("ca_file", ca_file)
            .finish()
    }
}
