use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::builder::NonEmptyStringValueParser;

use super::super::secret::{secret, unreadable};
use crate::git::Credentials;

/// Credentials for the repository. Secrets are files or environment variables, never arguments: arguments are seen by every
/// user of a machine.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_field_names, reason = "a field's name is its flag's")]
pub(super) struct GitArgs {
    /// User name for https. With a token, most forges take any name.
    #[arg(long, env = "BASCULE_GIT_USERNAME", value_parser = NonEmptyStringValueParser::new())]
    git_username: Option<String>,
    /// File with the password or token for https. Or set `BASCULE_GIT_PASSWORD`.
    #[arg(long, env = "BASCULE_GIT_PASSWORD_FILE", value_name = "FILE")]
    git_password_file: Option<PathBuf>,
    /// Private key for ssh. Without it, the ssh agent is asked.
    #[arg(long, env = "BASCULE_GIT_SSH_KEY", value_name = "FILE")]
    git_ssh_key: Option<PathBuf>,
    /// File with the private key's passphrase. Or set `BASCULE_GIT_SSH_PASSPHRASE`.
    #[arg(long, env = "BASCULE_GIT_SSH_PASSPHRASE_FILE", value_name = "FILE")]
    git_ssh_passphrase_file: Option<PathBuf>,
    /// Host keys that are trusted. Default: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`.
    #[arg(long, env = "BASCULE_GIT_KNOWN_HOSTS", value_name = "FILE")]
    git_known_hosts: Option<PathBuf>,
    /// Certificate authorities that are trusted for https, besides the system's.
    #[arg(long, env = "BASCULE_GIT_CA_FILE", value_name = "FILE")]
    git_ca_file: Option<PathBuf>,
}

/// Reads the secrets, and opens every other file once: one that is not there is said now, not at the first fetch.
pub(super) fn credentials(args: GitArgs) -> anyhow::Result<Credentials> {
    let GitArgs {
        git_username: username,
        git_password_file,
        git_ssh_key: ssh_key,
        git_ssh_passphrase_file,
        git_known_hosts: known_hosts,
        git_ca_file: ca_file,
    } = args;
    if let Some(path) = &ssh_key {
        let start = start_of("--git-ssh-key", path)?;
        ensure!(
            !start.starts_with(b"ssh-") && !start.starts_with(b"ecdsa-"),
            "--git-ssh-key: `{}` is a public key; name the private one, which mostly is the same name without `.pub`",
            path.display()
        );
    }
    for (flag, path) in [("--git-known-hosts", &known_hosts), ("--git-ca-file", &ca_file)] {
        if let Some(path) = path {
            start_of(flag, path)?;
        }
    }
    let password = secret("--git-password-file", git_password_file.as_deref(), "BASCULE_GIT_PASSWORD")?;
    let ssh_passphrase =
        secret("--git-ssh-passphrase-file", git_ssh_passphrase_file.as_deref(), "BASCULE_GIT_SSH_PASSPHRASE")?;
    Ok(Credentials { username, password, ssh_key, ssh_passphrase, known_hosts, ca_file })
}

/// The first bytes of a file.
fn start_of(flag: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(16).read_to_end(&mut start)).with_context(|| unreadable(flag, path))?;
    Ok(start)
}
