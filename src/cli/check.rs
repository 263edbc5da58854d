//! `bascule check`, once or at each save.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum;
use tokio::sync::Notify;

use super::inputs::{self, Inventory};
use super::signals::Signals;
use super::{EXIT_INVALID, is_colour_wanted, print};
use crate::core::inventory::report::{self, Style};
use crate::core::model::FileSet;
use crate::git::watch_folder;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// How the result is written. Forges get paths from the root of the repository that the inventory is in.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: ReportFormat,
    /// Check again whenever a file changes, until Ctrl-C. For people: with `--format text` only.
    #[arg(long, env = "BASCULE_WATCH")]
    watch: bool,
}

/// How faults are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Annotations of GitHub Actions.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A Code Quality report of GitLab.
    Gitlab,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, format, watch } = args;
    if watch {
        if format != ReportFormat::Text {
            bail!("`--watch` is for people: leave `--format` out, or write `--format text`");
        }
        return watch_and_check(&path).await;
    }
    let inventory = inputs::read(&path).await?;
    print(written(&inventory, format))?;
    Ok(code_of(&inventory))
}

fn code_of(inventory: &Inventory) -> ExitCode {
    if inventory.is_invalid() { ExitCode::from(EXIT_INVALID) } else { ExitCode::SUCCESS }
}

fn written(inventory: &Inventory, format: ReportFormat) -> String {
    let Inventory { prefix, prefix_in_repository, files, diagnostics, desired: _ } = inventory;
    match format {
        ReportFormat::Json => report::json(diagnostics, prefix),
        ReportFormat::Github => report::github(diagnostics, files, prefix_in_repository),
        ReportFormat::Sarif => report::sarif(diagnostics, files, prefix_in_repository),
        ReportFormat::Gitlab => report::gitlab(diagnostics, prefix_in_repository),
        ReportFormat::Text => {
            let style = if is_colour_wanted() { Style::Coloured } else { Style::Plain };
            report::text(diagnostics, files, prefix, style)
        }
    }
}

/// Checks, and again at each change, until a signal. The exit code is that of the last check.
async fn watch_and_check(path: &Path) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen_on_terminal()?;
    let folder = inputs::find(path)?;
    let wake = Arc::new(Notify::new());
    // Before the first check, so that no change falls between the two.
    let _watch = watch_folder(&folder, Arc::clone(&wake))?;
    let mut last: Option<Result<FileSet, String>> = None;
    loop {
        // What is read is the same after most events: an editor makes several for one save.
        let code = match inputs::read(&folder).await {
            Ok(inventory) => {
                let code = code_of(&inventory);
                if last.as_ref() != Some(&Ok(inventory.files.clone())) {
                    let line = if last.is_some() { "\n" } else { "" };
                    print(format!("{line}{}", written(&inventory, ReportFormat::Text)))?;
                    last = Some(Ok(inventory.files));
                }
                code
            }
            Err(error) => {
                let error = format!("{error:#}");
                if last.as_ref() != Some(&Err(error.clone())) {
                    eprintln!("error: {error}");
                    last = Some(Err(error));
                }
                ExitCode::FAILURE
            }
        };
        tokio::select! {
            () = wake.notified() => {}
            () = signals.next() => return Ok(code),
        }
    }
}
