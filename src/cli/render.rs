use std::path::PathBuf;
use std::process::ExitCode;

use super::{inputs, print};
use crate::core::caddy::{Pool, render};
use crate::core::model::EdgeName;
use crate::core::routing::{Inputs, plan};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The edge to render for. May be left out where the inventory has only one.
    #[arg(long, env = "BASCULE_EDGE", value_name = "NAME")]
    edge: Option<EdgeName>,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, edge } = args;
    let inventory = inputs::read(&path).await?;
    let desired = inventory.desired()?;
    let [edge] = inputs::edges(desired, edge.as_ref())?[..] else {
        anyhow::bail!("the inventory has several edges; name one with `--edge`");
    };
    let plan = plan(&Inputs::declared(desired));
    print(format!("{:#}\n", render(&plan.effective, edge, &Pool::strict()).config()))?;
    Ok(ExitCode::SUCCESS)
}
