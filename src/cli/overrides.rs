use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;

use super::secret::TokenArgs;
use super::server::{Server, ServerArgs};
use super::{Format, paint, print};
use crate::app::now;
use crate::core::model::Term;
use crate::core::routing::{Action, OverrideDoc};
use crate::core::status::{OverrideClearedDto, OverrideDto, OverrideSetDto, OverridesDto, overrides_text, span};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// No new request; what is open may end.
    Drain(SetArgs),
    /// Taken for up, whatever probes say.
    Up(SetArgs),
    /// Taken for down, whatever probes say.
    Down(SetArgs),
    /// Shows the overrides in force.
    List(ListArgs),
    /// Ends an override before its time.
    Clear(ClearArgs),
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// A backend or a site: `backend:api-dijon-1`, `site:dijon`, or a bare name that only one of them has. An override of a
    /// site is one of all its backends; a backend's own comes before it.
    target: String,
    /// How long it holds: a number and a unit (s, m, h, d), at most 30 days. It ends by itself.
    #[arg(long = "for", value_name = "TIME")]
    term: Term,
    /// Why, in a few words, for everybody who looks.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct ClearArgs {
    /// The backend or site whose override ends.
    target: String,
    #[command(flatten)]
    order: OrderArgs,
}

/// Who gives an order, and to whom.
#[derive(Debug, clap::Args)]
pub(super) struct OrderArgs {
    /// Who decides, for everybody who looks. Default: the name of the user.
    #[arg(long, env = "BASCULE_BY", value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    token: TokenArgs,
}

impl OrderArgs {
    /// The controller, and who gives the order.
    pub(super) fn open(self) -> anyhow::Result<(Server, String)> {
        let Self { by, server, token } = self;
        Ok((Server::new(server, token.token()?)?, by.unwrap_or_else(user)))
    }
}

/// Who sits there, behind `sudo` too; empty where the environment does not say.
fn user() -> String {
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    let named = names.filter_map(|name| std::env::var(name).ok()).find(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Drain(args) => set(Action::Drain, args).await?,
        Command::Up(args) => set(Action::Up, args).await?,
        Command::Down(args) => set(Action::Down, args).await?,
        Command::List(args) => list(args).await?,
        Command::Clear(args) => clear(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(action: Action, args: SetArgs) -> anyhow::Result<()> {
    let SetArgs { target, term, reason, order } = args;
    let (server, by) = order.open()?;
    let doc = OverrideDoc { target, action: action.to_string(), term: term.to_string(), reason, by };
    let body = server.order(Method::POST, &["v1", "overrides"], &doc).await?;
    let OverrideSetDto { decided, warnings } = server.read(&body)?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let OverrideDto { target, action, until, reason, .. } = &decided;
    let holds = match action {
        Action::Drain => "gets no new request",
        Action::Up => "is taken for up, whatever probes say,",
        Action::Down => "is taken for down, whatever probes say,",
    };
    print(format!("{target} {holds} until {} (for {term}): {reason}\n", until.clock(now())))
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let ListArgs { format, server } = args;
    let server = Server::new(server, None)?;
    let body = server.get("/v1/overrides").await?;
    match format {
        Format::Json => print(server.json(body)?),
        Format::Text => {
            let OverridesDto { overrides } = server.read(&body)?;
            if overrides.is_empty() {
                return print("no override holds\n");
            }
            print(overrides_text(&overrides, now(), paint()))
        }
    }
}

async fn clear(args: ClearArgs) -> anyhow::Result<()> {
    let ClearArgs { target, order } = args;
    let (server, by) = order.open()?;
    let place = ["v1", "overrides", &target];
    let body = server.order(Method::DELETE, &place, &serde_json::json!({ "by": by })).await?;
    let OverrideClearedDto { cleared } = server.read(&body)?;
    let (target, left) = (&cleared.target, span(cleared.remaining_seconds));
    print(format!("{target} is no longer overridden (was {}, {left} left)\n", cleared.decision(now())))
}
