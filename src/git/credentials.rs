use std::fmt;
use std::path::PathBuf;

use git2::{Cred, CredentialType};

/// What a remote repository may ask for.
#[derive(Clone, Default)]
pub struct Credentials {
    /// User for https; for ssh it stands in the URL.
    pub username: Option<String>,
    /// Password or token for https.
    pub password: Option<String>,
    /// Private key for ssh; without it, the ssh agent is asked.
    pub ssh_key: Option<PathBuf>,
    /// Passphrase of the private key.
    pub ssh_passphrase: Option<String>,
    /// Host keys that are trusted, instead of the user's and the system's files.
    pub known_hosts: Option<PathBuf>,
    /// Certificate authorities that are trusted for https, besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Credentials {
    /// Secrets only by whether there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, password, ssh_key, ssh_passphrase, known_hosts, ca_file } = self;
        f.debug_struct("Credentials")
            .field("username", username)
            .field("password", &password.as_ref().map(|_| "…"))
            .field("ssh_key", ssh_key)
            .field("ssh_passphrase", &ssh_passphrase.as_ref().map(|_| "…"))
            .field("known_hosts", known_hosts)
            .field("ca_file", ca_file)
            .finish()
    }
}

/// Answers a server's questions, each way once: libgit2 asks again for as long as it gets an answer that is refused.
pub(super) struct Answers<'a> {
    credentials: &'a Credentials,
    has_tried_password: bool,
    has_tried_key: bool,
}

impl<'a> Answers<'a> {
    pub(super) fn new(credentials: &'a Credentials) -> Self {
        Self { credentials, has_tried_password: false, has_tried_key: false }
    }

    pub(super) fn answer(&mut self, user_in_url: Option<&str>, allowed: CredentialType) -> Result<Cred, git2::Error> {
        let Credentials { username, password, ssh_key, ssh_passphrase, .. } = self.credentials;
        let user = user_in_url.or(username.as_deref());
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(user.unwrap_or("git"));
        }
        if allowed.contains(CredentialType::SSH_KEY) && !self.has_tried_key {
            self.has_tried_key = true;
            let user = user.unwrap_or("git");
            return match ssh_key {
                Some(key) => Cred::ssh_key(user, None, key, ssh_passphrase.as_deref()),
                None => Cred::ssh_key_from_agent(user),
            };
        }
        if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) && !self.has_tried_password {
            self.has_tried_password = true;
            if let Some(password) = password {
                return Cred::userpass_plaintext(user.unwrap_or("git"), password);
            }
            return Err(refusal("it asks for a password, and none is set"));
        }
        Err(refusal("what was tried is not accepted"))
    }
}

fn refusal(message: &str) -> git2::Error {
    git2::Error::new(git2::ErrorCode::Auth, git2::ErrorClass::Callback, message)
}
