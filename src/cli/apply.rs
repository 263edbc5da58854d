use std::path::PathBuf;
use std::process::ExitCode;

use super::{inputs, print};
use crate::app::now;
use crate::core::caddy::{Pool, render};
use crate::core::model::EdgeName;
use crate::core::routing::{Inputs, plan};
use crate::edge::{AdminSettings, ApplySettings, Order, Outcome, ScopedAdmin, apply};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Only this edge.
    #[arg(long, env = "BASCULE_EDGE", value_name = "NAME")]
    edge: Option<EdgeName>,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, edge } = args;
    let inventory = inputs::read(&path).await?;
    let desired = inventory.desired()?;
    let plan = plan(&Inputs::declared(desired));
    let mut code = ExitCode::SUCCESS;
    for edge in inputs::edges(desired, edge.as_ref())? {
        let admin = ScopedAdmin::of(edge, AdminSettings::default())?;
        let rendered = render(&plan.effective, edge, &Pool::strict());
        let config = rendered.config();
        let order = Order { rendered: &config, instead: None, own: &[] };
        let report = apply(&admin, order, &ApplySettings::default(), now).await;
        let name = &edge.name;
        let digest = rendered.digest.short();
        let failure = match report.outcome {
            Outcome::Unchanged => {
                print(format!("edge {name}: no changes, runs {digest}\n"))?;
                continue;
            }
            Outcome::Applied => {
                print(format!("edge {name}: applied {digest} in {} ms\n", report.took.as_millis()))?;
                continue;
            }
            Outcome::Rejected { message, .. } => format!("Caddy rejected it and keeps what it had: {message}"),
            Outcome::Conflict => "a second writer changed the configuration each time; nothing was written".to_owned(),
            Outcome::Drifted { .. } => "a second writer changed the configuration right after".to_owned(),
            Outcome::Unverified { error } => {
                format!("written, but it could not be read back: {:#}", anyhow::Error::new(error))
            }
            Outcome::Failed { error } => format!("{:#}", anyhow::Error::new(error)),
        };
        eprintln!("edge {name}: {failure}");
        code = ExitCode::FAILURE;
    }
    Ok(code)
}
