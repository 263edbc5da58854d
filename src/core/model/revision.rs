//! What identifies desired state, observed state and rendered bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{TextError, Timestamp};

/// A point in the history of the inventory: a git commit id, or `dir-` and a content digest for a plain directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(String);

impl Revision {
    /// Wraps an identifier made by a source.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The whole identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 characters, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A revision with what people want to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionInfo {
    /// The identifier.
    pub id: Revision,
    /// The commit's author, `Name <mail>`; empty for a plain directory.
    pub author: String,
    /// First line of the commit message; empty for a plain directory.
    pub subject: String,
    /// When it was committed (for a directory: when it was read).
    pub committed_at: Timestamp,
}

/// Counts snapshots of observed state within one run of the controller. A larger one is newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 of some bytes, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    /// Takes a digest back from where it was kept. It is not checked.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads a digest that a person gives.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(is_hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(TextError { text: text.to_owned(), expected: "64 hexadecimal digits, as a plan prints them" })
    }

    /// All 64 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 characters, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
