use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::builder::BoolishValueParser;

use super::{Format, addresses, is_colour_wanted, print};
use crate::core::status::{Paint, StatusDto, text};

const SERVER: &str = "http://127.0.0.1:7500";
/// A controller answers from memory; one that takes longer is hung.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the controller's API listens.
    #[arg(long, env = "BASCULE_SERVER", default_value = SERVER, value_name = "URL", value_parser = addresses::server)]
    server: String,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    /// Where the controller's API listens.
    #[arg(long, env = "BASCULE_SERVER", default_value = SERVER, value_name = "URL", value_parser = addresses::server)]
    server: String,
    /// Also ask whether it is ready: a revision is served and every edge has been tried.
    #[arg(long, env = "BASCULE_READY", value_parser = BoolishValueParser::new())]
    ready: bool,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { server, format } = args;
    let body = get(&server, "/v1/status").await?;
    match format {
        Format::Json => print(body + "\n")?,
        Format::Text => {
            let status: StatusDto = serde_json::from_str(&body)
                .with_context(|| format!("{server} does not answer like bascule {}", env!("CARGO_PKG_VERSION")))?;
            let paint = if is_colour_wanted() { Paint::Colour } else { Paint::Plain };
            print(text(&status, paint))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn healthcheck(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let HealthArgs { server, ready } = args;
    let path = if ready { "/readyz" } else { "/healthz" };
    print(get(&server, path).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn get(server: &str, path: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let url = format!("{server}{path}");
    let answer = client.get(&url).send().await.map_err(|error| unanswered(server, &error))?;
    let status = answer.status();
    let body = answer.text().await.with_context(|| format!("the answer of {url} broke off"))?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", body.trim());
    }
    Ok(body)
}

/// The library tells the address and the fault three times over; its last cause is what the system says.
fn unanswered(server: &str, error: &reqwest::Error) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow!("the controller at {server} did not answer within {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    anyhow!(
        "no controller answers at {server} ({cause}): start one with `bascule run`, or say where it listens with `--server`"
    )
}
