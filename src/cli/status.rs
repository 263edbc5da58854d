use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{Format, is_colour_wanted, print};
use crate::core::status::{Paint, StatusDto, text};

const SERVER: &str = "http://127.0.0.1:7500";
/// A controller answers from memory; one that takes longer is hung.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the controller's API listens.
    #[arg(long, env = "BASCULE_SERVER", default_value = SERVER)]
    server: String,
    /// How the result is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    /// Where the controller's API listens.
    #[arg(long, env = "BASCULE_SERVER", default_value = SERVER)]
    server: String,
    /// Also ask whether it is ready: a revision is served and every edge has been tried.
    #[arg(long)]
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
    let url = format!("{}{path}", server.trim_end_matches('/'));
    let answer = client.get(&url).send().await.with_context(|| format!("no controller answers at {server}"))?;
    let status = answer.status();
    let body = answer.text().await.with_context(|| format!("the answer of {url} broke off"))?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", body.trim());
    }
    Ok(body)
}
