//! From a branch to a snapshot, by the object database alone.

use std::path::Path;
use std::sync::Arc;

use git2::{BranchType, Commit, ErrorCode, Oid, Repository, Signature};

use super::deadline::Deadline;
use super::source::Job;
use super::{Moved, Snapshot, SourceError, SourceSettings, libgit2, signature, tree};
use crate::core::model::{Revision, RevisionInfo, Timestamp};

/// Reads the branch of a repository on this machine. Nothing is written to it.
pub(super) fn fetch_local(job: &Job, path: &Path) -> Result<Snapshot, SourceError> {
    if let Err(source) = path.read_dir() {
        return Err(SourceError::Unreadable { path: path.to_owned(), source });
    }
    let repository = Repository::open(path)
        .map_err(|error| SourceError::NotARepository { place: job.place(), source: job.fault(&error) })?;
    let branch = &job.settings.branch;
    let name = format!("refs/heads/{branch}");
    // Packing moves a branch from its own file into a common one; between the looks at the two it may seem to be in neither.
    let reference = repository.find_reference(&name).or_else(|_| repository.find_reference(&name));
    let tip = match reference {
        Ok(reference) => reference.peel_to_commit().map_err(|error| job.broken(&error))?.id(),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
            let branches = branches(&repository).map_err(|error| job.broken(&error))?;
            return Err(SourceError::branch_missing(job.place(), branch, branches));
        }
        Err(error) => return Err(job.broken(&error)),
    };
    snapshot(job, &repository, tip)
}

/// Reads one revision of a repository on this machine, by whatever git finds it by: `origin/main`, `HEAD~1`, a commit id. The
/// location must be local; its branch counts for nothing. Blocks.
pub fn read_revision(settings: SourceSettings, revision: &str) -> Result<Snapshot, SourceError> {
    let (deadline, _waiting) = Deadline::after(settings.timeout);
    let job = Job { settings: Arc::new(settings), last: None, deadline, alone: true };
    libgit2::prepare();
    let repository = Repository::open(job.place())
        .map_err(|error| SourceError::NotARepository { place: job.place(), source: job.fault(&error) })?;
    let missing = |_| SourceError::RevisionMissing { place: job.place(), revision: revision.to_owned() };
    let commit = repository.revparse_single(revision).and_then(|object| object.peel_to_commit()).map_err(missing)?;
    snapshot(&job, &repository, commit.id())
}

fn branches(repository: &Repository) -> Result<Vec<String>, git2::Error> {
    let mut names = Vec::new();
    for branch in repository.branches(Some(BranchType::Local))? {
        names.push(String::from_utf8_lossy(branch?.0.name_bytes()?).into_owned());
    }
    names.sort();
    Ok(names)
}

/// The files of commit `tip`.
pub(super) fn snapshot(job: &Job, repository: &Repository, tip: Oid) -> Result<Snapshot, SourceError> {
    let commit = repository.find_commit(tip).map_err(|error| job.broken(&error))?;
    let info = describe(&commit);
    let moved = moved(repository, tip, job.last.as_ref()).map_err(|error| job.broken(&error))?;
    let distrust = signature::distrust(job, repository, &info, moved)?;
    let files = match moved {
        // Nothing is done with the files of a commit for which nobody vouches.
        _ if distrust.is_some() => None,
        Moved::Unchanged => None,
        Moved::First | Moved::Forward | Moved::Rewritten => Some(tree::read(job, repository, &commit, &info.id)?),
    };
    let messages = messages(repository, tip, job.last.as_ref()).map_err(|error| job.broken(&error))?;
    Ok(Snapshot { info, files, moved, messages: Some(messages), distrust })
}

/// Messages that are read at one fetch.
const MESSAGES_MAX: usize = 1000;
/// Bytes of a message that are read. Trailers are at its end.
const MESSAGE_END: usize = 4096;

/// Messages of the commits from `tip` down to what `last` has.
fn messages(repository: &Repository, tip: Oid, last: Option<&Revision>) -> Result<Vec<String>, git2::Error> {
    let message = |commit: &Commit<'_>| {
        let bytes = commit.message_bytes();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(MESSAGE_END)..]).into_owned()
    };
    let Some(last) = known(repository, last)? else { return Ok(vec![message(&repository.find_commit(tip)?)]) };
    let mut walk = repository.revwalk()?;
    walk.push(tip)?;
    walk.hide(last)?;
    walk.take(MESSAGES_MAX).map(|commit| Ok(message(&repository.find_commit(commit?)?))).collect()
}

/// A revision as a commit that the repository has.
fn known(repository: &Repository, revision: Option<&Revision>) -> Result<Option<Oid>, git2::Error> {
    let odb = repository.odb()?;
    Ok(revision.and_then(|revision| Oid::from_str(revision.as_str()).ok()).filter(|&id| odb.exists(id)))
}

fn describe(commit: &Commit<'_>) -> RevisionInfo {
    let subject = commit.summary_bytes().unwrap_or_default();
    RevisionInfo {
        id: Revision::new(commit.id().to_string()),
        author: person(&commit.author()),
        subject: String::from_utf8_lossy(subject).into_owned(),
        committed_at: Timestamp::from_unix_millis(commit.time().seconds().saturating_mul(1000)),
    }
}

fn person(signature: &Signature<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{} <{}>", text(signature.name_bytes()), text(signature.email_bytes()))
}

fn moved(repository: &Repository, tip: Oid, last: Option<&Revision>) -> Result<Moved, git2::Error> {
    // The revision of a directory is not an object id: the source is of another kind now.
    let Some(last) = last.and_then(|last| Oid::from_str(last.as_str()).ok()) else { return Ok(Moved::First) };
    if last == tip {
        return Ok(Moved::Unchanged);
    }
    // A commit that the repository no longer has cannot be an ancestor of one that it has in full.
    if !repository.odb()?.exists(last) {
        return Ok(Moved::Rewritten);
    }
    Ok(if repository.graph_descendant_of(tip, last)? { Moved::Forward } else { Moved::Rewritten })
}
