use std::path::{Path, PathBuf};

use git2::Repository;
use thiserror::Error;

/// Where an inventory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A repository that is fetched: an https, http, ssh, git or file URL, or `user@host:path`.
    Remote(String),
    /// A repository on this machine that is read where it is, bare or with a work tree.
    Local(PathBuf),
    /// A folder without git.
    Directory(PathBuf),
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is neither a folder here nor a repository's address: an https, ssh or file URL, or `user@host:path`")]
pub struct LocationError {
    /// The text, without credentials.
    pub text: String,
}

const SCHEMES: [&str; 5] = ["https://", "http://", "ssh://", "git://", "file://"];

impl Location {
    /// Takes what a person wrote: a URL, `user@host:path`, or a folder of this machine, with a repository in it or not.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Remote(text.to_owned()));
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(match Repository::open(path) {
                Ok(_) => Self::Local(path.to_owned()),
                Err(_) => Self::Directory(path.to_owned()),
            });
        }
        let is_scp_like = text.split_once(':').is_some_and(|(host, path)| host.contains('@') && !path.is_empty());
        if is_scp_like {
            Ok(Self::Remote(text.to_owned()))
        } else {
            Err(LocationError { text: without_credentials(text) })
        }
    }

    /// The folder of this machine that is read in place.
    pub fn local_path(&self) -> Option<&Path> {
        match self {
            Self::Remote(_) => None,
            Self::Local(path) | Self::Directory(path) => Some(path),
        }
    }

    /// The location for messages: without credentials.
    pub fn shown(&self) -> String {
        match self {
            Self::Remote(url) => without_credentials(url),
            Self::Local(path) | Self::Directory(path) => path.display().to_string(),
        }
    }
}

/// A URL without user and password. A user alone, as in `git@host`, is no secret, but a token may stand in its place.
pub(super) fn without_credentials(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.has_host() => {
            let is_ssh_user = url.scheme() == "ssh" && url.password().is_none();
            if !is_ssh_user {
                // Both fail only for URLs without a host.
                let _ = url.set_username("");
                let _ = url.set_password(None);
            }
            url.to_string()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (text, expected) in [
            ("https://user:secret@git.example.org/a.git", "https://git.example.org/a.git"),
            ("https://token@git.example.org/a.git", "https://git.example.org/a.git"),
            ("ssh://git@git.example.org/a.git", "ssh://git@git.example.org/a.git"),
            ("git@git.example.org:a.git", "git@git.example.org:a.git"),
        ] {
            assert_eq!(Location::Remote(text.to_owned()).shown(), expected);
        }
    }

    #[test]
    fn a_text_that_is_no_place_is_refused() {
        assert!(Location::parse("/no/such/folder").is_err());
        assert!(matches!(Location::parse("git@git.example.org:a.git"), Ok(Location::Remote(_))));
        assert!(matches!(Location::parse("https://git.example.org/a.git"), Ok(Location::Remote(_))));
    }
}
