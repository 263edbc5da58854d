//! See `src/git.rs`. Repositories are made with the real git; remotes are a real `git http-backend` and a real sshd.

mod directory;
mod http;
mod hung;
mod local;
mod location;
mod remote;
mod signed;
mod ssh;
mod ssh_server;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bascule::core::model::Limits;
use bascule::git::{Credentials, Location, Snapshot, Source, SourceError, SourceSettings};

use crate::support::git_repo::BRANCH;

/// A file of an inventory, and what is in it.
const SITE: (&str, &str) = ("inventory/sites/dijon.yaml", "name: dijon\n");

/// Long enough for every fetch that works.
const TIMEOUT: Duration = Duration::from_secs(20);

fn settings(location: Location, cache: PathBuf) -> SourceSettings {
    SourceSettings {
        location,
        branch: BRANCH.to_owned(),
        path: "inventory".to_owned(),
        credentials: Credentials::default(),
        allowed_signers: None,
        allowed_pgp_keys: None,
        limits: Limits::default(),
        cache,
        timeout: TIMEOUT,
    }
}

fn local(path: &Path) -> SourceSettings {
    settings(Location::Local(path.to_owned()), PathBuf::from("/nonexistent"))
}

async fn fetch(settings: SourceSettings) -> Result<Snapshot, SourceError> {
    Source::open(settings)?.fetch(None).await
}

/// Paths of the files that came.
fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.files.as_ref().expect("files came").iter().map(|(path, _)| path).collect()
}

/// The error with all its sources, as a log shows it.
fn full_text(error: &SourceError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The error that a fetch ends with, in full.
#[track_caller]
fn failure(result: Result<Snapshot, SourceError>) -> (SourceError, String) {
    let error = result.expect_err("the fetch fails");
    let text = full_text(&error);
    (error, text)
}
