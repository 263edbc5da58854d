//! Which folders are watched, and which events in them count.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{Event, RecursiveMode};

use super::super::location::is_repository;

/// What of a local source is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// A branch of a repository.
    Branch {
        /// `HEAD` of this work tree.
        head: PathBuf,
        /// Where all work trees of the repository keep their branches.
        common: PathBuf,
        /// The file of the branch while it is not packed.
        reference: PathBuf,
    },
    /// All of a folder.
    Folder(PathBuf),
}

impl Interest {
    /// Finds out what there is at `path`: a repository, where a branch is asked for and there is one.
    pub(super) fn of(path: &Path, branch: Option<&str>) -> io::Result<Self> {
        fs::metadata(path)?;
        let Some(branch) = branch.filter(|_| is_repository(path)) else {
            return Ok(Self::Folder(path.to_owned()));
        };
        let git = git_folder(path)?;
        let common = match fs::read_to_string(git.join("commondir")) {
            Ok(text) => git.join(text.trim_end()),
            Err(_) => git.clone(),
        };
        fs::metadata(&common)?;
        Ok(Self::Branch { head: git.join("HEAD"), reference: common.join("refs/heads").join(branch), common })
    }

    /// The folders to watch. One that is not there now may come.
    pub(super) fn targets(&self) -> Vec<(PathBuf, RecursiveMode)> {
        match self {
            Self::Folder(root) => vec![(root.clone(), RecursiveMode::Recursive)],
            Self::Branch { head, common, .. } => {
                let mut targets = vec![
                    (common.clone(), RecursiveMode::NonRecursive),
                    (common.join("refs/heads"), RecursiveMode::Recursive),
                    (common.join("reftable"), RecursiveMode::NonRecursive),
                ];
                let git = head.parent().filter(|git| git != common);
                targets.extend(git.map(|git| (git.to_owned(), RecursiveMode::NonRecursive)));
                targets
            }
        }
    }

    /// True when the branch may have moved, or a file may have changed.
    pub(super) fn is_concerned(&self, event: &Event) -> bool {
        // Reading makes events too, and every wake makes us read.
        if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
            return false;
        }
        event.paths.iter().any(|path| match self {
            Self::Folder(_) => true,
            Self::Branch { head, common, reference } => {
                path == head
                    || *path == common.join("packed-refs")
                    || path.starts_with(common.join("reftable"))
                    // The file itself, or one of the folders above it.
                    || (reference.starts_with(path) && path.starts_with(common.join("refs")))
            }
        })
    }

    /// True when watches may have died or be missing.
    pub(super) fn is_structural(&self, event: &Event) -> bool {
        match event.kind {
            EventKind::Create(CreateKind::Folder) => true,
            EventKind::Modify(ModifyKind::Name(_)) => event.paths.iter().any(|path| path.is_dir()),
            EventKind::Remove(_) => {
                event.paths.iter().any(|gone| self.targets().iter().any(|(path, _)| path.starts_with(gone)))
            }
            _ => false,
        }
    }
}

/// The `.git` folder of a work tree, also of a linked one, or the repository itself when it is bare.
fn git_folder(path: &Path) -> io::Result<PathBuf> {
    let inner = path.join(".git");
    if inner.is_dir() {
        return Ok(inner);
    }
    if !inner.exists() {
        return Ok(path.to_owned());
    }
    let text = fs::read_to_string(&inner)?;
    let target = text.strip_prefix("gitdir:").map(str::trim).ok_or(io::ErrorKind::InvalidData)?;
    Ok(path.join(target))
}
