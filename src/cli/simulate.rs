use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::builder::BoolishValueParser;

use super::{EXIT_REQUIRED, ReviewFormat, inputs, print};
use crate::core::routing::Target;
use crate::core::simulate::{Forecast, Outcome, json, markdown, simulate, single_losses, text};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// What is lost, such as `site:dijon` or `backend:api-thory-1`; several are lost together. Without it, every site and
    /// every backend is lost by itself, one after the other.
    #[arg(long, value_name = "TARGET")]
    down: Vec<String>,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: ReviewFormat,
    /// Exit 4 when a service that is declared `critical: true` would be down.
    #[arg(long, env = "BASCULE_REQUIRE", value_parser = BoolishValueParser::new())]
    require: bool,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, down, format, require } = args;
    let inventory = inputs::read(&path).await?;
    let desired = inventory.desired()?;
    let losses = if down.is_empty() {
        single_losses(desired)
    } else {
        let named = |text: &String| Target::named(text, desired).map_err(|refusal| anyhow!(refusal.message));
        // Named twice, it is lost once.
        let lost: BTreeSet<Target> = down.iter().map(named).collect::<Result<_, _>>()?;
        vec![lost.into_iter().collect()]
    };
    let forecasts = simulate(desired, &losses);
    print(match format {
        ReviewFormat::Text => text(&forecasts),
        ReviewFormat::Json => json(&forecasts),
        ReviewFormat::Markdown => markdown(&forecasts),
    })?;
    if !require {
        return Ok(ExitCode::SUCCESS);
    }
    if !desired.services.values().any(|service| service.critical) {
        eprintln!("nothing is required: no service is declared `critical: true`");
    }
    let failed = failed(&forecasts);
    for line in &failed {
        eprintln!("required: {line}");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_REQUIRED) })
}

/// The critical services that are down, each with what takes it down.
fn failed(forecasts: &[Forecast]) -> Vec<String> {
    let mut failed = Vec::new();
    for forecast in forecasts {
        for service in forecast.services.iter().filter(|it| it.is_critical && it.outcome == Outcome::Down) {
            let lost = forecast.lost_words();
            failed.push(format!("service {} is critical, and down with {lost} lost", service.service));
        }
    }
    failed
}
