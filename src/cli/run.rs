mod credentials;
mod revision_guard;
mod share;

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::credentials::{GitArgs, credentials};
use self::revision_guard::RevisionGuardArgs;
use self::share::Share;
use super::addresses;
use super::forge::ForgeArgs;
use super::secret::{TokenArgs, WebhookArgs};
use super::signals::Signals;
use crate::api::{ApiSecrets, ApiToken, WebhookSecret};
use crate::app::{self, Settings, Sever};
use crate::controller::{Debounce, EdgeSettings, OnFault};
use crate::core::model::{DialAddress, Limits, TextError, TimeSpan};
use crate::core::routing::InventoryGuard;
use crate::git::{Location, SourceSettings};
use crate::probe::{AllowedSecret, ProberSettings, Secrets, raise_open_files};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The git repository: an https, ssh or file URL, `user@host:path`, or the path of a local repository. Without it,
    /// `--path` is a plain folder, for trying things out.
    #[arg(long, env = "BASCULE_REPO", value_name = "URL|PATH", value_parser = NonEmptyStringValueParser::new())]
    repo: Option<String>,
    /// The branch to follow.
    #[arg(long, env = "BASCULE_BRANCH", default_value = "main", value_parser = NonEmptyStringValueParser::new())]
    branch: String,
    /// The inventory's folder in the repository; `.` is the repository's root.
    #[arg(long, env = "BASCULE_PATH", default_value = "inventory", value_name = "FOLDER", value_parser = NonEmptyStringValueParser::new())]
    path: String,
    /// The state file. It is made when it is not there.
    #[arg(long, env = "BASCULE_STATE", default_value = "bascule.db", value_name = "FILE")]
    state: PathBuf,
    /// Time between two fetches. A local repository is also watched, so that a commit is seen at once.
    #[arg(long, env = "BASCULE_POLL", default_value = "30s")]
    poll: TimeSpan,
    /// Longest time that a fetch may take.
    #[arg(long, env = "BASCULE_FETCH_TIMEOUT", default_value = "60s")]
    fetch_timeout: TimeSpan,
    /// File with the keys of those who may sign what is served, as ssh-keygen(1) has it under ALLOWED SIGNERS. With it, a
    /// revision is held unless its newest commit is signed by one of these keys. It is read again at each fetch.
    #[arg(long, env = "BASCULE_ALLOWED_SIGNERS", value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// File with the public OpenPGP keys of those who may sign what is served, as GnuPG exports them, one after the other.
    /// Beside `--allowed-signers` or alone; with either, a revision is held unless its newest commit is signed by
    /// one of the keys. It is read again at each fetch.
    #[arg(long, env = "BASCULE_ALLOWED_PGP_KEYS", value_name = "FILE")]
    allowed_pgp_keys: Option<PathBuf>,
    #[command(flatten)]
    revision_guard: RevisionGuardArgs,
    /// Hold a revision as a whole for any error in it. Without this, services that errors are of stay as they were served
    /// last, new ones are left out, and the rest of the revision goes on.
    #[arg(long, env = "BASCULE_STRICT", value_parser = BoolishValueParser::new())]
    strict: bool,
    /// Where the API listens. Whoever reaches it may read; orders (`override`, `failback`, `suspend`, `resume`, `rollback`, `allow`,
    /// `reconcile`) are taken only from this machine itself, over loopback, or with the token of `--api-token-file`.
    #[arg(long, env = "BASCULE_LISTEN", default_value = "127.0.0.1:7500", value_name = "ADDRESS", value_parser = addresses::listen)]
    listen: SocketAddr,
    /// Where the verdict relays of edges are answered: an address, a socket file (`unix//run/bascule/relay.sock`), or `off`.
    /// At an address, edges also tell by UDP of the errors that clients meet.
    #[arg(long, env = "BASCULE_RELAY", default_value = "127.0.0.1:7501")]
    relay: RelayArg,
    /// Time between two looks at an edge that is as it should be, to repair what was changed by hand.
    #[arg(long, env = "BASCULE_RESYNC", default_value = "10s")]
    resync: TimeSpan,
    /// Time without a further change before an edge is configured.
    #[arg(long, env = "BASCULE_QUIET", default_value = "50ms")]
    quiet: TimeSpan,
    /// Longest wait before an edge is configured while changes go on.
    #[arg(long, env = "BASCULE_CEILING", default_value = "1s")]
    ceiling: TimeSpan,
    /// Whether connections to a backend are ended that went down without answering anything, or whose time to drain is over:
    /// requests that wait for it are then tried elsewhere, or fail, at once. Bascule must run in Caddy's network namespace
    /// with `CAP_NET_ADMIN`; where it may not, that is said once.
    #[arg(long, env = "BASCULE_SEVER", value_enum, default_value = "off", value_name = "ON|OFF")]
    sever: SeverArg,
    /// How many backends probes may take out at once, of those at all sites but the one that loses most: a share of what is
    /// up, or `off`. What goes down beyond that stays in rotation, and the status says so.
    #[arg(long, env = "BASCULE_GUARD", default_value = "50%", value_name = "SHARE|off")]
    guard: Share<1, 99>,
    /// Within which time is at once, for `--guard`.
    #[arg(long, env = "BASCULE_GUARD_WINDOW", default_value = "1m")]
    guard_window: TimeSpan,
    /// A secret that the headers of probes may name as `${env:NAME}` or `${file:/PATH}`: `env:API_TOKEN`,
    /// `file:/run/secrets/api-token`, or all below a folder, `file:/run/secrets/`. Several with commas between. Without it
    /// none is read, whatever the repository says.
    #[arg(long, env = "BASCULE_ALLOW_SECRET", value_name = "NAME", value_delimiter = ',')]
    allow_secret: Vec<AllowedSecret>,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    forge: ForgeArgs,
    #[command(flatten)]
    git: GitArgs,
}

/// Whether connections are ended.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SeverArg {
    On,
    Off,
}

impl From<SeverArg> for Sever {
    fn from(arg: SeverArg) -> Self {
        match arg {
            SeverArg::On => Self::On,
            SeverArg::Off => Self::Off,
        }
    }
}

/// Where relays are answered; none for `off`.
#[derive(Debug, Clone)]
struct RelayArg(Option<DialAddress>);

impl std::str::FromStr for RelayArg {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
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

/// Everything that can be refused without opening anything is refused here, by its flag, its value and the cure.
fn settings(args: Args) -> anyhow::Result<Settings> {
    let Args {
        repo,
        branch,
        path,
        state,
        poll,
        fetch_timeout,
        allowed_signers,
        allowed_pgp_keys,
        revision_guard,
        strict,
        listen,
        relay,
        resync,
        quiet,
        ceiling,
        guard,
        guard_window,
        sever,
        allow_secret,
        token,
        webhook,
        forge,
        git,
    } = args;
    ensure!(
        quiet <= ceiling,
        "`--quiet {quiet}` is longer than `--ceiling {ceiling}`, the longest wait of all: give a shorter `--quiet` or a \
         longer `--ceiling`"
    );
    let (location, path) = place(repo.as_deref(), path)?;
    check_state(&state)?;
    let forge = forge.of_source(&location)?;
    let source = SourceSettings {
        location,
        branch,
        path,
        credentials: credentials(git)?,
        allowed_signers,
        allowed_pgp_keys,
        limits: Limits::default(),
        cache: state.with_extension("git"),
        timeout: fetch_timeout.get(),
    };
    let secrets = ApiSecrets {
        token: token.token()?.as_deref().map(ApiToken::new),
        webhook: webhook.secret()?.as_deref().map(WebhookSecret::new),
    };
    let debounce = Debounce { quiet: quiet.get(), ceiling: ceiling.get() };
    let edge = EdgeSettings { debounce, resync: resync.get(), ..EdgeSettings::default() };
    let guard = guard.0.map(|percent| InventoryGuard { percent: u32::from(percent), window: guard_window.get() });
    let (poll, revision_guard, relay, sever) = (poll.get(), revision_guard.guard(), relay.0, sever.into());
    let on_fault = if strict { OnFault::Hold } else { OnFault::Quarantine };
    let prober = ProberSettings { secrets: Secrets::new(allow_secret), ..prober() };
    Ok(Settings {
        source,
        state,
        poll,
        revision_guard,
        on_fault,
        listen,
        secrets,
        relay,
        guard,
        edge,
        sever,
        forge,
        prober,
    })
}

/// The source, and the inventory's folder in it.
fn place(repo: Option<&str>, path: String) -> anyhow::Result<(Location, String)> {
    let Some(repo) = repo else {
        ensure!(
            Path::new(&path).is_dir(),
            "`--path {path}` is not a folder, and no repository is named: name one with `--repo`, or start an inventory \
             here with `bascule init`"
        );
        // A plain folder is the inventory itself.
        return Ok((absolute(Location::Directory(PathBuf::from(path)))?, String::new()));
    };
    let is_below = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(
        is_below,
        "`--path {path}` is no folder inside of the repository: give its path from the repository's root, such as \
         `inventory`, or `.` for the root itself"
    );
    Ok((absolute(Location::parse(repo).context("--repo")?)?, path))
}

/// A folder by its whole path: that is how the system names what changes in it, and messages say where it is.
fn absolute(location: Location) -> anyhow::Result<Location> {
    let whole = |path| std::path::absolute(path).context("the current folder is not known");
    Ok(match location {
        Location::Remote(url) => Location::Remote(url),
        Location::Local(path) => Location::Local(whole(path)?),
        Location::Directory(path) => Location::Directory(whole(path)?),
    })
}

fn check_state(state: &Path) -> anyhow::Result<()> {
    let shown = state.display();
    ensure!(!state.is_dir(), "`--state {shown}` is a folder: name a file in it, such as `{shown}/bascule.db`");
    let folder = state.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(
        folder.is_dir(),
        "`--state {shown}`: there is no folder `{}`; make it, or name a file elsewhere",
        folder.display()
    );
    Ok(())
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
