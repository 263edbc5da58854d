//! Fetching one branch of a remote.
//!
//! The whole history of the branch is fetched, not only its last commit: so it is always known whether a new head descends
//! from the old one, and only what is new is sent. Repositories of inventories are small; libgit2 cannot make a shallow clone
//! from a `file` URL.

use std::cell::RefCell;
use std::rc::Rc;

use git2::{
    AutotagOption, Direction, ErrorClass, ErrorCode, FetchOptions, Oid, ProxyOptions, RemoteCallbacks, Repository,
};

use super::access::Access;
use super::source::Job;
use super::{Snapshot, SourceError, cache, repository};

/// Fetches, and reads the files. A damaged cache is made anew once.
pub(super) fn fetch(job: &Job, url: &str) -> Result<Snapshot, SourceError> {
    job.settings.credentials.check()?;
    let first = cache::open(job).and_then(|repository| fetch_into(job, url, &repository));
    match first {
        Err(SourceError::Cache { .. }) => fetch_into(job, url, &cache::recreate(job)?),
        other => other,
    }
}

fn fetch_into(job: &Job, url: &str, repository: &Repository) -> Result<Snapshot, SourceError> {
    let access = Rc::new(RefCell::new(Access::new(&job.settings.credentials, url)));
    let tip = download(job, url, repository, &access)?;
    repository::snapshot(job, repository, tip)
}

fn download<'a>(
    job: &'a Job,
    url: &str,
    repository: &Repository,
    access: &Rc<RefCell<Access<'a>>>,
) -> Result<Oid, SourceError> {
    let failed = |error: git2::Error| explain(job, &error, access);
    let mut remote = repository.remote_anonymous(url).map_err(failed)?;
    let mut connection =
        remote.connect_auth(Direction::Fetch, Some(callbacks(job, access)), Some(proxy())).map_err(failed)?;
    let branch = &job.settings.branch;
    let wanted = format!("refs/heads/{branch}");
    let heads = connection.list().map_err(failed)?;
    let Some(tip) = heads.iter().find(|head| head.name() == wanted).map(git2::RemoteHead::oid) else {
        let mut branches: Vec<_> =
            heads.iter().filter_map(|head| head.name().strip_prefix("refs/heads/")).map(str::to_owned).collect();
        branches.sort();
        return Err(SourceError::branch_missing(job.place(), branch, branches));
    };
    if !cache::has(repository, tip) {
        let mut options = FetchOptions::new();
        options.remote_callbacks(callbacks(job, access)).download_tags(AutotagOption::None).proxy_options(proxy());
        let refspec = format!("+{wanted}:refs/bascule/fetched");
        connection.remote().download(&[refspec], Some(&mut options)).map_err(failed)?;
        cache::remember(job, repository, tip)?;
    }
    Ok(tip)
}

fn proxy() -> ProxyOptions<'static> {
    let mut options = ProxyOptions::new();
    options.auto();
    options
}

/// The places where libgit2 asks, and where it can be told to stop.
fn callbacks<'a>(job: &'a Job, access: &Rc<RefCell<Access<'a>>>) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    let credentials = Rc::clone(access);
    callbacks.credentials(move |asking, user, allowed| credentials.borrow_mut().credential(asking, user, allowed));
    let identity = Rc::clone(access);
    callbacks.certificate_check(move |certificate, _host| identity.borrow_mut().check(certificate));
    callbacks.transfer_progress(|_| !job.deadline.is_over());
    callbacks.sideband_progress(|_| !job.deadline.is_over());
    callbacks
}

/// Sorts what libgit2 says. What the callbacks found is better known than the code that came out in the end.
fn explain(job: &Job, error: &git2::Error, access: &Rc<RefCell<Access<'_>>>) -> SourceError {
    if let Err(timeout) = job.in_time() {
        return timeout;
    }
    let mut access = access.borrow_mut();
    if let Some(found) = access.take_problem() {
        return found;
    }
    let remote = job.place();
    let source = job.fault(error);
    if error.code() == ErrorCode::Auth || access.is_unusable(error) {
        return SourceError::AuthRefused { remote, tried: access.tried(), source };
    }
    if error.code() == ErrorCode::Certificate
        || (error.class() == ErrorClass::Ssl && error.message().contains("certificate"))
    {
        return SourceError::Certificate { remote, source };
    }
    match error.class() {
        // Statuses come as text only.
        ErrorClass::Http if error.message().ends_with("status code: 403") => {
            SourceError::AuthRefused { remote, tried: access.tried(), source }
        }
        ErrorClass::Http if error.message().ends_with("status code: 404") => {
            SourceError::NotARepository { place: remote, source }
        }
        ErrorClass::Odb
        | ErrorClass::Object
        | ErrorClass::Reference
        | ErrorClass::Zlib
        | ErrorClass::Tree
        | ErrorClass::Indexer => job.broken(error),
        // Of a `file` URL.
        ErrorClass::Repository => SourceError::NotARepository { place: remote, source },
        _ => SourceError::Unreachable { remote, source },
    }
}
