use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::builder::BoolishValueParser;
use serde::Serialize;

use super::{EXIT_CHANGES, ReviewFormat, inputs, print};
use crate::core::caddy::{EdgeChange, Pool, dialed, diff, render};
use crate::core::inventory::Desired;
use crate::core::model::{EdgeName, Revision, counted};
use crate::core::review::{self, review};
use crate::core::routing::{Inputs, Leaving, plan};
use crate::edge::{Admin as _, AdminSettings, ScopedAdmin};

/// What `--against` says for the live edges.
const LIVE: &str = "live";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Only this edge.
    #[arg(long, env = "BASCULE_EDGE", value_name = "NAME")]
    edge: Option<EdgeName>,
    /// What it is compared with: the live edges, a revision of the repository that it is in (`origin/main`), or another
    /// folder. With a revision or a folder no edge is asked, and the shares of traffic are told. Every backend counts as up:
    /// with the live edges, what a controller took out shows as a change.
    #[arg(long, env = "BASCULE_AGAINST", value_name = "live|REVISION|DIR", default_value = "live")]
    against: String,
    /// How the result is written.
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value = "text")]
    format: ReviewFormat,
    /// Exit 2 when something would change, 0 when nothing would.
    #[arg(long, env = "BASCULE_DETAILED_EXITCODE", value_parser = BoolishValueParser::new())]
    detailed_exitcode: bool,
}

/// What would change on one edge.
#[derive(Debug, Serialize)]
struct EdgePlanDto {
    edge: String,
    digest: String,
    changes: Vec<EdgeChange>,
    /// What is open to backends that get nothing new, those that would be taken out now among them; none where the edge
    /// cannot tell.
    leaving: Option<Vec<Leaving>>,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, edge, against, format, detailed_exitcode } = args;
    let inventory = inputs::read(&path).await?;
    let desired = inventory.desired()?;
    let code = |is_change: bool| {
        if is_change && detailed_exitcode { ExitCode::from(EXIT_CHANGES) } else { ExitCode::SUCCESS }
    };
    if against != LIVE {
        ensure!(edge.is_none(), "`--edge` is for `--against live`: without it no edge is asked");
        return against_another(&path, &against, desired, format).await.map(code);
    }
    // Nobody has probed: every backend is unknown, and unknown stays in rotation.
    let plan = plan(&Inputs::declared(desired));
    let mut plans = Vec::new();
    for edge in inputs::edges(desired, edge.as_ref())? {
        let admin = ScopedAdmin::of(edge, AdminSettings::default())?;
        let actual = admin.read().await.with_context(|| format!("edge {}", edge.name))?;
        let rendered = render(&plan.effective, edge, &Pool::strict());
        let changes = diff(&actual.config, &rendered.config());
        let removed = dialed(&actual.config).difference(&dialed(&rendered.config())).cloned().collect();
        let open = admin.open_requests().await.with_context(|| format!("edge {}", edge.name))?;
        let leaving = open.map(|open| plan.effective.leaving(edge, &open, &removed));
        let digest = rendered.digest.to_string();
        plans.push(EdgePlanDto { edge: edge.name.to_string(), digest, changes, leaving });
    }
    match format {
        ReviewFormat::Json => print(serde_json::to_string_pretty(&plans)? + "\n")?,
        ReviewFormat::Text => print(text(&plans))?,
        ReviewFormat::Markdown => print(format!("```\n{}```\n", text(&plans)))?,
    }
    Ok(code(plans.iter().any(|plan| !plan.changes.is_empty())))
}

/// Compares with what another folder or revision declares; true where something differs.
async fn against_another(path: &Path, against: &str, after: &Desired, format: ReviewFormat) -> anyhow::Result<bool> {
    let before = if Path::new(against).is_dir() {
        inputs::read(Path::new(against)).await
    } else {
        inputs::read_revision(path, against).await
    };
    let review = match before {
        Ok(before) => {
            if before.is_invalid() {
                eprintln!("`{against}`, which it is compared with, has errors:");
            }
            review(before.desired()?, after)
        }
        Err(error) if inputs::has_no_inventory(&error) => {
            eprintln!("{error}: everything counts as new");
            review(&Desired::empty(Revision::new(against)), after)
        }
        Err(error) => return Err(error),
    };
    print(match format {
        ReviewFormat::Text => review::text(&review),
        ReviewFormat::Json => review::json(&review),
        ReviewFormat::Markdown => review::markdown(&review),
    })?;
    Ok(!review.is_empty())
}

fn text(plans: &[EdgePlanDto]) -> String {
    let mut lines = Vec::new();
    for plan in plans {
        let (work, found): (Vec<_>, Vec<_>) = plan.changes.iter().partition(|change| change.is_work());
        match (work.is_empty(), found.is_empty()) {
            (true, true) => lines.push(format!("edge {}: no changes", plan.edge)),
            (_, true) => lines.push(format!("edge {}:", plan.edge)),
            (_, false) => lines.push(format!("edge {}, which runs nothing yet:", plan.edge)),
        }
        lines.extend(work.into_iter().map(|change| format!("  {change}")));
        lines.extend(plan.leaving.iter().flatten().map(|leaving| format!("  leaving {leaving}")));
    }
    let changes = plans.iter().flat_map(|plan| &plan.changes).filter(|change| change.is_work()).count();
    let edges = plans.iter().filter(|plan| !plan.changes.is_empty()).count();
    lines.push(format!("Plan: {} on {edges} of {}\n", counted(changes, "change"), counted(plans.len(), "edge")));
    lines.join("\n")
}
