//! From a commit's tree to files in memory.

use git2::{ObjectType, Repository, Tree};

use super::SourceError;
use crate::core::model::{FileSet, Limits};

/// git's mode of a symbolic link: its content is a path, not a document.
const SYMLINK: i32 = 0o120_000;

/// Reads the inventory files of a commit below `path`.
pub(super) fn read(
    repository: &Repository,
    commit: &git2::Commit<'_>,
    path: &str,
    limits: Limits,
) -> Result<FileSet, SourceError> {
    let internal = |error: git2::Error| unreadable(repository, &error);
    let root = commit.tree().map_err(internal)?;
    let path = path.trim_matches('/');
    let tree = match path {
        "" | "." => root,
        _ => match root.get_path(std::path::Path::new(path)) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => {
                repository.find_tree(entry.id()).map_err(internal)?
            }
            _ => {
                let revision = commit.id().to_string();
                return Err(SourceError::NoPath { path: path.to_owned(), revision, known: folders(&root) });
            }
        },
    };
    let odb = repository.odb().map_err(internal)?;
    let mut reader = Reader { repository, odb, limits, files: FileSet::new(), total: 0 };
    reader.walk(&tree, "", 0)?;
    if reader.files.is_empty() {
        return Err(SourceError::Empty { path: if path.is_empty() { ".".to_owned() } else { path.to_owned() } });
    }
    Ok(reader.files)
}

struct Reader<'a> {
    repository: &'a Repository,
    odb: git2::Odb<'a>,
    limits: Limits,
    files: FileSet,
    total: usize,
}

impl Reader<'_> {
    fn walk(&mut self, tree: &Tree<'_>, prefix: &str, depth: usize) -> Result<(), SourceError> {
        if depth > self.limits.folder_depth {
            let limit = format!("folders are read {} deep", self.limits.folder_depth);
            return Err(SourceError::Limit { path: prefix.to_owned(), limit });
        }
        for entry in tree {
            // A name that is not UTF-8 is none that an inventory has.
            let Ok(name) = entry.name() else { continue };
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let folder =
                        self.repository.find_tree(entry.id()).map_err(|error| unreadable(self.repository, &error))?;
                    self.walk(&folder, &path, depth + 1)?;
                }
                Some(ObjectType::Blob) if entry.filemode() != SYMLINK && FileSet::is_inventory_file(&path) => {
                    self.take(entry.id(), path)?;
                }
                // Submodules are commits; everything else is nothing that an inventory reads.
                _ => {}
            }
        }
        Ok(())
    }

    /// The size is looked up before the content is read.
    fn take(&mut self, id: git2::Oid, path: String) -> Result<(), SourceError> {
        let Limits { file_bytes, files, total_bytes, folder_depth: _ } = self.limits;
        let internal = |error: git2::Error| unreadable(self.repository, &error);
        let (size, _) = self.odb.read_header(id).map_err(internal)?;
        self.total = self.total.saturating_add(size);
        let limit = if size > file_bytes {
            Some(format!("a file has at most {file_bytes} bytes"))
        } else if self.total > total_bytes {
            Some(format!("all files together have at most {total_bytes} bytes"))
        } else if self.files.len() >= files {
            Some(format!("there are at most {files} files"))
        } else {
            None
        };
        if let Some(limit) = limit {
            return Err(SourceError::Limit { path, limit });
        }
        let blob = self.odb.read(id).map_err(internal)?;
        self.files.insert(path, blob.data());
        Ok(())
    }
}

fn folders(tree: &Tree<'_>) -> String {
    let is_folder = |entry: &git2::TreeEntry<'_>| entry.kind() == Some(ObjectType::Tree);
    let names = tree.iter().filter(is_folder).filter_map(|entry| entry.name().ok().map(str::to_owned));
    let names: Vec<_> = names.take(20).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

pub(super) fn unreadable(repository: &Repository, error: &git2::Error) -> SourceError {
    SourceError::Repository { path: repository.path().to_owned(), message: error.message().to_owned() }
}
