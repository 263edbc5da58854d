//! What was served when, and how revisions differ, as a controller remembers it.

use std::process::ExitCode;

use super::server::{Server, ServerArgs};
use super::{Format, paint, print};
use crate::app::now;
use crate::core::status::{HistoryDto, history_text};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    let Args { limit, format, server } = args;
    let server = Server::new(server, None)?;
    let body = server.get(&format!("/v1/history?limit={limit}")).await?;
    match format {
        Format::Json => print(body + "\n")?,
        Format::Text => {
            let history: HistoryDto = server.read(&body)?;
            print(history_text(&history, now(), paint()))?;
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
