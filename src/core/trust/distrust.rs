use std::fmt;

use super::key::UnusableKey;
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
    Other(&'static str),
    Key(UnusableKey),
    Damaged,
    /// The signature is not one of this commit by this key.
    Broken(String),
    /// It was made for something else.
    Namespace(String),
    NotListed(String),
    /// Its key stands in the file, and not for this.
    Listed(String, Listed),
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
            Unreadable::Other(kind) => Self::Other(kind),
            Unreadable::Key(key) => Self::Key(key),
            Unreadable::Damaged => Self::Damaged,
        }
    }
}

/// Signing the newest commit again.
const SIGN: &str = "`git commit --amend -S`";

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, why } = self;
        match why {
            Why::Unsigned => write!(f, "its commit is not signed; sign it with a key of `{file}` ({SIGN})"),
            Why::Other(kind) => write!(
                f,
                "its commit has an {kind} signature, and only those by SSH keys are checked; sign it with a key of `{file}` \
                 (`git config gpg.format ssh`, then {SIGN})"
            ),
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

/// A moment to the second.
fn second(moment: Timestamp) -> String {
    moment.to_string().replace(".000Z", "Z")
}
