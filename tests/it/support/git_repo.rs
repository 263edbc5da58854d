//! Git repositories made with the real git, shut off from the configuration of whoever runs the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The branch that repositories start with.
pub const BRANCH: &str = "main";

/// Runs git in `dir` with a fixed identity and no configuration but the repository's. Gives what it prints, without the last
/// newline; panics with what it says when it fails.
#[track_caller]
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Camille")
        .env("GIT_AUTHOR_EMAIL", "camille@example.org")
        .env("GIT_COMMITTER_NAME", "Camille")
        .env("GIT_COMMITTER_EMAIL", "camille@example.org")
        .output()
        .expect("git can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?} in {}: {}\n{said}", dir.display(), output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A repository with a work tree, in a folder of its own.
#[derive(Debug)]
pub struct GitRepo {
    root: TempDir,
}

impl GitRepo {
    /// A repository without commits.
    pub fn empty() -> Self {
        let root = tempfile::tempdir().expect("a temp dir can be made");
        let repo = Self { root };
        fs::create_dir(repo.path()).expect("the temp dir is writable");
        git(&repo.path(), &["init", "--quiet", "--initial-branch", BRANCH]);
        repo
    }

    /// A repository with one commit that holds `files` (path and text).
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repo = Self::empty();
        repo.commit_files(files, "first");
        repo
    }

    /// Its work tree.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// A folder beside the work tree, for what belongs to the same test.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs git in the work tree.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    /// Writes a file of the work tree, and the folders above it.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let place = self.path().join(path);
        fs::create_dir_all(place.parent().expect("a file has a folder")).expect("the work tree is writable");
        fs::write(place, bytes).expect("the work tree is writable");
    }

    /// Commits the work tree as it is. Gives the commit's id.
    #[track_caller]
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.head()
    }

    /// Writes files and commits. Gives the commit's id.
    #[track_caller]
    pub fn commit_files(&self, files: &[(&str, &str)], message: &str) -> String {
        for (path, text) in files {
            self.write(path, text);
        }
        self.commit(message)
    }

    /// The id of the newest commit.
    #[track_caller]
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Makes a bare repository beside the work tree with all that was committed, and has `push` go there.
    #[track_caller]
    pub fn publish(&self) -> PathBuf {
        let bare = self.beside("remote.git");
        let place = bare.to_str().expect("temp dirs are UTF-8");
        self.git(&["init", "--quiet", "--bare", "--initial-branch", BRANCH, place]);
        self.git(&["remote", "add", "origin", place]);
        if !self.git(&["for-each-ref", "refs/heads"]).is_empty() {
            self.push();
        }
        bare
    }

    /// Pushes all branches to where [`Self::publish`] made a repository.
    #[track_caller]
    pub fn push(&self) {
        self.git(&["push", "--quiet", "--all", "origin"]);
    }

    /// Pushes all branches, also where that throws commits away.
    #[track_caller]
    pub fn force_push(&self) {
        self.git(&["push", "--quiet", "--force", "--all", "origin"]);
    }
}
