mod caddy;
mod console;
mod exercise;
mod places;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::builder::BoolishValueParser;
use tokio_util::sync::CancellationToken;

use self::world::World;
use super::signals::Signals;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Cut a site and bring it back without being asked, judge what clients saw, and exit 0 or 1.
    #[arg(long, env = "BASCULE_EXERCISE", value_parser = BoolishValueParser::new())]
    exercise: bool,
    /// The Caddy to run. Default: `caddy` on PATH.
    #[arg(long, env = "BASCULE_CADDY", default_value = "caddy", value_name = "FILE")]
    caddy: PathBuf,
    /// Port where the edge listens on loopback. Default: 8080, or a free one where that is taken.
    #[arg(long, env = "BASCULE_PORT")]
    port: Option<u16>,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen_on_terminal()?;
    let stop = CancellationToken::new();
    let work = run(args, stop.clone());
    tokio::pin!(work);
    tokio::select! {
        ended = &mut work => return ended.map(|()| ExitCode::SUCCESS),
        () = signals.next() => stop.cancel(),
    }
    tokio::select! {
        ended = &mut work => ended.map(|()| ExitCode::SUCCESS),
        () = signals.next() => bail!("told to end a second time: ended without waiting for work under way"),
    }
}

async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let Args { exercise, caddy, port } = args;
    let start = async {
        let world = World::start(&caddy, port).await?;
        world.wait_for("first revision", |status| status.ready).await?;
        anyhow::Ok(world)
    };
    let world = tokio::select! {
        world = start => world?,
        () = stop.cancelled() => return Ok(()),
    };
    if !exercise {
        return console::run(world, stop).await;
    }
    tokio::select! {
        verdict = exercise::run(world) => verdict.context("the exercise failed"),
        () = stop.cancelled() => bail!("the exercise was interrupted"),
    }
}
