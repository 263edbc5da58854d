//! The command line: one file a subcommand. Data goes to stdout, everything else to stderr.

mod addresses;
mod apply;
mod check;
mod demo;
mod explain;
mod failback;
mod fmt;
mod forge;
mod history;
mod import;
mod init;
mod inputs;
mod logging;
mod overrides;
mod plan;
mod render;
mod review;
mod run;
mod sample;
mod schema;
mod secret;
mod server;
mod signals;
mod simulate;
mod status;
mod steer;
mod variables;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use self::logging::LogFormat;
use crate::core::status::Paint;

/// `plan --checksum`: the plan is not the one that was reviewed.
const EXIT_OTHER_PLAN: u8 = 5;
/// A word or flag that is not known. Not clap's own 2, which `plan --detailed-exitcode` has a meaning for.
const EXIT_USAGE: u8 = 1;
/// The inventory is invalid.
const EXIT_INVALID: u8 = 3;
/// `plan --detailed-exitcode`: something would change.
const EXIT_CHANGES: u8 = 2;
/// `simulate --require` and `review --require`: a critical service would be down, or is removed.
const EXIT_REQUIRED: u8 = 4;

/// `import caddy`: an inventory was made, and not every request reaches the upstreams that it reached.
const EXIT_OTHER_REQUESTS: u8 = 6;
/// `review --post`: the review could not be posted.
const EXIT_NOT_POSTED: u8 = 7;

/// GitOps failover control plane for Caddy.
///
/// A git repository declares sites, services and backends. bascule checks it, probes the backends, and keeps every Caddy
/// edge serving exactly what should be served now.
#[derive(Debug, Parser)]
#[command(name = "bascule", version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    /// How log lines are written to stderr.
    #[arg(long, global = true, env = "BASCULE_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Which log lines are written: a level, or a filter such as `info,bascule::probe=debug`.
    #[arg(
        long,
        global = true,
        env = "BASCULE_LOG",
        default_value = "info,notify=error,pgp=error",
        value_name = "FILTER"
    )]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "made once")]
enum Command {
    /// Runs the controller: follows the inventory, probes backends, configures edges.
    Run(run::Args),
    /// Checks an inventory. Exits 0 when it is good (warnings allowed) and 3 when it is not.
    Check(check::Args),
    /// Explains the code of a fault: what it means, an example, the cure. Without a code, lists them all.
    Explain(explain::Args),
    /// Brings the files of an inventory to their one style. Comments and the order of keys stay.
    Fmt(fmt::Args),
    /// Prints the Caddy configuration of one edge, as JSON.
    Render(render::Args),
    /// Shows what would change: on the live edges, beside a running controller, or since a revision. Writes nothing.
    Plan(plan::Args),
    /// Shows what becomes of services when sites or backends are lost. Asks nobody and writes nothing.
    Simulate(simulate::Args),
    /// Tells about a proposal for who reviews it: faults, what changes, what losses take down. In a job of a pull request, as
    /// a comment there.
    Review(review::Args),
    /// Configures the edges once, and exits.
    Apply(apply::Args),
    /// Shows what a running controller sees: faults, edges, services, backends, sites.
    Status(status::Args),
    /// Decides by hand, for a time: drains a backend or a site, or takes it for up or down, whatever probes say.
    Override(overrides::Args),
    /// Lets the traffic of a service return now to the tier or backend that it prefers.
    Failback(failback::Args),
    /// Stays with the revision that is served, whatever is committed, until `resume`. Failover goes on.
    Suspend(steer::SuspendArgs),
    /// Follows the source again.
    Resume(steer::ResumeArgs),
    /// Goes back to a revision that was served before, and stays there until `resume`.
    Rollback(steer::RollbackArgs),
    /// Lets a revision pass that is held for what it takes out.
    Allow(steer::AllowArgs),
    /// Has the source read and every edge looked at now.
    Reconcile(steer::ReconcileArgs),
    /// Shows what was served when, and what operators did about it.
    History(history::Args),
    /// Shows how a revision that the controller has read differs from another.
    Diff(history::DiffArgs),
    /// Writes or checks the JSON schemas that editors use.
    Schema(schema::Args),
    /// Makes an inventory of an existing configuration, and says what it could not carry over.
    Import(import::Args),
    /// Writes a commented starter inventory.
    Init(init::Args),
    /// Runs two sites on loopback with a real git repository and a real Caddy.
    Demo(demo::Args),
    /// Runs a sample backend that says who it is, for trying things out.
    Sample(sample::Args),
    /// Exits 0 when the controller answers that it is alive. For container health checks.
    Healthcheck(status::HealthArgs),
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the version.
    Version,
}

/// How results are written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How results are written to stdout that reviewers read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReviewFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let Cli { log_format, log, command } = match parse() {
        Ok(cli) => cli,
        // Help and the version come this way too, for stdout.
        Err(usage) => {
            let is_error = usage.use_stderr();
            // Nobody is left to be told where the terminal is gone.
            let _ = usage.print();
            return if is_error { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = logging::start(log_format, &log) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    match execute(command) {
        Ok(code) => code,
        Err(error) if error.is::<inputs::Invalid>() => ExitCode::from(EXIT_INVALID),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Cli, clap::Error> {
    let typed: Vec<_> = std::env::args_os().collect();
    let mut command = variables::without_empty(Cli::command());
    let matches =
        command.try_get_matches_from_mut(&typed).map_err(|error| variables::named(error, &command, &typed))?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => block_on(run::execute(args)),
        Command::Check(args) => block_on(check::execute(args)),
        Command::Explain(args) => explain::execute(&args),
        Command::Fmt(args) => block_on(fmt::execute(args)),
        Command::Render(args) => block_on(render::execute(args)),
        Command::Plan(args) => block_on(plan::execute(args)),
        Command::Simulate(args) => block_on(simulate::execute(args)),
        Command::Review(args) => block_on(review::execute(args)),
        Command::Apply(args) => block_on(apply::execute(args)),
        Command::Status(args) => block_on(status::execute(args)),
        Command::Override(args) => block_on(overrides::execute(args)),
        Command::Failback(args) => block_on(failback::execute(args)),
        Command::Suspend(args) => block_on(steer::suspend(args)),
        Command::Resume(args) => block_on(steer::resume(args)),
        Command::Rollback(args) => block_on(steer::roll_back(args)),
        Command::Allow(args) => block_on(steer::allow(args)),
        Command::Reconcile(args) => block_on(steer::reconcile(args)),
        Command::History(args) => block_on(history::execute(args)),
        Command::Diff(args) => block_on(history::diff(args)),
        Command::Schema(args) => block_on(schema::execute(args)),
        Command::Import(args) => block_on(import::execute(args)),
        Command::Init(args) => block_on(init::execute(args)),
        Command::Demo(args) => block_on(demo::execute(args)),
        Command::Sample(args) => block_on(sample::execute(args)),
        Command::Healthcheck(args) => block_on(status::healthcheck(args)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bascule", &mut script);
            print(&script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            print(format!("bascule {}\n", env!("CARGO_PKG_VERSION")))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // What is left, such as a name that is being looked up, concerns nobody any more.
    runtime.shutdown_background();
    done
}

/// Writes to stdout. A reader that has seen enough, such as `head`, is no fault; `println!` would panic.
fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn paint() -> Paint {
    if is_colour_wanted() { Paint::Colour } else { Paint::Plain }
}

/// Colours on a terminal, unless `NO_COLOR` is set to anything (<https://no-color.org>).
fn is_colour_wanted() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !is_refused
}
