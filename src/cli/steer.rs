//! What operators order about the source: suspend, rollback, resume, allow, reconcile.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::Method;

use super::overrides::OrderArgs;
use super::print;
use crate::core::model::{Term, Timestamp};
use crate::core::status::{EdgeState, QuarantinedDto, ReconcileDto, StatusDto, SteeredDto, named};
use crate::core::steering::SteerDoc;

/// Between two looks at the controller.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct SuspendArgs {
    /// Why, in a few words, for everybody who looks.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct RollbackArgs {
    /// The revision: its id, or at least 4 characters of its beginning. `bascule history` lists those that were served.
    #[arg(long, value_name = "REVISION")]
    to: String,
    /// Why, in a few words, for everybody who looks.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct AllowArgs {
    /// The revision that is held, as `bascule status` shows it.
    revision: String,
    /// Why, in a few words, for everybody who looks.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReconcileArgs {
    /// Waits until the newest revision is served, and every edge was seen to run it. Exits 1 where that does not come about.
    #[arg(long)]
    wait: bool,
    /// How long it waits.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    timeout: Term,
    #[command(flatten)]
    order: OrderArgs,
}

pub(super) async fn suspend(args: SuspendArgs) -> anyhow::Result<ExitCode> {
    let SuspendArgs { reason, order } = args;
    steer(order, |by| SteerDoc::Suspend { reason, by }).await
}

pub(super) async fn roll_back(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let RollbackArgs { to, reason, order } = args;
    steer(order, |by| SteerDoc::Rollback { to, reason, by }).await
}

pub(super) async fn resume(args: ResumeArgs) -> anyhow::Result<ExitCode> {
    let ResumeArgs { order } = args;
    steer(order, |by| SteerDoc::Resume { by }).await
}

pub(super) async fn allow(args: AllowArgs) -> anyhow::Result<ExitCode> {
    let AllowArgs { revision, reason, order } = args;
    steer(order, |by| SteerDoc::Allow { revision, reason, by }).await
}

async fn steer(order: OrderArgs, doc: impl FnOnce(String) -> SteerDoc) -> anyhow::Result<ExitCode> {
    let (server, by) = order.open()?;
    let doc = doc(by);
    let body = server.order(Method::POST, &["v1", "steering"], &doc).await?;
    let SteeredDto { step, newest } = server.read(&body)?;
    let newest = newest.as_ref().map(named);
    let then = match (&doc, newest) {
        (SteerDoc::Resume { .. }, Some(newest)) => format!("{newest} is read now"),
        (SteerDoc::Resume { .. }, None) => "the source is followed".to_owned(),
        (SteerDoc::Allow { .. }, _) => "it is read again now; see `bascule status`".to_owned(),
        (_, Some(newest)) => {
            format!("the source has {newest}, which is not served; `bascule resume` follows it again")
        }
        (_, None) => "nothing newer is served until `bascule resume`; failover goes on".to_owned(),
    };
    print(format!("{}; {then}\n", step.words()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn reconcile(args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let ReconcileArgs { wait, timeout, order } = args;
    let timeout = timeout.get();
    let (server, by) = order.open()?;
    let body = server.order(Method::POST, &["v1", "reconcile"], &serde_json::json!({ "by": by })).await?;
    let ReconcileDto { at } = server.read(&body)?;
    if !wait {
        print("the source is read and every edge looked at now; see `bascule status`\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let give_up = Instant::now() + timeout;
    loop {
        let status: StatusDto = server.read(&server.get("/v1/status").await?)?;
        match progress(&status, at) {
            Progress::Done(text) => {
                print(format!("{text}\n"))?;
                return Ok(ExitCode::SUCCESS);
            }
            Progress::Failed(text) => bail!(text),
            Progress::Waiting(text) if Instant::now() >= give_up => {
                bail!("not done within {} s: {text}", timeout.as_secs());
            }
            Progress::Waiting(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// How far a reconciliation has come.
enum Progress {
    /// Everything runs the newest revision.
    Done(String),
    /// It will not come about by itself.
    Failed(String),
    /// Something is still to come.
    Waiting(String),
}

/// How far what was asked for at a moment has come.
fn progress(status: &StatusDto, at: Timestamp) -> Progress {
    let about = |scope: &str| status.faults.iter().find(|fault| fault.scope == scope).map(|it| it.message.clone());
    if status.fetched_at.is_none_or(|fetched| fetched < at) {
        return Progress::Waiting(about("source").unwrap_or_else(|| "the source has not been read yet".to_owned()));
    }
    if let Some(fault) = about("inventory") {
        return Progress::Failed(fault);
    }
    let Some(revision) = &status.revision else {
        return Progress::Waiting("no revision is served yet".to_owned());
    };
    for edge in &status.edges {
        let is_current =
            edge.applied.as_ref().is_some_and(|applied| applied.at >= at && applied.revision == revision.id);
        if edge.state == EdgeState::Stalled {
            let why =
                about(&format!("edge {}", edge.name)).unwrap_or_else(|| "it refused the configuration".to_owned());
            return Progress::Failed(format!("edge {}: {why}", edge.name));
        }
        if edge.state != EdgeState::InSync || !is_current {
            let why = about(&format!("edge {}", edge.name)).unwrap_or_else(|| edge.state.as_str().replace('_', " "));
            return Progress::Waiting(format!("edge {}: {why}", edge.name));
        }
    }
    let edges: Vec<_> = status.edges.iter().map(|edge| edge.name.as_str()).collect();
    let served = format!("revision {} is served by {}", named(revision), edges.join(", "));
    let mut without: Vec<String> = status.quarantine.iter().map(QuarantinedDto::words).collect();
    for edge in &status.edges {
        without.extend(edge.refused.iter().map(|it| format!("{} at edge {}: {}", it.service, edge.name, it.message)));
    }
    if without.is_empty() {
        Progress::Done(served)
    } else {
        Progress::Failed(format!("{served}, without {}", without.join("; ")))
    }
}
