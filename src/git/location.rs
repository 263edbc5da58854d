//! The place of an inventory, as people write it.

use std::fmt;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository};
use url::Url;

use super::{Fault, SourceError, libgit2};

/// Where an inventory is. Shown without the credentials that a URL may hold.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A repository behind an `https`, `http`, `ssh` or `file` URL, or `user@host:path`.
    Remote(String),
    /// A git repository on this machine, bare or with a work tree.
    Local(PathBuf),
    /// A folder that is read as it is.
    Directory(PathBuf),
}

const SCHEMES: [&str; 4] = ["https", "http", "ssh", "file"];

impl Location {
    /// Tells the kinds apart: an existing repository is local, another existing folder a directory, and what looks like a URL
    /// or like `user@host:path` a remote. A folder inside a repository is refused: what is committed counts, not what lies there.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let unknown = |reason| SourceError::NotALocation { text: without_userinfo(text), reason };
        if let Some((scheme, rest)) = text.split_once("://") {
            if !SCHEMES.contains(&scheme) {
                return Err(unknown(format!("`{scheme}` is not a way to fetch")));
            }
            if rest.is_empty() {
                return Err(unknown("nothing follows the scheme".to_owned()));
            }
            return match Url::parse(text) {
                Ok(_) => Ok(Self::Remote(text.to_owned())),
                Err(error) => Err(unknown(error.to_string())),
            };
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Self::of_folder(path);
        }
        if path.exists() {
            return Err(unknown("it is a file, not a folder".to_owned()));
        }
        match scp_parts(text) {
            Some(_) => Ok(Self::Remote(text.to_owned())),
            None => Err(unknown("there is no such folder".to_owned())),
        }
    }

    fn of_folder(path: &Path) -> Result<Self, SourceError> {
        // Absolute, so that it means the same wherever it is shown; not canonical, so that a link may be turned to a new folder.
        let unreadable = |source| SourceError::Unreadable { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(unreadable)?;
        if is_repository(&path) {
            return Ok(Self::Local(path));
        }
        libgit2::prepare();
        match Repository::open(&path) {
            Ok(_) => return Ok(Self::Local(path)),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => {
                let (place, source) = (path.display().to_string(), Fault::new(error.message()));
                return Err(SourceError::NotARepository { place, source });
            }
        }
        let real = path.canonicalize().map_err(unreadable)?;
        match real.ancestors().skip(1).find(|above| is_repository(above)) {
            Some(root) => {
                let below = real.strip_prefix(root).unwrap_or(&real).to_owned();
                Err(SourceError::InsideRepository { path, root: root.to_owned(), below })
            }
            None => Ok(Self::Directory(path)),
        }
    }

    /// The address of the repository that this is, or is a clone of, as it is written: it may have credentials. None for a
    /// plain folder, and for a clone without a remote `origin`.
    pub fn remote_address(&self) -> Option<String> {
        match self {
            Self::Remote(url) => Some(url.clone()),
            Self::Local(path) => {
                libgit2::prepare();
                let repository = Repository::open(path).ok()?;
                let origin = repository.find_remote("origin").ok()?;
                origin.url().ok().map(str::to_owned)
            }
            Self::Directory(_) => None,
        }
    }

    /// The folder whose changes tell of new revisions: none for a remote, unless it is a `file` URL.
    pub fn watched_path(&self) -> Option<PathBuf> {
        match self {
            Self::Remote(url) => Url::parse(url).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok(),
            Self::Local(path) | Self::Directory(path) => Some(path.clone()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(url) => f.write_str(&without_userinfo(url)),
            Self::Local(path) | Self::Directory(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Remote(_) => "Remote",
            Self::Local(_) => "Local",
            Self::Directory(_) => "Directory",
        };
        f.debug_tuple(kind).field(&self.to_string()).finish()
    }
}

/// True for a folder that is laid out as a repository. Reads nothing but names, so that one that libgit2 cannot open (reftable,
/// SHA-256) is named as what it is when it is fetched, and is not taken for a plain folder.
pub(super) fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}

/// Host and path of `user@host:path` and `host:path`. As for git, a slash before the colon makes it a path.
pub(super) fn scp_parts(text: &str) -> Option<(&str, &str)> {
    let (authority, path) = text.split_once(':')?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_host = !host.is_empty() && !authority.contains('/') && !host.starts_with('-');
    (is_host && !path.is_empty()).then_some((host, path))
}

/// The URL for people: a user name stays where it is part of the address (ssh); passwords, tokens and queries go.
pub(super) fn without_userinfo(text: &str) -> String {
    if let Ok(mut url) = Url::parse(text)
        && url.has_host()
    {
        url.set_query(None);
        url.set_fragment(None);
        // Neither can fail for a URL with a host.
        let _ = url.set_password(None);
        if url.scheme() != "ssh" {
            let _ = url.set_username("");
        }
        return url.to_string();
    }
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}
