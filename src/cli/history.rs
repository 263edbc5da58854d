//! What was served when, and how revisions differ, as a controller remembers it.

use std::process::ExitCode;

use super::server::{Server, ServerArgs};
use super::{Format, paint, print};
use crate::app::now;
use crate::core::status::{HistoryDto, PastDto, history_text, past_text};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_value_name = "show REVISION")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Shows all that is known of one revision: when it was read, what is wrong with it, what it changed, what edges did.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The revision: its id, or at least 4 characters of its beginning.
    revision: String,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How many entries, at most.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: u32,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The one revision: its id, or at least 4 characters of its beginning.
    from: String,
    /// The other one.
    to: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(Command::Show(args)) => show(args).await,
        None => list(args.list).await,
    }
}

async fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let ListArgs { limit, format, server } = args;
    let server = Server::new(server, None)?;
    let body = server.get(&format!("/v1/history?limit={limit}")).await?;
    match format {
        Format::Json => print(server.json(body)?)?,
        Format::Text => {
            let history: HistoryDto = server.read(&body)?;
            print(history_text(&history.entries, now(), paint()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let ShowArgs { revision, format, server } = args;
    let server = Server::new(server, None)?;
    let body = server.get_at(&["v1", "history", &revision]).await?;
    match format {
        Format::Json => print(server.json(body)?)?,
        Format::Text => {
            let past: PastDto = server.read(&body)?;
            print(past_text(&past, now(), paint()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn diff(args: DiffArgs) -> anyhow::Result<ExitCode> {
    let DiffArgs { from, to, server } = args;
    let server = Server::new(server, None)?;
    print(server.get_at(&["v1", "diff", &from, &to]).await?)?;
    Ok(ExitCode::SUCCESS)
}
