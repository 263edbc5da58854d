use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::signals::Signals;
use crate::app::{self, Settings};
use crate::controller::{Debounce, EdgeSettings};
use crate::core::model::{Limits, TimeSpan};
use crate::git::{Credentials, Location, SourceSettings};
use crate::probe::{ProberSettings, raise_open_files};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The git repository: an https, ssh or file URL, `user@host:path`, or the path of a local repository. Without it,
    /// `--path` is a plain folder, for trying things out.
    #[arg(long, env = "BASCULE_REPO", value_name = "URL|PATH")]
    repo: Option<String>,
    /// The branch to follow.
    #[arg(long, env = "BASCULE_BRANCH", default_value = "main")]
    branch: String,
    /// The inventory's folder in the repository.
    #[arg(long, env = "BASCULE_PATH", default_value = "inventory")]
    path: String,
    /// The state file. It is made when it is not there.
    #[arg(long, env = "BASCULE_STATE", default_value = "bascule.db")]
    state: PathBuf,
    /// Time between two fetches. A local repository is also watched, so that a commit is seen at once.
    #[arg(long, env = "BASCULE_POLL", default_value = "30s")]
    poll: TimeSpan,
    /// Longest time that a fetch may take.
    #[arg(long, env = "BASCULE_FETCH_TIMEOUT", default_value = "60s")]
    fetch_timeout: TimeSpan,
    /// Where the API listens.
    #[arg(long, env = "BASCULE_LISTEN", default_value = "127.0.0.1:7500")]
    listen: SocketAddr,
    /// Time between two looks at an edge that is as it should be, to repair what was changed by hand.
    #[arg(long, env = "BASCULE_RESYNC", default_value = "10s")]
    resync: TimeSpan,
    /// Time without a further change before an edge is configured.
    #[arg(long, env = "BASCULE_QUIET", default_value = "50ms")]
    quiet: TimeSpan,
    /// Longest wait before an edge is configured while changes go on.
    #[arg(long, env = "BASCULE_CEILING", default_value = "1s")]
    ceiling: TimeSpan,
    #[command(flatten)]
    git: GitArgs,
}

/// Credentials for the repository. Secrets are files or environment variables, never arguments: arguments are seen by every
/// user of a machine.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_field_names, reason = "a field's name is its flag's")]
struct GitArgs {
    /// User name for https. With a token, most forges take any name.
    #[arg(long, env = "BASCULE_GIT_USERNAME")]
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

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let settings = settings(args)?;
    let mut signals = Signals::listen()?;
    let shutdown = CancellationToken::new();
    let work = app::run(settings, shutdown.clone());
    tokio::pin!(work);
    tokio::select! {
        ended = &mut work => ended?,
        () = signals.next() => {
            info!("shutting down; a second signal ends it at once");
            shutdown.cancel();
            tokio::select! {
                ended = &mut work => ended?,
                () = signals.next() => bail!("told to end a second time: ended without waiting for work under way"),
            }
        }
    }
    info!("ended");
    Ok(ExitCode::SUCCESS)
}

fn settings(args: Args) -> anyhow::Result<Settings> {
    let Args { repo, branch, path, state, poll, fetch_timeout, listen, resync, quiet, ceiling, git } = args;
    let location = match &repo {
        Some(repo) => Location::parse(repo)?,
        None => Location::Directory(PathBuf::from(&path)),
    };
    // A plain folder is the inventory itself.
    let path = if matches!(location, Location::Directory(_)) && repo.is_none() { String::new() } else { path };
    let source = SourceSettings {
        location,
        branch,
        path,
        credentials: credentials(git)?,
        limits: Limits::default(),
        cache: state.with_extension("git"),
        timeout: fetch_timeout.get(),
    };
    let debounce = Debounce { quiet: quiet.get(), ceiling: ceiling.get() };
    let edge = EdgeSettings { debounce, resync: resync.get(), ..EdgeSettings::default() };
    Ok(Settings { source, state, poll: poll.get(), listen, edge, prober: prober() })
}

/// Every backend costs a connection that is kept between its probes, so the process takes as many files as it may.
pub(super) fn prober() -> ProberSettings {
    let settings = ProberSettings::new(Arc::new(app::now));
    match raise_open_files() {
        Ok(limit) => settings.within_open_files(limit),
        Err(error) => {
            warn!(%error, "the limit of open files stays as it is");
            settings
        }
    }
}

fn credentials(args: GitArgs) -> anyhow::Result<Credentials> {
    let GitArgs {
        git_username: username,
        git_password_file,
        git_ssh_key: ssh_key,
        git_ssh_passphrase_file,
        git_known_hosts: known_hosts,
        git_ca_file: ca_file,
    } = args;
    let password = secret(git_password_file.as_deref(), "BASCULE_GIT_PASSWORD")?;
    let ssh_passphrase = secret(git_ssh_passphrase_file.as_deref(), "BASCULE_GIT_SSH_PASSPHRASE")?;
    Ok(Credentials { username, password, ssh_key, ssh_passphrase, known_hosts, ca_file })
}

/// A secret from a file, else from the environment. The newline that editors leave at the end of a file is not part of it.
fn secret(file: Option<&Path>, variable: &str) -> anyhow::Result<Option<String>> {
    let Some(file) = file else {
        return Ok(std::env::var(variable).ok().filter(|value| !value.is_empty()));
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}
