//! The files of a commit's tree.

use git2::{Commit, ObjectType, Odb, Oid, Repository, Tree, TreeEntry};

use super::SourceError;
use super::source::Job;
use crate::core::model::{FileSet, Limits, Revision};

/// Bits of a file mode that tell what an entry is.
const KIND_BITS: i32 = 0o170_000;
const KIND_FILE: i32 = 0o100_000;
const KIND_FOLDER: i32 = 0o040_000;

/// Reads all YAML files below the inventory's folder. Symbolic links, submodules, hidden files and hidden folders are passed
/// over; so is every file that is not YAML.
pub(super) fn read(
    job: &Job,
    repository: &Repository,
    commit: &Commit<'_>,
    revision: &Revision,
) -> Result<FileSet, SourceError> {
    let broken = |error: git2::Error| job.broken(&error);
    let mut root = commit.tree().map_err(broken)?;
    let mut above = String::new();
    for segment in segments(&job.settings.path) {
        let entry = root.get_name_bytes(segment.as_bytes());
        let Some(id) = entry.filter(|entry| kind(entry) == KIND_FOLDER).map(|entry| entry.id()) else {
            return Err(SourceError::path_missing(&job.settings.path, Some(revision.clone()), folders(&root, &above)));
        };
        above.push_str(segment);
        above.push('/');
        root = repository.find_tree(id).map_err(broken)?;
    }
    let odb = repository.odb().map_err(broken)?;
    let mut walk = Walk { job, repository, odb, intake: Intake::new(job.settings.limits) };
    walk.folder(&root, &mut Vec::new(), 0)?;
    let files = walk.intake.files;
    if files.is_empty() {
        return Err(SourceError::NoYaml { path: job.settings.path.clone(), revision: Some(revision.clone()) });
    }
    Ok(files)
}

/// What stands before the path of a file of an inventory, from the root of its repository: `inventory/`. Nothing where the
/// inventory is the root itself, or a plain folder.
pub fn prefix(folder: &str) -> String {
    segments(folder).flat_map(|segment| [segment, "/"]).collect()
}

/// The names in a `/`-separated path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !matches!(*segment, "" | "."))
}

fn kind(entry: &TreeEntry<'_>) -> i32 {
    entry.filemode() & KIND_BITS
}

fn folders(tree: &Tree<'_>, above: &str) -> Vec<String> {
    let folders = tree.iter().filter(|entry| kind(entry) == KIND_FOLDER);
    folders.map(|entry| format!("{above}{}", String::from_utf8_lossy(entry.name_bytes()))).collect()
}

struct Walk<'a> {
    job: &'a Job,
    repository: &'a Repository,
    odb: Odb<'a>,
    intake: Intake,
}

impl Walk<'_> {
    fn folder(&mut self, tree: &Tree<'_>, path: &mut Vec<u8>, depth: usize) -> Result<(), SourceError> {
        self.job.in_time()?;
        for entry in tree {
            let name = entry.name_bytes();
            if name.starts_with(b".") {
                continue;
            }
            let above = path.len();
            path.extend_from_slice(name);
            match kind(&entry) {
                KIND_FILE => self.file(entry.id(), path)?,
                KIND_FOLDER => {
                    self.intake.enter(path, depth + 1)?;
                    let tree = self.repository.find_tree(entry.id()).map_err(|error| self.job.broken(&error))?;
                    path.push(b'/');
                    self.folder(&tree, path, depth + 1)?;
                }
                _ => {}
            }
            path.truncate(above);
        }
        Ok(())
    }

    fn file(&mut self, id: Oid, path: &[u8]) -> Result<(), SourceError> {
        if !FileSet::is_inventory_file(&String::from_utf8_lossy(path)) {
            return Ok(());
        }
        // The size is in the object's header: nothing large is unpacked.
        let (bytes, kind) = self.odb.read_header(id).map_err(|error| self.job.broken(&error))?;
        if kind != ObjectType::Blob {
            return Err(self.job.broken(&git2::Error::from_str("a file of the tree is not a blob")));
        }
        let path = self.intake.announce(path, bytes)?;
        self.job.in_time()?;
        let object = self.odb.read(id).map_err(|error| self.job.broken(&error))?;
        self.intake.files.insert(path, object.data());
        Ok(())
    }
}

/// Files taken so far, and the bounds.
pub(super) struct Intake {
    limits: Limits,
    total_bytes: usize,
    folders: usize,
    pub(super) files: FileSet,
}

impl Intake {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, total_bytes: 0, folders: 0, files: FileSet::new() }
    }

    /// Called before a folder is read; the root has depth 0. There may be as many folders as files: a dozen objects, each a
    /// folder that has the next one ten times over, are millions of them.
    pub(super) fn enter(&mut self, path: &[u8], depth: usize) -> Result<(), SourceError> {
        let Limits { folder_depth, files, .. } = self.limits;
        self.folders += 1;
        let (what, limit) = if depth > folder_depth {
            (format!("it is {depth} folders deep"), folder_depth)
        } else if self.folders > files {
            ("it is one folder too many".to_owned(), files)
        } else {
            return Ok(());
        };
        Err(SourceError::LimitExceeded { path: String::from_utf8_lossy(path).into_owned(), what, limit })
    }

    /// Called before a file is read. Gives its path in the set.
    pub(super) fn announce(&mut self, path: &[u8], bytes: usize) -> Result<String, SourceError> {
        let Limits { file_bytes, files, total_bytes, .. } = self.limits;
        let Ok(path) = String::from_utf8(path.to_vec()) else {
            return Err(SourceError::NameNotUtf8 { path: String::from_utf8_lossy(path).into_owned() });
        };
        let exceeded = |what, limit| Err(SourceError::LimitExceeded { path: path.clone(), what, limit });
        if bytes > file_bytes {
            return exceeded(format!("it has {bytes} bytes"), file_bytes);
        }
        if self.files.len() >= files {
            return exceeded("it is one file too many".to_owned(), files);
        }
        self.total_bytes += bytes;
        if self.total_bytes > total_bytes {
            return exceeded(format!("with it, all files have {} bytes or more", self.total_bytes), total_bytes);
        }
        Ok(path)
    }
}
