mod console;
mod exercise;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use self::world::World;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Cut a site and bring it back without being asked, judge what clients saw, and exit 0 or 1.
    #[arg(long)]
    exercise: bool,
    /// The Caddy to run. Default: `caddy` on PATH.
    #[arg(long, env = "BASCULE_CADDY", default_value = "caddy", value_name = "FILE")]
    caddy: PathBuf,
    /// Port where the edge listens on loopback. Default: 8080, or a free one where that is taken.
    #[arg(long)]
    port: Option<u16>,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { exercise, caddy, port } = args;
    let world = World::start(&caddy, port).await?;
    if exercise {
        let verdict = exercise::run(world).await;
        return match verdict {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error.context("the exercise failed")),
        };
    }
    console::run(world).await?;
    Ok(ExitCode::SUCCESS)
}
