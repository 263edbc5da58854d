//! The bare repository that keeps what was fetched from a remote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, RepositoryInitOptions};

use super::SourceError;
use super::source::Job;
use crate::core::model::Digest;

/// Says which remote and branch a cache is of, and that the folder may be deleted.
const MARKER: &str = "bascule-cache";
/// What was fetched last. It only tells the remote what need not be sent again.
const FETCHED: &str = "refs/bascule/fetched";
/// Every fetch that brings something adds a pack, and each lookup goes through all of them. At this many the cache is made
/// anew, which is one full fetch after as many commits.
const PACKS_MAX: usize = 500;

/// Opens the cache, and makes it where there is none or it is of another remote.
pub(super) fn open(job: &Job) -> Result<Repository, SourceError> {
    let cache = &job.settings.cache;
    match fs::read_to_string(cache.join(MARKER)) {
        Ok(marker) if marker == identity(job) && packs(cache) < PACKS_MAX => {
            Repository::open_bare(cache).map_err(|error| job.broken(&error))
        }
        Ok(_) => recreate(job),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(job),
        Err(source) => Err(SourceError::CacheFolder { cache: cache.clone(), source }),
    }
}

/// Deletes the cache and makes it anew.
pub(super) fn recreate(job: &Job) -> Result<Repository, SourceError> {
    let cache = &job.settings.cache;
    let failed = |source| SourceError::CacheFolder { cache: cache.clone(), source };
    if !cache.join(MARKER).is_file() {
        return create(job);
    }
    // Moved away first: an abandoned fetch may still write to its files, and must not write into the new ones.
    let old = beside(cache, "old");
    remove(&old).map_err(failed)?;
    fs::rename(cache, &old).map_err(failed)?;
    let repository = create(job)?;
    remove(&old).map_err(failed)?;
    Ok(repository)
}

/// Makes the cache under another name and moves it to its own, so that a kill at any moment leaves none or a whole one.
fn create(job: &Job) -> Result<Repository, SourceError> {
    let cache = &job.settings.cache;
    let failed = |source| SourceError::CacheFolder { cache: cache.clone(), source };
    if fs::read_dir(cache).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(SourceError::CacheOccupied { cache: cache.clone() });
    }
    let new = beside(cache, "new");
    remove(&new).map_err(failed)?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false);
    Repository::init_opts(&new, &options).map_err(|error| job.broken(&error))?;
    fs::write(new.join(MARKER), identity(job)).map_err(failed)?;
    // A rename replaces an empty folder.
    fs::rename(&new, cache).map_err(failed)?;
    Repository::open_bare(cache).map_err(|error| job.broken(&error))
}

fn beside(cache: &Path, suffix: &str) -> PathBuf {
    let mut name = cache.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    cache.with_file_name(name)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The remote is kept as a digest: its URL may hold a password.
fn identity(job: &Job) -> String {
    let text = match &job.settings.location {
        super::Location::Remote(url) => url.clone(),
        local => local.to_string(),
    };
    format!("{}\n", Digest::of(text.as_bytes()))
}

fn packs(cache: &Path) -> usize {
    fs::read_dir(cache.join("objects/pack")).map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
    })
}

/// True when `tip` was fetched before, with all that it needs.
pub(super) fn has(repository: &Repository, tip: Oid) -> bool {
    repository.refname_to_id(FETCHED).is_ok_and(|fetched| fetched == tip)
}

/// Remembers that `tip` is there in full.
///
/// Only a fetch that is alone counts a lock as damage: it was left by a killed process. Otherwise it is that of an abandoned
/// fetch, and not to remember only costs sending the same objects again.
pub(super) fn remember(job: &Job, repository: &Repository, tip: Oid) -> Result<(), SourceError> {
    match repository.reference(FETCHED, tip, true, "") {
        Err(error) if job.alone || error.code() != git2::ErrorCode::Locked => Err(job.broken(&error)),
        _ => Ok(()),
    }
}
