//! How soon a change of a local source is told.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bascule::git::{SourceError, WatchGuard, watch_local};
use tokio::sync::Notify;

use super::SITE;
use crate::support::git_repo::{BRANCH, GitRepo, git};
use crate::support::wait::SOON;

/// A watched source, with what woke it so far taken away.
struct Watched {
    wake: Arc<Notify>,
    guard: WatchGuard,
}

impl Watched {
    fn start(path: &Path) -> Self {
        let wake = Arc::new(Notify::new());
        let guard = watch_local(path, BRANCH, Arc::clone(&wake)).expect("it can be watched");
        Self { wake, guard }
    }

    /// Waits for a wake, and then until there is none for a while: one change may make several.
    async fn woken(&self, what: &str) -> Duration {
        let start = Instant::now();
        let woken = tokio::time::timeout(SOON, self.wake.notified()).await;
        assert!(woken.is_ok(), "nothing said that {what}");
        let took = start.elapsed();
        self.quiet().await;
        took
    }

    /// Returns when no wake came for longer than watches are looked after.
    async fn quiet(&self) {
        while tokio::time::timeout(Duration::from_millis(600), self.wake.notified()).await.is_ok() {}
    }

    async fn assert_silent(&self, what: &str) {
        let woken = tokio::time::timeout(Duration::from_millis(600), self.wake.notified()).await;
        assert!(woken.is_err(), "woken by {what}");
    }
}

#[tokio::test]
async fn a_commit_wakes_at_once() {
    let repo = GitRepo::with(&[SITE]);
    let watched = Watched::start(&repo.path());
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let mut slowest = Duration::ZERO;
    for count in 0..5 {
        let commit = repo.git(&["commit-tree", &tree, "-p", "HEAD", "-m", &count.to_string()]);
        watched.assert_silent("objects without a branch").await;
        // As git does it: a new file, renamed over the old one. Without a process, so that its end is not measured too.
        let branch = repo.path().join(".git/refs/heads/main");
        fs::write(branch.with_extension("lock"), format!("{commit}\n")).expect("writable");
        let start = Instant::now();
        fs::rename(branch.with_extension("lock"), &branch).expect("writable");
        tokio::time::timeout(SOON, watched.wake.notified()).await.expect("the commit wakes");
        slowest = slowest.max(start.elapsed());
        watched.quiet().await;
        assert_eq!(repo.head(), commit);
    }
    println!("a commit woke after {slowest:?} at most");
    assert!(slowest < Duration::from_millis(200), "{slowest:?}");
    repo.write("inventory/sites/thory.yaml", "name: thory\n");
    watched.assert_silent("a file of the work tree").await;
    repo.commit("for real");
    let took = watched.woken("there is a commit").await;
    println!("a commit by git woke {took:?} after git had ended");
}

#[tokio::test]
async fn a_repository_that_is_named_from_here_is_watched() {
    let repo = GitRepo::with(&[SITE]);
    let here = std::env::current_dir().expect("a folder");
    let mut relative: std::path::PathBuf = here.iter().skip(1).map(|_| "..").collect();
    relative.push(repo.path().strip_prefix("/").expect("it is absolute"));
    assert!(relative.is_relative() && relative.is_dir(), "{}", relative.display());
    let watched = Watched::start(&relative);
    watched.quiet().await;
    repo.commit("next");
    watched.woken("there is a commit").await;
}

#[tokio::test]
async fn other_branches_and_reading_do_not_wake() {
    let repo = GitRepo::with(&[SITE]);
    let watched = Watched::start(&repo.path());
    repo.git(&["branch", "other"]);
    watched.assert_silent("another branch").await;
    super::fetch(super::local(&repo.path())).await.expect("it can be read");
    watched.assert_silent("reading").await;
}

#[tokio::test]
async fn a_push_packed_references_and_a_bare_repository() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let watched = Watched::start(&bare);
    repo.commit("pushed");
    repo.push();
    watched.woken("something was pushed").await;
    git(&bare, &["pack-refs", "--all", "--prune"]);
    watched.woken("references were packed").await;
    assert!(!bare.join("refs/heads/main").exists(), "it is packed");
    repo.commit("pushed again");
    repo.push();
    watched.woken("something was pushed after packing").await;
}

#[tokio::test]
async fn a_linked_work_tree_is_watched_where_its_branches_are() {
    let repo = GitRepo::with(&[SITE]);
    let linked = repo.beside("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "other", linked.to_str().expect("UTF-8")]);
    let watched = Watched::start(&linked);
    repo.commit("in the main work tree");
    watched.woken("the branch moved").await;
}

#[tokio::test]
async fn a_branch_in_folders_that_come_and_go() {
    let repo = GitRepo::with(&[SITE]);
    let wake = Arc::new(Notify::new());
    let guard = watch_local(&repo.path(), "team/a/live", Arc::clone(&wake)).expect("it can be watched");
    let watched = Watched { wake, guard };
    for _ in 0..3 {
        repo.git(&["branch", "team/a/live"]);
        watched.woken("the branch was made").await;
        repo.commit("next");
        watched.quiet().await;
        repo.git(&["branch", "--force", "team/a/live", "HEAD"]);
        watched.woken("the branch moved").await;
        repo.git(&["branch", "-D", "team/a/live"]);
        watched.woken("the branch was deleted").await;
    }
}

#[tokio::test]
async fn a_replaced_repository_is_watched_again() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let watched = Watched::start(&bare);
    fs::remove_dir_all(&bare).expect("it is there");
    watched.woken("the repository is gone").await;
    repo.git(&["clone", "--quiet", "--bare", ".", bare.to_str().expect("UTF-8")]);
    watched.woken("it is back").await;
    repo.commit("pushed");
    repo.push();
    watched.woken("something was pushed to the new one").await;

    let old = repo.beside("old.git");
    fs::rename(&bare, &old).expect("it can be moved");
    repo.git(&["clone", "--quiet", "--bare", ".", bare.to_str().expect("UTF-8")]);
    watched.woken("it was replaced").await;
    repo.commit("pushed again");
    repo.push();
    watched.woken("something was pushed to the third one").await;
}

#[tokio::test]
async fn a_plain_folder_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    fs::write(folder.path().join("a.yaml"), "1").expect("writable");
    let watched = Watched::start(folder.path());
    let start = Instant::now();
    fs::write(folder.path().join("a.yaml"), "2").expect("writable");
    tokio::time::timeout(SOON, watched.wake.notified()).await.expect("it wakes");
    println!("a file woke after {:?}", start.elapsed());
    watched.quiet().await;
    fs::read(folder.path().join("a.yaml")).expect("readable");
    watched.assert_silent("reading").await;
    fs::create_dir_all(folder.path().join("deep/er")).expect("writable");
    fs::write(folder.path().join("deep/er/b.yaml"), "1").expect("writable");
    watched.woken("there is a new folder").await;
    fs::write(folder.path().join("deep/er/b.yaml"), "2").expect("writable");
    watched.woken("a file in a new folder changed").await;
}

#[tokio::test]
async fn a_dropped_guard_is_silent() {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let watched = Watched::start(folder.path());
    let Watched { wake, guard } = watched;
    drop(guard);
    fs::write(folder.path().join("a.yaml"), "1").expect("writable");
    assert!(tokio::time::timeout(Duration::from_millis(600), wake.notified()).await.is_err());
}

#[test]
fn what_is_not_there_cannot_be_watched() {
    let wake = Arc::new(Notify::new());
    let error = watch_local(Path::new("/nonexistent/repository"), BRANCH, wake).expect_err("there is nothing");
    assert!(matches!(error, SourceError::Watch { .. }), "{error:?}");
}
