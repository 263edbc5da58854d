use std::fmt;

use super::key::UnusableKey;
use super::openpgp::Unfit;
use super::signature::Unreadable;
use crate::core::model::{Timestamp, quoted};

/// Why nobody who is trusted vouches for a commit, and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// The file with the trusted keys.
    pub(super) file: String,
    pub(super) why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    Unsigned,
    /// It is signed in a way that is not checked.
    Other {
        kind: &'static str,
        checked: Checked,
    },
    Key(UnusableKey),
    Damaged,
    /// The signature is not one of this commit by this key.
    Broken(String),
    /// It was made for something else.
    Namespace(String),
    NotListed(String),
    /// Its key stands in the file, and not for this.
    Listed(String, Listed),
    /// Its OpenPGP signature does not count.
    OpenPgp(Unfit),
}

/// The kinds of keys that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Ssh,
    OpenPgp,
    Both,
}

/// Why a line does not vouch for a commit of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) line: usize,
    pub(super) principals: String,
    pub(super) bound: Bound,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound {
    Namespaces(String),
    After(Timestamp),
    Before(Timestamp),
}

impl From<Unreadable> for Why {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Other(kind) => Self::Other { kind, checked: Checked::Ssh },
            Unreadable::Key(key) => Self::Key(key),
            Unreadable::Damaged => Self::Damaged,
        }
    }
}

/// Signing the newest commit again.
pub(super) const SIGN: &str = "`git commit --amend -S`";

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, why } = self;
        match why {
            Why::Unsigned => write!(f, "its commit is not signed; sign it with a key of `{file}` ({SIGN})"),
            Why::Other { kind, checked } => {
                let (checked, cure) = checked.said(kind);
                write!(
                    f,
                    "its commit has an {kind} signature, and only those by {checked} are checked; sign it with a key of \
                     `{file}` ({cure})"
                )
            }
            Why::OpenPgp(unfit) => unfit.say(f, file),
            Why::Key(key) => {
                write!(f, "its commit is signed by a key that cannot be used: {key}; sign it again ({SIGN})")
            }
            Why::Damaged => write!(f, "the signature of its commit is damaged; sign it again ({SIGN})"),
            Why::Broken(key) => write!(
                f,
                "its commit has a bad signature: it is not one of this commit by the key {key}, for either was changed \
                 afterwards; look who did that, and sign it again ({SIGN})"
            ),
            Why::Namespace(namespace) => write!(
                f,
                "the signature of its commit was made for {} and not for `git`; sign it with git itself ({SIGN})",
                quoted(namespace)
            ),
            Why::NotListed(key) => write!(
                f,
                "its commit is signed by the key {key}, which is not in `{file}`; add that key if its owner may say what \
                 is served, or sign with one that is there ({SIGN})"
            ),
            Why::Listed(key, Listed { line, principals, bound }) => {
                write!(f, "its commit is signed by the key {key} of {principals}, ")?;
                match bound {
                    Bound::Namespaces(namespaces) => {
                        write!(f, "which counts for `{namespaces}` only, and not for `git`")?;
                    }
                    Bound::After(moment) => write!(f, "which counts only from {} on", second(*moment))?,
                    Bound::Before(moment) => write!(f, "which expired at {}", second(*moment))?,
                }
                write!(f, " (`{file}` line {line}); sign with one that counts ({SIGN}), or change that line")
            }
        }
    }
}

impl Checked {
    /// The kinds for people, and how one signs so what has a signature of another kind.
    fn said(self, kind: &str) -> (&'static str, String) {
        let (ssh, openpgp) = ("`git config gpg.format ssh`", "`git config gpg.format openpgp`");
        match self {
            Self::Ssh if kind == "OpenPGP" => {
                let other = "or name a file with such keys by `--allowed-pgp-keys`";
                ("SSH keys", format!("{ssh}, then {SIGN}; {other}"))
            }
            Self::Ssh => ("SSH keys", format!("{ssh}, then {SIGN}")),
            Self::OpenPgp if kind == "SSH" => {
                let other = "or name a file with such keys by `--allowed-signers`";
                ("OpenPGP keys", format!("{openpgp}, then {SIGN}; {other}"))
            }
            Self::OpenPgp => ("OpenPGP keys", format!("{openpgp}, then {SIGN}")),
            Self::Both => ("SSH and OpenPGP keys", format!("{ssh} or {openpgp}, then {SIGN}")),
        }
    }
}

/// A moment to the second.
pub(super) fn second(moment: Timestamp) -> String {
    moment.to_string().replace(".000Z", "Z")
}
