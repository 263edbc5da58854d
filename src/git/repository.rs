//! Fetching and reading with libgit2. Everything here blocks.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use git2::{
    CertificateCheckStatus, ErrorClass, ErrorCode, FetchOptions, RemoteCallbacks, Repository, RepositoryInitOptions,
};

use super::credentials::Answers;
use super::location::without_credentials;
use super::source::{Moved, Snapshot, SourceSettings};
use super::{Location, SourceError, directory, host_key, tree};
use crate::core::model::{Revision, RevisionInfo, Timestamp};

/// Where a fetched branch is kept in the cache.
const FETCHED: &str = "refs/bascule/head";
/// Branches named in a message.
const SHOWN_MAX: usize = 20;

/// One read, with the deadline that its callbacks keep to.
pub(super) struct Read<'a> {
    pub(super) settings: &'a SourceSettings,
    pub(super) last: Option<&'a Revision>,
    pub(super) deadline: Instant,
    pub(super) is_cancelled: &'a AtomicBool,
}

impl Read<'_> {
    /// Reads the source. A remote's cache that is damaged is made anew, once.
    pub(super) fn run(&self) -> Result<Snapshot, SourceError> {
        match &self.settings.location {
            Location::Directory(path) => directory::read(path, self.settings.limits, self.last),
            Location::Local(path) => self.read_local(path),
            Location::Remote(url) => match self.read_remote(url) {
                Err(SourceError::Repository { .. }) if !self.is_over() => {
                    // The cache holds nothing that the remote does not have.
                    let cache = &self.settings.cache;
                    std::fs::remove_dir_all(cache).map_err(|source| SourceError::Io { path: cache.clone(), source })?;
                    self.read_remote(url)
                }
                result => result,
            },
        }
    }

    fn is_over(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    fn read_local(&self, path: &Path) -> Result<Snapshot, SourceError> {
        let failed =
            |error: git2::Error| SourceError::Repository { path: path.to_owned(), message: error.message().to_owned() };
        let repository = Repository::open(path).map_err(failed)?;
        let SourceSettings { branch, .. } = self.settings;
        let reference = format!("refs/heads/{branch}");
        let find = || repository.find_reference(&reference).and_then(|reference| reference.peel_to_commit());
        // Whoever writes to the branch replaces its file, and between two looks (loose file, packed file) it may be in
        // neither: a branch that is not there is looked for twice.
        let commit = match find().or_else(|_| find()) {
            Ok(commit) => commit,
            Err(error) if error.code() == ErrorCode::NotFound => {
                let names = repository.branches(Some(git2::BranchType::Local)).map_err(failed)?;
                let name = |(branch, _): (git2::Branch<'_>, git2::BranchType)| Some(branch.name().ok()??.to_owned());
                let known: Vec<_> = names.filter_map(Result::ok).filter_map(name).collect();
                return Err(no_branch(self.settings, known));
            }
            Err(error) => return Err(failed(error)),
        };
        self.snapshot(&repository, &commit)
    }

    fn read_remote(&self, url: &str) -> Result<Snapshot, SourceError> {
        let repository = self.cache()?;
        let host_fault = Rc::new(RefCell::new(None));
        let heads = self.fetch(&repository, url, &host_fault);
        if let Some(fault) = host_fault.take() {
            return Err(fault);
        }
        match heads {
            Ok(None) => {}
            Ok(Some(known)) => return Err(no_branch(self.settings, known)),
            Err(error) => return Err(self.remote_error(&repository, &error)),
        }
        let commit = repository.find_reference(FETCHED).and_then(|reference| reference.peel_to_commit());
        let commit = commit.map_err(|error| tree::unreadable(&repository, &error))?;
        self.snapshot(&repository, &commit)
    }

    fn cache(&self) -> Result<Repository, SourceError> {
        let path = &self.settings.cache;
        let opened = if path.exists() {
            Repository::open_bare(path)
        } else {
            Repository::init_opts(path, RepositoryInitOptions::new().bare(true).external_template(false))
        };
        opened.map_err(|error| SourceError::Repository { path: path.clone(), message: error.message().to_owned() })
    }

    /// Fetches the branch. Returns the remote's branches where the wanted one is not among them.
    ///
    /// The whole history of the branch is fetched, once: with less, nobody could tell a branch that moved forward from
    /// one that was rewritten.
    fn fetch(
        &self,
        repository: &Repository,
        url: &str,
        host_fault: &Rc<RefCell<Option<SourceError>>>,
    ) -> Result<Option<Vec<String>>, git2::Error> {
        let branch = &self.settings.branch;
        let mut remote = repository.remote_anonymous(url)?;
        let heads = {
            let connection =
                remote.connect_auth(git2::Direction::Fetch, Some(self.callbacks(url, host_fault)), None)?;
            let heads =
                connection.list()?.iter().filter_map(|head| head.name().strip_prefix("refs/heads/").map(str::to_owned));
            heads.collect::<Vec<_>>()
        };
        if !heads.contains(branch) {
            return Ok(Some(heads));
        }
        let mut options = FetchOptions::new();
        options.remote_callbacks(self.callbacks(url, host_fault)).download_tags(git2::AutotagOption::None);
        options.update_fetchhead(false);
        remote.fetch(&[format!("+refs/heads/{branch}:{FETCHED}")], Some(&mut options), None)?;
        Ok(None)
    }

    fn callbacks<'c>(&'c self, url: &'c str, host_fault: &Rc<RefCell<Option<SourceError>>>) -> RemoteCallbacks<'c> {
        let mut answers = Answers::new(&self.settings.credentials);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(move |_, user, allowed| answers.answer(user, allowed));
        callbacks.transfer_progress(|_| !self.is_over());
        callbacks.sideband_progress(|_| !self.is_over());
        let host_fault = Rc::clone(host_fault);
        callbacks.certificate_check(move |certificate, host| {
            let Some(key) = certificate.as_hostkey().and_then(|key| key.hostkey()) else {
                // Certificates of https are OpenSSL's to judge.
                return Ok(CertificateCheckStatus::CertificatePassthrough);
            };
            let known_hosts = self.settings.credentials.known_hosts.as_deref();
            match host_key::check(host, ssh_port(url), key, known_hosts) {
                Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
                Err(fault) => {
                    host_fault.replace(Some(fault));
                    Err(git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, "host key refused"))
                }
            }
        });
        callbacks
    }

    fn remote_error(&self, repository: &Repository, error: &git2::Error) -> SourceError {
        let url = self.settings.location.shown();
        let message = scrubbed(error.message(), &self.settings.location);
        if self.is_over() {
            return SourceError::Timeout { url, limit: self.settings.timeout };
        }
        match (error.code(), error.class()) {
            (ErrorCode::Auth, _) => SourceError::Refused { url, message },
            (_, ErrorClass::Ssh) if message.contains("authenticat") => SourceError::Refused { url, message },
            (
                _,
                ErrorClass::Odb
                | ErrorClass::Reference
                | ErrorClass::Object
                | ErrorClass::Repository
                | ErrorClass::Indexer,
            ) => tree::unreadable(repository, error),
            _ => SourceError::Unreachable { url, message },
        }
    }

    fn snapshot(&self, repository: &Repository, commit: &git2::Commit<'_>) -> Result<Snapshot, SourceError> {
        let info = info(commit);
        if self.last == Some(&info.id) {
            return Ok(Snapshot { info, files: None, moved: Moved::Unchanged });
        }
        let files = tree::read(repository, commit, &self.settings.path, self.settings.limits)?;
        let moved = match self.last.map(|last| git2::Oid::from_str(last.as_str())) {
            // A revision of a plain folder, before it became a repository.
            None | Some(Err(_)) => Moved::First,
            Some(Ok(last)) => match repository.graph_descendant_of(commit.id(), last) {
                Ok(true) => Moved::Forward,
                // The old commit may be gone altogether.
                Ok(false) | Err(_) => Moved::Rewritten,
            },
        };
        Ok(Snapshot { info, files: Some(files), moved })
    }
}

fn info(commit: &git2::Commit<'_>) -> RevisionInfo {
    let author = commit.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    RevisionInfo {
        id: Revision::new(commit.id().to_string()),
        author: format!("{} <{}>", text(author.name_bytes()), text(author.email_bytes())),
        subject: commit.summary_bytes().map(text).unwrap_or_default(),
        committed_at: Timestamp::from_unix_millis(commit.time().seconds().saturating_mul(1000)),
    }
}

fn no_branch(settings: &SourceSettings, mut known: Vec<String>) -> SourceError {
    known.sort();
    let close = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, &settings.branch), name))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, name)| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default();
    let shown = match known.len() {
        0 => "none: nothing has been pushed yet".to_owned(),
        _ => known.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", "),
    };
    SourceError::NoBranch {
        url: settings.location.shown(),
        branch: settings.branch.clone(),
        known: format!("{shown}{close}"),
    }
}

/// libgit2's words may repeat the URL with what it carries.
fn scrubbed(message: &str, location: &Location) -> String {
    match location {
        Location::Remote(url) => message.replace(url.as_str(), &without_credentials(url)),
        Location::Local(_) | Location::Directory(_) => message.to_owned(),
    }
}

fn ssh_port(url: &str) -> Option<u16> {
    url::Url::parse(url).ok()?.port()
}
