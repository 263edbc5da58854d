use std::fmt;

use super::super::distrust::{SIGN, second};
use crate::core::model::{Timestamp, quoted};

/// Why an OpenPGP signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Unfit {
    /// It is one of a text, or of something else than a document.
    NotBinary,
    /// By a hash of which two inputs can be made that have the same.
    Hash(String),
    /// It says that who does not know what it asks for must not trust it.
    Critical,
    /// It was made at a time that is still to come.
    Future { key: String, at: Timestamp },
    /// It says itself until when it counts.
    Expired { key: String, at: Timestamp },
    /// The key that made it is listed, and does not count.
    Key { key: String, owner: String, fault: KeyFault },
}

/// Why a key does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum KeyFault {
    Revoked,
    Expired(Timestamp),
    /// The signature is older than the key.
    Young(Timestamp),
    /// Nothing says by a signature of the key itself what it is for.
    Unbound,
    /// What says so does it by a hash that does not count.
    WeaklyBound(String),
    /// It is not for signing.
    Purpose,
    /// A subkey that does not say that it belongs to its primary key.
    NotBoundBack,
    /// An algorithm that does not count.
    Algorithm(String),
    /// An RSA key that is too short.
    Length(u16),
    /// Not the subkey: what it belongs to.
    Primary(Box<Self>),
}

impl Unfit {
    /// Says it of a commit, with the cure; `file` has the keys.
    pub(in super::super) fn say(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        match self {
            Self::NotBinary => write!(
                f,
                "its commit has an OpenPGP signature of another kind than git makes; sign it with git itself ({SIGN})"
            ),
            Self::Hash(hash) => write!(
                f,
                "its commit has an OpenPGP signature by the hash {hash}, which is too weak; take out of `gpg.conf` what asks \
                 for it (`digest-algo`), and sign it again ({SIGN})"
            ),
            Self::Critical => write!(
                f,
                "its commit has an OpenPGP signature that asks for something that is not known here; sign it without \
                 that, as git does by itself ({SIGN})"
            ),
            Self::Future { key, at } => write!(
                f,
                "its commit is signed by the key {key} at {}, which is still to come; set the clock of the machine that \
                 signed it, or that of this one, and sign it again ({SIGN})",
                second(*at)
            ),
            Self::Expired { key, at } => write!(
                f,
                "its commit is signed by the key {key}, and that signature itself expired at {}; sign it again ({SIGN}), \
                 without an end of its own (`default-sig-expire` in `gpg.conf`)",
                second(*at)
            ),
            Self::Key { key, owner, fault } => write!(
                f,
                "its commit is signed by the key {key} of {}, {fault} (`{file}`); sign with one that counts ({SIGN}), or \
                 mend that key and put it into that file as `gpg --export` gives it then",
                quoted(owner)
            ),
        }
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked => f.write_str("which is revoked"),
            Self::Expired(at) => write!(f, "which expired at {}", second(*at)),
            Self::Young(at) => write!(f, "which was made only at {}, after the signature", second(*at)),
            Self::Unbound => f.write_str("which has no good signature of its own that says what it is for"),
            Self::WeaklyBound(hash) => {
                write!(f, "which says only by the hash {hash}, which is too weak, what it is for")
            }
            Self::Purpose => f.write_str("which is not made for signing"),
            Self::NotBoundBack => f.write_str("a subkey that does not say itself whose it is"),
            Self::Algorithm(name) => {
                write!(f, "whose algorithm {name} is not taken: use Ed25519, ECDSA, Ed448 or RSA")
            }
            Self::Length(bits) => write!(f, "an RSA key of {bits} bits: 2048 or more are taken"),
            Self::Primary(fault) => write!(f, "a subkey of one {fault}"),
        }
    }
}
