use std::path::PathBuf;
use std::process::ExitCode;

use super::{EXIT_INVALID, Format, inputs, is_colour_wanted, print};
use crate::core::inventory::report::{self, Style};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, format } = args;
    let inventory = inputs::read(&path).await?;
    match format {
        Format::Json => print(report::json(&inventory.diagnostics, &inventory.prefix))?,
        Format::Text => {
            let style = if is_colour_wanted() { Style::Coloured } else { Style::Plain };
            print(report::text(&inventory.diagnostics, &inventory.files, &inventory.prefix, style))?;
        }
    }
    Ok(if inventory.is_invalid() { ExitCode::from(EXIT_INVALID) } else { ExitCode::SUCCESS })
}
