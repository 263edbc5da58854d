use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use tokio::net::TcpListener;

use super::addresses;
use super::signals::Signals;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where it listens.
    #[arg(long, env = "SAMPLE_LISTEN", value_name = "ADDRESS", value_parser = addresses::listen)]
    listen: SocketAddr,
    /// What it calls itself in its answers.
    #[arg(long, env = "SAMPLE_NAME")]
    name: String,
    /// The site that it says it is at.
    #[arg(long, env = "SAMPLE_SITE")]
    site: String,
}

/// Answers `/health` with 200 and everything else with its name, until it is told to end.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { listen, name, site } = args;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let answer = format!("{name} at {site}\n");
    let router = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .fallback(move || async move { ([(header::CACHE_CONTROL, "no-store")], answer) });
    let mut signals = Signals::listen()?;
    axum::serve(listener, router).with_graceful_shutdown(async move { signals.next().await }).await?;
    Ok(ExitCode::SUCCESS)
}
