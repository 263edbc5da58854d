//! SSH keys made with the real ssh-keygen, and commits that the real git signs with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::git_repo::{GitRepo, git};

/// Whom keys of tests belong to.
const PRINCIPAL: &str = "camille@example.org";

/// A key pair in files.
#[derive(Debug, Clone)]
pub struct SigningKey {
    path: PathBuf,
}

impl SigningKey {
    /// A pair of type ed25519.
    pub fn make(path: PathBuf) -> Self {
        Self::make_as(path, &["-t", "ed25519"])
    }

    /// A pair as the arguments ask for.
    #[track_caller]
    pub fn make_as(path: PathBuf, kind: &[&str]) -> Self {
        let place = path.to_str().expect("temp dirs are UTF-8");
        ssh_keygen(&[kind, &["-q", "-N", "", "-C", "a comment", "-f", place]].concat(), Path::new("/dev/null"));
        Self { path }
    }

    /// The private key's file.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("temp dirs are UTF-8")
    }

    /// A line of a file of allowed signers, with options where there are any.
    pub fn line(&self, options: &str) -> String {
        let public = std::fs::read_to_string(self.path.with_extension("pub")).expect("it was made");
        format!("{PRINCIPAL} {options} {public}")
    }

    /// `SHA256:…`, as ssh-keygen shows it.
    pub fn fingerprint(&self) -> String {
        let shown = ssh_keygen(&["-l", "-f", self.path()], Path::new("/dev/null"));
        shown.split(' ').nth(1).expect("the second field").to_owned()
    }

    /// Commits the work tree as it is, signed. Gives the commit's id.
    #[track_caller]
    pub fn commit(&self, repo: &GitRepo, message: &str) -> String {
        repo.git(&["add", "--all"]);
        self.git(&repo.path(), &["commit", "--quiet", "--allow-empty", "-S", "-m", message]);
        repo.head()
    }

    /// Runs git so that it signs with this key.
    #[track_caller]
    pub fn git(&self, dir: &Path, args: &[&str]) -> String {
        let key = format!("user.signingkey={}", self.path());
        git(dir, &[&["-c", "gpg.format=ssh", "-c", &key], args].concat())
    }

    /// The signature of a file, made for a namespace.
    #[track_caller]
    pub fn sign(&self, namespace: &str, message: &Path) -> String {
        ssh_keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", self.path()], message)
    }
}

/// Whether git takes the newest commit for well signed, by a file of allowed signers.
pub fn is_good_to_git(repo: &GitRepo, allowed_signers: &Path) -> bool {
    let file = format!("gpg.ssh.allowedSignersFile={}", allowed_signers.display());
    let mut command = Command::new("git");
    command.args(["-c", &file, "verify-commit", "HEAD"]).current_dir(repo.path()).stderr(Stdio::null());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.status().expect("git can be run").success()
}

/// Runs ssh-keygen with a file as its input, and gives what it prints.
#[track_caller]
pub fn ssh_keygen(args: &[&str], input: &Path) -> String {
    let input = std::fs::File::open(input).expect("the input is there");
    let output = Command::new("ssh-keygen").args(args).stdin(input).output().expect("ssh-keygen can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh-keygen {args:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}
