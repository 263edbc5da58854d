use std::time::Duration;

use thiserror::Error;
use url::Url;

use super::{ForgeKind, Token};

/// One repository at one forge, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeSettings {
    /// Whose API.
    pub kind: ForgeKind,
    /// The API's address, without a slash at its end and without credentials.
    pub(super) api: Url,
    /// `OWNER/NAME`; for GitLab a path of any depth, or the project's number.
    pub repository: String,
    /// What opens it.
    pub token: Token,
    /// How long one answer and all of them are waited for.
    pub patience: Patience,
}

/// How long a forge is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For one request, from connecting to the last byte.
    pub timeout: Duration,
    /// Further tries of what may succeed later.
    pub retries: u32,
    /// Wait before the first of these where the forge does not say; it doubles.
    pub first: Duration,
    /// Longest wait before one of them, also where the forge asks for more: then it is given up.
    pub wait_max: Duration,
}

impl Patience {
    /// For a job that somebody waits for: four tries within two minutes at most.
    pub const fn job() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            retries: 3,
            first: Duration::from_secs(1),
            wait_max: Duration::from_secs(30),
        }
    }

    /// For a loop that tries again by itself, with what is new by then.
    pub const fn once() -> Self {
        Self { retries: 0, ..Self::job() }
    }
}

/// Why something is no repository of a forge. Holds nothing of what was written: a URL may have a token in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Neither named nor derived.
    #[error(
        "no repository is named, and the source does not say it plainly: name it with `--forge-repository {example}`"
    )]
    NoRepository {
        /// What one looks like.
        example: &'static str,
    },
    /// Not of the form that the forge has.
    #[error("`--forge-repository` takes {example}")]
    NotARepository {
        /// What one looks like.
        example: &'static str,
    },
    /// There is no address that everybody means.
    #[error("there is no {kind} that everybody means: say where yours is with `--forge-url https://git.example.org`")]
    NoUrl {
        /// Whose API.
        kind: ForgeKind,
    },
    /// Not a URL, or not one of a web server.
    #[error("`--forge-url` takes the address of the forge, such as `https://git.example.org`")]
    NotAUrl,
    /// User, password, query or fragment.
    #[error(
        "`--forge-url` takes an address alone, without a user, a password or a query: put the token into a file, and name it \
         with `--forge-token-file`"
    )]
    NotPlain,
}

const fn example(kind: ForgeKind) -> &'static str {
    match kind {
        ForgeKind::Github | ForgeKind::Gitea => "OWNER/NAME",
        ForgeKind::Gitlab => "GROUP/NAME, with all of its groups, or the project's number",
    }
}

impl ForgeSettings {
    /// Settles what is not said from where the source is.
    pub fn new(
        kind: ForgeKind,
        repository: Option<&str>,
        url: Option<&str>,
        remote: Option<&Remote>,
        token: Token,
        patience: Patience,
    ) -> Result<Self, SettingsError> {
        let example = example(kind);
        let repository = repository.or(remote.map(|remote| remote.path.as_str()));
        let repository = repository.ok_or(SettingsError::NoRepository { example })?;
        if !is_repository(kind, repository) {
            return Err(SettingsError::NotARepository { example });
        }
        let api = match (url, remote) {
            (Some(url), _) => api_of(kind, url)?,
            (None, Some(Remote { host, .. })) if !is_public(kind, host) => api_of(kind, &format!("https://{host}"))?,
            (None, _) => api_of(kind, kind.public_api().ok_or(SettingsError::NoUrl { kind })?)?,
        };
        Ok(Self { kind, api, repository: repository.to_owned(), token, patience })
    }

    /// Where the API is, for people.
    pub fn api(&self) -> &str {
        self.api.as_str().trim_end_matches('/')
    }

    /// The host of the API, for people.
    pub fn host(&self) -> &str {
        self.api.host_str().unwrap_or_default()
    }
}

fn is_public(kind: ForgeKind, host: &str) -> bool {
    match kind {
        ForgeKind::Github => host == "github.com",
        ForgeKind::Gitlab => host == "gitlab.com",
        ForgeKind::Gitea => false,
    }
}

fn is_repository(kind: ForgeKind, text: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && !matches!(part, "." | "..") && part.as_bytes().iter().all(is_plain)
    };
    let parts = text.split('/').count();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_deep_enough = match kind {
        ForgeKind::Github | ForgeKind::Gitea => parts == 2,
        ForgeKind::Gitlab => parts >= 2 || is_number,
    };
    is_deep_enough && text.split('/').all(is_part)
}

/// The API's address. A forge's own address will do: its API is at a fixed place of it.
fn api_of(kind: ForgeKind, text: &str) -> Result<Url, SettingsError> {
    let mut url = Url::parse(text).map_err(|_| SettingsError::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(SettingsError::NotAUrl);
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::NotPlain);
    }
    let path = match url.path().trim_end_matches('/') {
        // GitHub's own API is at the root of a host of its own.
        "" if kind == ForgeKind::Github && url.host_str() == Some("api.github.com") => String::new(),
        "" => kind.api_path().to_owned(),
        path => path.to_owned(),
    };
    url.set_path(&path);
    Ok(url)
}

/// The host and the path of a git remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The host, without a port.
    pub host: String,
    /// The path, without `.git` and slashes at its ends.
    pub path: String,
}

impl Remote {
    /// Reads an https or ssh address of a repository, or `user@host:path`; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, path) = if text.contains("://") {
            let url = Url::parse(text).ok()?;
            if !matches!(url.scheme(), "https" | "ssh") {
                return None;
            }
            (url.host_str()?.to_owned(), url.path().to_owned())
        } else {
            let (authority, path) = text.split_once(':')?;
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            (host.to_owned(), path.to_owned())
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
        let is_host = host.contains('.') && !host.contains(['/', '\\']);
        (is_host && !path.is_empty()).then_some(Self { host, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(
        kind: ForgeKind,
        repository: Option<&str>,
        url: Option<&str>,
        remote: Option<&str>,
    ) -> Result<String, SettingsError> {
        let remote = remote.and_then(Remote::parse);
        let token = Token::Value("t".to_owned());
        let settings = ForgeSettings::new(kind, repository, url, remote.as_ref(), token, Patience::once())?;
        Ok(format!("{} {}", settings.api(), settings.repository))
    }

    #[test]
    fn what_is_not_said_comes_from_the_remote() {
        use ForgeKind::{Gitea, Github, Gitlab};
        for (kind, repository, url, remote, expected) in [
            (Github, None, None, Some("git@github.com:you/infra.git"), "https://api.github.com you/infra"),
            (Github, None, None, Some("https://token@github.com/you/infra"), "https://api.github.com you/infra"),
            (
                Github,
                None,
                None,
                Some("ssh://git@git.example.org:2222/you/infra.git"),
                "https://git.example.org/api/v3 you/infra",
            ),
            (Github, Some("a/b"), None, None, "https://api.github.com a/b"),
            (Github, Some("a/b"), Some("https://api.github.com/"), None, "https://api.github.com a/b"),
            (Gitlab, None, None, Some("https://gitlab.com/a/b/c.git/"), "https://gitlab.com/api/v4 a/b/c"),
            (Gitlab, Some("42"), Some("http://127.0.0.1:80/gitlab/api/v4/"), None, "http://127.0.0.1/gitlab/api/v4 42"),
            (Gitlab, None, None, Some("git@git.example.org:a/b.git"), "https://git.example.org/api/v4 a/b"),
            (Gitea, None, None, Some("https://codeberg.org/you/infra.git"), "https://codeberg.org/api/v1 you/infra"),
            (
                Gitea,
                Some("a/b"),
                Some("https://git.example.org"),
                Some("git@x.org:c/d"),
                "https://git.example.org/api/v1 a/b",
            ),
        ] {
            assert_eq!(
                settle(kind, repository, url, remote).as_deref(),
                Ok(expected),
                "{repository:?} {url:?} {remote:?}"
            );
        }
    }

    #[test]
    fn what_is_no_repository_is_refused_without_a_word_of_it() {
        use ForgeKind::{Gitea, Github, Gitlab};
        for (kind, repository, url, remote, part) in [
            (Github, None, None, None, "name it with `--forge-repository OWNER/NAME`"),
            (Github, None, None, Some("/srv/infra.git"), "name it"),
            (Github, None, None, Some("git@host:infra"), "name it"),
            (Github, Some("infra"), None, None, "takes OWNER/NAME"),
            (Github, Some("a/b/c"), None, None, "takes OWNER/NAME"),
            (Github, Some("a/.."), None, None, "takes OWNER/NAME"),
            (Github, Some("a/b?x"), None, None, "takes OWNER/NAME"),
            (Gitlab, Some("infra"), None, None, "the project's number"),
            (Gitea, Some("a/b"), None, None, "--forge-url https://git.example.org"),
            (Gitea, Some("a/b"), Some("git.example.org"), None, "takes the address"),
            (Gitea, Some("a/b"), Some("ftp://git.example.org"), None, "takes the address"),
            (Gitea, Some("a/b"), Some("https://secret@git.example.org"), None, "--forge-token-file"),
            (Gitea, Some("a/b"), Some("https://git.example.org?token=secret"), None, "--forge-token-file"),
        ] {
            let error = settle(kind, repository, url, remote).expect_err("refused").to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{repository:?} {url:?}: {error}");
        }
    }
}
