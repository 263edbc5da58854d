use std::fmt::Write as _;
use std::path::PathBuf;

/// The key that an ssh host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Host, with the port if it is not 22.
    pub host: String,
    /// As in `known_hosts`.
    pub key_type: String,
    /// `SHA256:…`, as ssh shows it.
    pub fingerprint: String,
    /// The file that decides.
    pub known_hosts: PathBuf,
}

/// How an ssh host becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyCure {
    /// The line to add.
    pub line: String,
    /// Types of the keys that are known of this host.
    pub others: Vec<String>,
    /// The file and line, from 1, of a certificate authority for this host.
    pub authority: Option<(PathBuf, usize)>,
}

impl HostKeyCure {
    /// What people would wonder about who have a line for this host.
    pub(super) fn remarks(&self, key: &HostKey) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if !self.others.is_empty() {
            // libssh2 chooses the type of key, by the file of the home folder alone.
            let _ = write!(
                text,
                "\n(known of this host: {}. It has keys of several types, and {} is the one that is compared. To have all of \
                 them: `ssh-keyscan {} >> {}`, and compare the fingerprints)",
                self.others.join(", "),
                key.key_type,
                key.keyscan_arguments(),
                key.known_hosts.display()
            );
        }
        if let Some((file, line)) = &self.authority {
            let _ = write!(
                text,
                "\n(`{}` line {line} has a @cert-authority for this host: certificates of ssh hosts are not supported, only \
                 keys)",
                file.display()
            );
        }
        text
    }
}

impl HostKey {
    /// `host`, or `-p PORT host` for another port than 22.
    fn keyscan_arguments(&self) -> String {
        match self.host.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            Some((host, port)) => format!("-p {port} {host}"),
            None => self.host.clone(),
        }
    }
}
