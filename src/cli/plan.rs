mod compared;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::builder::BoolishValueParser;
use serde::Serialize;

use self::compared::Compared;
use super::server::{Server, ServerArgs};
use super::{EXIT_CHANGES, EXIT_OTHER_PLAN, ReviewFormat, inputs, print};
use crate::core::caddy::{EdgeChange, Pool, dialed, diff, render};
use crate::core::inventory::{Desired, load};
use crate::core::model::{Digest, EdgeName, Revision, counted};
use crate::core::review::{self, Review, review, review_live};
use crate::core::routing::{Inputs, Leaving, plan};
use crate::core::status::LiveDto;
use crate::edge::{Admin as _, AdminSettings, ScopedAdmin};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Only this edge.
    #[arg(long, env = "BASCULE_EDGE", value_name = "NAME")]
    edge: Option<EdgeName>,
    #[command(flatten)]
    compared: Compared,
    /// The checksum that the plan had when it was reviewed. Exit 5 when what would change now is something else.
    #[arg(long, env = "BASCULE_CHECKSUM", value_name = "HASH", value_parser = Digest::parse)]
    checksum: Option<Digest>,
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

/// What would change on the edges that were asked.
#[derive(Debug, Serialize)]
struct EdgePlansDto {
    checksum: Digest,
    edges: Vec<EdgePlanDto>,
}

/// What a plan comes to: whether something would change, and the checksum of that.
struct Outcome {
    is_change: bool,
    checksum: Digest,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, edge, compared, checksum, format, detailed_exitcode } = args;
    let inventory = inputs::read(&path).await?;
    let desired = inventory.desired()?;
    let outcome = match compared {
        Compared::Edges => against_edges(desired, edge.as_ref(), format).await?,
        Compared::Controller(server) => {
            ensure!(
                edge.is_none(),
                "`--edge` is for edges that are asked: with `--server` the controller is, and no edge"
            );
            against_controller(server, desired, format).await?
        }
        Compared::Declared(other) => {
            ensure!(edge.is_none(), "`--edge` is for `--against live`: without it no edge is asked");
            against_another(&path, &other, desired, format).await?
        }
    };
    if let Some(reviewed) = checksum.filter(|reviewed| *reviewed != outcome.checksum) {
        eprintln!(
            "error: this is not the plan that was reviewed: its checksum is {}, and not {reviewed}; review it anew",
            outcome.checksum
        );
        return Ok(ExitCode::from(EXIT_OTHER_PLAN));
    }
    Ok(if outcome.is_change && detailed_exitcode { ExitCode::from(EXIT_CHANGES) } else { ExitCode::SUCCESS })
}

/// Compares with what the edges run.
async fn against_edges(desired: &Desired, edge: Option<&EdgeName>, format: ReviewFormat) -> anyhow::Result<Outcome> {
    // Nobody has probed: every backend is unknown, and unknown stays in rotation.
    let plan = plan(&Inputs::declared(desired));
    let mut edges = Vec::new();
    for edge in inputs::edges(desired, edge)? {
        let admin = ScopedAdmin::of(edge, AdminSettings::default())?;
        let actual = admin.read().await.with_context(|| format!("edge {}", edge.name))?;
        let rendered = render(&plan.effective, edge, &Pool::strict());
        let changes = diff(&actual.config, &rendered.config());
        let removed = dialed(&actual.config).difference(&dialed(&rendered.config())).cloned().collect();
        let open = admin.open_requests().await.with_context(|| format!("edge {}", edge.name))?;
        let leaving = open.map(|open| plan.effective.leaving(edge, &open, &removed));
        let digest = rendered.digest.to_string();
        edges.push(EdgePlanDto { edge: edge.name.to_string(), digest, changes, leaving });
    }
    let plans = EdgePlansDto { checksum: checksum(&edges)?, edges };
    match format {
        ReviewFormat::Json => print(serde_json::to_string_pretty(&plans)? + "\n")?,
        ReviewFormat::Text => print(text(&plans))?,
        ReviewFormat::Markdown => print(format!("```\n{}```\n", text(&plans)))?,
    }
    let is_change = plans.edges.iter().any(|plan| !plan.changes.is_empty());
    Ok(Outcome { is_change, checksum: plans.checksum })
}

/// A checksum of what would change on edges. What is open there comes and goes, and is no part of it.
fn checksum(edges: &[EdgePlanDto]) -> anyhow::Result<Digest> {
    let changing: Vec<_> = edges
        .iter()
        .filter(|plan| !plan.changes.is_empty())
        .map(|plan| (&plan.edge, &plan.digest, &plan.changes))
        .collect();
    Ok(Digest::of(&serde_json::to_vec(&("edges 1", changing))?))
}

/// Compares with what a running controller serves, by what it knows.
async fn against_controller(server: String, after: &Desired, format: ReviewFormat) -> anyhow::Result<Outcome> {
    let server = Server::new(ServerArgs { server }, None)?;
    let live: LiveDto = server.read(&server.get("/v1/live").await?)?;
    let before = load(&live.files(), live.revision.clone()).desired;
    let before = before.with_context(|| {
        let short = live.revision.short();
        format!("this bascule {} refuses revision {short}, which the controller serves", env!("CARGO_PKG_VERSION"))
    })?;
    let known = live.read(&before).context("the controller's answer cannot be understood")?;
    shown(&review_live(&before, after, &known), format)
}

/// Compares with what another folder or revision declares.
async fn against_another(path: &Path, against: &str, after: &Desired, format: ReviewFormat) -> anyhow::Result<Outcome> {
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
    shown(&review, format)
}

fn shown(review: &Review, format: ReviewFormat) -> anyhow::Result<Outcome> {
    print(match format {
        ReviewFormat::Text => review::text(review),
        ReviewFormat::Json => review::json(review),
        ReviewFormat::Markdown => review::markdown(review),
    })?;
    Ok(Outcome { is_change: !review.is_empty(), checksum: review.checksum.clone() })
}

fn text(EdgePlansDto { checksum, edges: plans }: &EdgePlansDto) -> String {
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
    lines.push(format!("Plan: {} on {edges} of {}", counted(changes, "change"), counted(plans.len(), "edge")));
    lines.push(format!("Checksum: {checksum}\n"));
    lines.join("\n")
}
