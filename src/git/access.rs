//! What a remote is shown, and whether it is who it should be.

use std::fs::File;
use std::path::Path;

use git2::cert::Cert;
use git2::{CertificateCheckStatus, Cred, CredentialType, ErrorClass, ErrorCode};
use url::Url;

use super::known_hosts::{self, Host};
use super::location::scp_parts;
use super::{Credentials, SourceError};

const SSH_PORT: u16 = 22;

impl Credentials {
    /// Opens every file once, so that a missing one is named as such and not as a refusal.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        let open = |what, path: Option<&Path>| {
            let Some(path) = path else { return Ok(()) };
            let opened = File::open(path).map(drop);
            opened.map_err(|source| SourceError::CredentialFile { what, path: path.to_owned(), source })
        };
        open("the ssh key", self.ssh_key.as_deref())?;
        open("the known hosts", self.known_hosts.as_deref())
    }
}

/// The answers to the callbacks of one fetch.
pub(super) struct Access<'a> {
    credentials: &'a Credentials,
    /// The remote, where it is reached over http or https.
    web: Option<Url>,
    host: Option<Host>,
    /// True once a server asked that is not the remote.
    is_redirected: bool,
    /// What was shown and not taken, in words. libgit2 asks again after a refusal: nothing is shown twice.
    shown: Vec<&'static str>,
    problem: Option<SourceError>,
}

const AGENT: &str = "the keys of the ssh agent";
const KEY: &str = "the ssh key";
const PASSWORD: &str = "the password";

impl<'a> Access<'a> {
    pub(super) fn new(credentials: &'a Credentials, url: &str) -> Self {
        let web = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        Self { credentials, web, host: ssh_host(url), is_redirected: false, shown: Vec::new(), problem: None }
    }

    /// The next credential that the remote may take. `asking` is the URL of the server that asks, which after a redirect is
    /// not the remote: libgit2 follows the first one and asks again.
    pub(super) fn credential(
        &mut self,
        asking: &str,
        user: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Cred, git2::Error> {
        if !self.is_asked_by_the_remote(asking) {
            self.is_redirected = true;
            return Err(git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, "it redirects to another server"));
        }
        let Credentials { username, password, ssh_key, ssh_passphrase, .. } = self.credentials;
        // The name that forges use for ssh, and any name does for a token over https.
        let user = user.or(username.as_deref()).unwrap_or("git");
        if allowed.is_username() {
            return Cred::username(user);
        }
        if allowed.is_ssh_key() {
            match ssh_key {
                Some(key) if self.show(KEY) => return Cred::ssh_key(user, None, key, ssh_passphrase.as_deref()),
                None if self.show(AGENT) => return Cred::ssh_key_from_agent(user),
                _ => {}
            }
        }
        if let Some(password) = password
            && allowed.is_user_pass_plaintext()
            && self.show(PASSWORD)
        {
            return Cred::userpass_plaintext(user, password);
        }
        Err(git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, "no other credential is left to show"))
    }

    /// A password goes to the server that was named and to no other, nor to the same one without TLS.
    fn is_asked_by_the_remote(&self, asking: &str) -> bool {
        let Some(named) = &self.web else { return true };
        let Ok(asking) = Url::parse(asking) else { return false };
        let is_same = named.origin() == asking.origin();
        let gains_tls = named.scheme() == "http" && asking.scheme() == "https" && named.host() == asking.host();
        is_same || gains_tls
    }

    fn show(&mut self, what: &'static str) -> bool {
        let is_new = !self.shown.contains(&what);
        if is_new {
            self.shown.push(what);
        }
        is_new
    }

    /// Holds the key of an ssh host against the known ones. Certificates of https are checked by libgit2 itself.
    pub(super) fn check(&mut self, certificate: &Cert<'_>) -> Result<CertificateCheckStatus, git2::Error> {
        let Some(host_key) = certificate.as_hostkey() else {
            return Ok(CertificateCheckStatus::CertificatePassthrough);
        };
        let refuse = |message| Err(git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, message));
        let (Some(host), Some(key)) = (&self.host, host_key.hostkey()) else {
            return refuse("the host shows no key that can be checked");
        };
        match known_hosts::check(self.credentials.known_hosts.as_deref(), host, key) {
            Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
            Err(problem) => {
                self.problem = Some(problem);
                refuse("the host key is not trusted")
            }
        }
    }

    /// What a callback found, if one did.
    pub(super) fn take_problem(&mut self) -> Option<SourceError> {
        self.problem.take()
    }

    /// True when `error` says that a credential could not even be shown: no agent, a wrong passphrase, a key in a format that
    /// libssh2 does not know. These come without a code of their own.
    pub(super) fn is_unusable(&self, error: &git2::Error) -> bool {
        let message = error.message();
        error.class() == ErrorClass::Ssh
            && !self.shown.is_empty()
            && (message.contains("agent") || message.starts_with("failed to authenticate"))
    }

    /// For a message: what was shown.
    pub(super) fn tried(&self) -> String {
        if self.is_redirected {
            return "it redirects to another server, which is shown no credentials; name that one if it is the right one"
                .to_owned();
        }
        match self.shown.as_slice() {
            [] => "it wants credentials, and none that fit were given".to_owned(),
            shown => format!("{} did not open it", shown.join(" and ")),
        }
    }
}

fn ssh_host(url: &str) -> Option<Host> {
    if url.contains("://") {
        let url = Url::parse(url).ok()?;
        let name = url.host_str()?.trim_matches(['[', ']']).to_owned();
        return (url.scheme() == "ssh").then(|| Host { name, port: url.port().unwrap_or(SSH_PORT) });
    }
    let (host, _) = scp_parts(url)?;
    Some(Host { name: host.to_owned(), port: SSH_PORT })
}
