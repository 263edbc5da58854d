//! A plain folder as a source, for trying things out.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::SourceError;
use super::source::{Moved, Snapshot};
use crate::core::model::{Digest, FileSet, Limits, Revision, RevisionInfo, Timestamp};

/// Reads until two in a row agree, at most. Editors save in several steps, each a few milliseconds long.
const READS_MAX: usize = 10;

pub(super) fn read(root: &Path, limits: Limits, last: Option<&Revision>) -> Result<Snapshot, SourceError> {
    let mut before = None;
    for _ in 0..READS_MAX {
        let mut reader = Reader { root, limits, files: FileSet::new(), total: 0 };
        reader.walk(root, "", 0)?;
        let files = reader.files;
        let id = identity(&files);
        if before.as_ref() == Some(&id) {
            return snapshot(root, files, id, last);
        }
        before = Some(id);
    }
    Err(SourceError::Unstable { path: root.display().to_string() })
}

fn snapshot(root: &Path, files: FileSet, id: Revision, last: Option<&Revision>) -> Result<Snapshot, SourceError> {
    if files.is_empty() {
        return Err(SourceError::Empty { path: root.display().to_string() });
    }
    let info = RevisionInfo {
        id,
        author: String::new(),
        subject: String::new(),
        committed_at: Timestamp::from_system(SystemTime::now()),
    };
    Ok(match last {
        Some(last) if *last == info.id => Snapshot { info, files: None, moved: Moved::Unchanged },
        Some(_) => Snapshot { info, files: Some(files), moved: Moved::Forward },
        None => Snapshot { info, files: Some(files), moved: Moved::First },
    })
}

/// A folder has no commits; its content stands for itself.
fn identity(files: &FileSet) -> Revision {
    let lines: Vec<_> = files.iter().map(|(path, bytes)| format!("{} {path}", Digest::of(bytes))).collect();
    Revision::new(format!("dir-{}", Digest::of(lines.join("\n").as_bytes())))
}

struct Reader<'a> {
    root: &'a Path,
    limits: Limits,
    files: FileSet,
    total: usize,
}

impl Reader<'_> {
    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), SourceError> {
        let Limits { file_bytes, files, total_bytes, folder_depth } = self.limits;
        let beyond = |path: &str, limit: String| SourceError::Limit { path: path.to_owned(), limit };
        if depth > folder_depth {
            return Err(beyond(prefix, format!("folders are read {folder_depth} deep")));
        }
        let io = |path: &Path, source| SourceError::Io { path: path.to_owned(), source };
        let entries = std::fs::read_dir(folder).map_err(|source| io(folder, source))?;
        let mut entries: Vec<(String, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .collect();
        entries.sort();
        for (name, path) in entries {
            let relative = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            // Hidden folders are not the inventory's: `.git` above all.
            if metadata.is_dir() && !relative.rsplit('/').next().is_some_and(|name| name.starts_with('.')) {
                self.walk(&path, &relative, depth + 1)?;
            }
            // As from a commit, a symbolic link is not followed.
            if !metadata.is_file() || !FileSet::is_inventory_file(&relative) {
                continue;
            }
            let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
            self.total = self.total.saturating_add(size);
            if size > file_bytes {
                return Err(beyond(&relative, format!("a file has at most {file_bytes} bytes")));
            }
            if self.total > total_bytes {
                return Err(beyond(&relative, format!("all files together have at most {total_bytes} bytes")));
            }
            if self.files.len() >= files {
                return Err(beyond(&relative, format!("there are at most {files} files")));
            }
            match std::fs::read(&path) {
                Ok(bytes) => self.files.insert(relative, bytes),
                // It went away since the folder was listed; the next read will tell.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(io(&self.root.join(&relative), source)),
            }
        }
        Ok(())
    }
}
