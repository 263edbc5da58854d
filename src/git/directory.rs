//! A plain folder, read as it is.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use super::source::Job;
use super::tree::{Intake, segments};
use super::{Moved, Snapshot, SourceError};
use crate::core::model::{Digest, FileSet, Revision, RevisionInfo, Timestamp};

/// Readings before a folder that never is the same twice is given up.
const READINGS_MAX: usize = 10;
/// Between two readings: editors and copying tools write a few files in far less.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads the folder.
pub(super) fn fetch(job: &Job, base: &Path) -> Result<Snapshot, SourceError> {
    match settled(|| read(job, base))? {
        Some(files) => snapshot(job, files),
        None => Err(SourceError::Unsettled { path: base.to_owned() }),
    }
}

/// Reads until two readings in a row agree: a folder has no commit that says when it is whole.
fn settled(mut read: impl FnMut() -> Result<FileSet, SourceError>) -> Result<Option<FileSet>, SourceError> {
    let mut before = read()?;
    for _ in 1..READINGS_MAX {
        thread::sleep(PAUSE);
        let files = read()?;
        if files == before {
            return Ok(Some(files));
        }
        before = files;
    }
    Ok(None)
}

fn snapshot(job: &Job, files: FileSet) -> Result<Snapshot, SourceError> {
    if files.is_empty() {
        return Err(SourceError::NoYaml { path: job.settings.path.clone(), revision: None });
    }
    let id = identity(&files);
    let moved = match &job.last {
        Some(last) if *last == id => Moved::Unchanged,
        Some(last) if last.as_str().starts_with(PREFIX) => Moved::Forward,
        _ => Moved::First,
    };
    let committed_at = Timestamp::from_system(SystemTime::now());
    let info = RevisionInfo { id, author: String::new(), subject: String::new(), committed_at };
    let files = (moved != Moved::Unchanged).then_some(files);
    Ok(Snapshot { info, files, moved, messages: None, distrust: None })
}

/// Tells the revision of a folder from a commit id.
const PREFIX: &str = "dir-";

/// Digest of all paths and contents. Each file gives a digest of fixed length, so no two sets give the same text.
fn identity(files: &FileSet) -> Revision {
    let mut text = Vec::new();
    for (path, bytes) in files.iter() {
        text.extend_from_slice(Digest::of(path.as_bytes()).as_str().as_bytes());
        text.extend_from_slice(Digest::of(bytes).as_str().as_bytes());
    }
    Revision::new(format!("{PREFIX}{}", Digest::of(&text).as_str()))
}

fn read(job: &Job, base: &Path) -> Result<FileSet, SourceError> {
    let mut root = base.to_owned();
    for segment in segments(&job.settings.path) {
        let inner = root.join(segment);
        if segment == ".." || !inner.is_dir() {
            let names = folders(&root).map_err(|source| SourceError::Unreadable { path: root.clone(), source })?;
            let above = root.strip_prefix(base).unwrap_or(Path::new(""));
            let names = names.iter().map(|name| above.join(name).display().to_string()).collect();
            return Err(SourceError::path_missing(&job.settings.path, None, names));
        }
        root = inner;
    }
    let root = root.canonicalize().map_err(|source| SourceError::Unreadable { path: root, source })?;
    let mut walk = Walk { job, root: &root, intake: Intake::new(job.settings.limits) };
    walk.folder(&root, &mut Vec::new(), 0)?;
    Ok(walk.intake.files)
}

fn folders(root: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(root)?.collect::<Result<Vec<_>, _>>()?;
    let folders = entries.iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

struct Walk<'a> {
    job: &'a Job,
    root: &'a Path,
    intake: Intake,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, path: &mut Vec<u8>, depth: usize) -> Result<(), SourceError> {
        self.job.in_time()?;
        let unreadable = |source| SourceError::Unreadable { path: folder.to_owned(), source };
        let mut entries =
            fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        // Which file a limit names must not depend on the order in which the file system keeps them.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let above = path.len();
            path.extend_from_slice(name.as_bytes());
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                self.intake.enter(path, depth + 1)?;
                path.push(b'/');
                self.folder(&entry.path(), path, depth + 1)?;
            } else {
                self.file(&entry.path(), path)?;
            }
            path.truncate(above);
        }
        Ok(())
    }

    fn file(&mut self, place: &Path, path: &[u8]) -> Result<(), SourceError> {
        if !FileSet::is_inventory_file(&String::from_utf8_lossy(path)) {
            return Ok(());
        }
        // A symbolic link is followed as long as it stays inside: that is how Kubernetes mounts a ConfigMap. One that leads
        // out or nowhere is passed over, like everything that is not a file.
        let Ok(real) = place.canonicalize() else { return Ok(()) };
        if !real.starts_with(self.root) || !real.is_file() {
            return Ok(());
        }
        self.job.in_time()?;
        let unreadable = |source| SourceError::Unreadable { path: place.to_owned(), source };
        let file = File::open(&real).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let name = self.intake.announce(path, usize::try_from(bytes).unwrap_or(usize::MAX))?;
        // No more than was announced, even if the file grows now: the next reading then differs.
        let mut content = Vec::new();
        file.take(bytes).read_to_end(&mut content).map_err(unreadable)?;
        self.intake.files.insert(name, content);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_read_twice_in_a_row_counts() {
        let one = |text: &str| FileSet::from_iter([("a.yaml", text.as_bytes())]);
        let mut readings = ["1", "2", "1", "3", "3", "4"].into_iter();
        let files =
            settled(|| Ok(one(readings.next().expect("no more readings than needed")))).expect("no reading fails");
        assert_eq!(files, Some(one("3")));
        assert_eq!(readings.next(), Some("4"));
        let mut count = 0;
        let files = settled(|| {
            count += 1;
            Ok(one(&count.to_string()))
        });
        assert_eq!((files.expect("no reading fails"), count), (None, READINGS_MAX));
    }
}
