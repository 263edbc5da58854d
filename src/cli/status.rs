use std::process::ExitCode;

use clap::builder::BoolishValueParser;

use super::server::{Server, ServerArgs};
use super::{Format, paint, print};
use crate::core::status::{StatusDto, text};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Also ask whether it is ready: a revision is served and every edge has been tried.
    #[arg(long, env = "BASCULE_READY", value_parser = BoolishValueParser::new())]
    ready: bool,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { server, format } = args;
    let server = Server::new(server, None)?;
    let body = server.get("/v1/status").await?;
    match format {
        Format::Json => print(server.json(body)?)?,
        Format::Text => {
            let status: StatusDto = server.read(&body)?;
            print(text(&status, paint()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn healthcheck(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let HealthArgs { server, ready } = args;
    let path = if ready { "/readyz" } else { "/healthz" };
    print(Server::new(server, None)?.get(path).await?)?;
    Ok(ExitCode::SUCCESS)
}
