//! Who may say what is served: the signature of a commit, and the keys that are trusted.
//!
//! Everything here but the arithmetic: [`AllowedSigners`] is the file with the keys, [`SignedCommit`] takes the signature out
//! of a commit, [`SshSignature`] reads it and says by its [`Claim`] what must be true of it. Whether that is so, a library
//! says that the caller brings. Signatures of OpenPGP are read and checked by a library that is as pure: [`AllowedPgpKeys`] has
//! the rules. [`Trusted::judge`] has the last word.

mod allowed_signers;
mod commit;
mod distrust;
mod key;
mod openpgp;
mod pattern;
mod signature;
mod trusted;
mod validity;
mod wire;

pub use self::allowed_signers::{AllowedSigners, Malformed};
pub use self::commit::SignedCommit;
pub use self::distrust::Distrust;
pub use self::key::{Curve, Material, PublicKey, UnusableKey, fingerprint};
pub use self::openpgp::AllowedPgpKeys;
pub use self::pattern::pattern_matches;
pub use self::signature::{Claim, Hash, SshSignature, Unreadable};
pub use self::trusted::Trusted;
pub use self::validity::Validity;
