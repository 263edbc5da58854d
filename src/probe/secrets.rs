use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::sync::watch;

use super::Clock;
use super::target::ProbeSet;
use crate::core::health::{SecretFault, SecretFaults};
use crate::core::inventory::{SecretName, SecretText};

/// Longest secret that is read, in bytes. Headers of more are refused by most servers.
const SECRET_MAX: u64 = 8 * 1024;

/// The secrets that probes may send. None unless an operator allows it: whoever may commit could otherwise have any file of
/// this machine sent to an address of theirs.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    allowed: Vec<AllowedSecret>,
}

/// A secret, or a folder of secrets, that an operator lets an inventory name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedSecret {
    /// One secret by its name.
    One(SecretName),
    /// All files in a folder and below.
    Folder(PathBuf),
}

impl FromStr for AllowedSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let folder = text.strip_prefix("file:").and_then(|path| path.strip_suffix('/'));
        match folder {
            Some(folder) if Path::new(folder).is_absolute() => Ok(Self::Folder(PathBuf::from(folder))),
            Some(_) => Err("a folder is named by its path from `/`, such as `file:/run/secrets/`".to_owned()),
            None => match text.parse() {
                Ok(name) => Ok(Self::One(name)),
                Err(why) => {
                    Err(format!("{why}; write `env:API_TOKEN`, `file:/run/secrets/api-token` or `file:/run/secrets/`"))
                }
            },
        }
    }
}

/// Why a secret cannot be sent. Nothing of it is in the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretError(String);

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SecretError {}

impl Secrets {
    /// Allows these.
    pub fn new(allowed: impl IntoIterator<Item = AllowedSecret>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// Reads a secret anew, so that one that was renewed is known. A file is a few bytes in memory: reading it costs less
    /// than the probe that needs it.
    fn read(&self, name: &SecretName) -> Result<String, SecretError> {
        let fault = |why: &str| SecretError(format!("secret `{name}` {why}"));
        if !self.allows(name) {
            return Err(fault(&format!("is not allowed: start bascule with `--allow-secret {name}`, or remove it")));
        }
        let text = match name {
            SecretName::Env(variable) => std::env::var(variable).map_err(|_| {
                fault("is not set, or not text, in bascule's environment: set it, and start bascule again")
            })?,
            SecretName::File(path) => {
                let mut text = String::new();
                let read = File::open(path).and_then(|file| file.take(SECRET_MAX + 1).read_to_string(&mut text));
                read.map_err(|error| fault(&format!("cannot be read: {error}; put it there, readable for bascule")))?;
                text
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(fault("is empty: write it there"));
        }
        if text.len() as u64 > SECRET_MAX || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(fault(
                "is no line of visible ASCII of at most 8 KiB, so no header carries it: write it as one",
            ));
        }
        Ok(text.to_owned())
    }

    fn allows(&self, name: &SecretName) -> bool {
        self.allowed.iter().any(|allowed| match (allowed, name) {
            (AllowedSecret::One(allowed), name) => allowed == name,
            (AllowedSecret::Folder(folder), SecretName::File(path)) => is_within(Path::new(path), folder),
            (AllowedSecret::Folder(_), SecretName::Env(_)) => false,
        })
    }
}

/// Reads secrets for probes, and keeps what came of it for who asks.
pub(super) struct SecretReader {
    pub(super) secrets: Secrets,
    pub(super) clock: Clock,
    pub(super) faults: watch::Sender<SecretFaults>,
}

impl SecretReader {
    /// Reads a secret. That it cannot be read is a fault until it can.
    pub(super) fn read(&self, name: &SecretName) -> Result<String, SecretError> {
        let read = self.secrets.read(name);
        match &read {
            Ok(_) => self.forget(|faulty| faulty == name),
            Err(SecretError(reason)) => self.keep(name, reason),
        }
        read
    }

    /// Looks whether the secrets of headers can be read.
    pub(super) fn look(&self, headers: &BTreeMap<String, SecretText>) {
        for name in headers.values().flat_map(SecretText::names) {
            // It is kept.
            let _ = self.read(name);
        }
    }

    /// Forgets the faults of what no probe names any more.
    pub(super) fn follow(&self, set: &ProbeSet) {
        self.forget(|faulty| set.values().all(|target| target.probe.secrets().all(|(_, name)| name != faulty)));
    }

    fn keep(&self, name: &SecretName, reason: &str) {
        self.faults.send_if_modified(|faults| match faults.get_mut(name) {
            Some(fault) if fault.reason == *reason => false,
            // It goes on, and keeps its beginning.
            Some(fault) => {
                reason.clone_into(&mut fault.reason);
                true
            }
            None => {
                let fault = SecretFault { reason: reason.to_owned(), since: (self.clock)() };
                faults.insert(name.clone(), fault);
                true
            }
        });
    }

    fn forget(&self, is_over: impl Fn(&SecretName) -> bool) {
        // Mostly there are none, and thousands of probes read a secret.
        if self.faults.borrow().is_empty() {
            return;
        }
        self.faults.send_if_modified(|faults| {
            let before = faults.len();
            faults.retain(|name, _| !is_over(name));
            faults.len() < before
        });
    }
}

impl fmt::Debug for SecretReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secrets: _, clock: _, faults } = self;
        f.debug_struct("SecretReader").field("faults", faults).finish_non_exhaustive()
    }
}

/// True for a file below a folder, wherever links lead: as with the files of Kubernetes, which are links within the folder.
fn is_within(file: &Path, folder: &Path) -> bool {
    file.starts_with(folder)
        && match (file.canonicalize(), folder.canonicalize()) {
            (Ok(file), Ok(folder)) => file.starts_with(folder),
            // Reading it will say why.
            (Err(_), _) | (_, Err(_)) => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().expect("a name")
    }

    #[test]
    fn only_what_is_allowed_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().to_str().expect("a path");
        std::fs::create_dir(folder.path().join("in")).expect("a folder");
        for (file, text) in [("in/token", "s3cret\n"), ("in/empty", "\n"), ("in/lines", "a\nb"), ("out", "hidden")] {
            std::fs::write(folder.path().join(file), text).expect("a file");
        }
        std::os::unix::fs::symlink("token", folder.path().join("in/link")).expect("a link");
        std::os::unix::fs::symlink("../out", folder.path().join("in/leads-out")).expect("a link");
        let secrets = Secrets::new([format!("file:{root}/in/").parse().expect("a folder")]);
        let read = |file: &str| secrets.read(&name(&format!("file:{root}/{file}"))).map_err(|error| error.to_string());
        assert_eq!(read("in/token").as_deref(), Ok("s3cret"));
        assert_eq!(read("in/link").as_deref(), Ok("s3cret"));
        for (file, why) in [
            ("in/leads-out", "is not allowed"),
            ("out", "is not allowed"),
            ("in/empty", "is empty"),
            ("in/lines", "is no line"),
            ("in/none", "cannot be read: No such file"),
        ] {
            let said = read(file).expect_err(file);
            assert!(said.contains(why) && !said.contains("hidden"), "{file}: {said}");
        }
        let said = Secrets::default().read(&name("env:PATH")).expect_err("nothing is allowed").to_string();
        assert!(said.ends_with("start bascule with `--allow-secret env:PATH`, or remove it"), "{said}");
        let path = Secrets::new([AllowedSecret::One(name("env:PATH"))]).read(&name("env:PATH"));
        assert_eq!(path.ok(), std::env::var("PATH").ok());
    }

    #[test]
    fn what_is_allowed_is_a_name_or_a_folder() {
        for (text, is_taken) in [
            ("env:API_TOKEN", true),
            ("file:/run/secrets/api", true),
            ("file:/run/secrets/", true),
            ("file:secrets/", false),
            ("API_TOKEN", false),
            ("env:*", false),
        ] {
            assert_eq!(text.parse::<AllowedSecret>().is_ok(), is_taken, "{text}");
        }
    }
}
