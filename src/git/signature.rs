//! Whether somebody who is trusted vouches for a commit.
//!
//! The commit is taken apart in the core and not by libgit2, which looks for the signature in the message too and reads no
//! further than the first zero byte. The arithmetic of SSH signatures is that of OpenSSL, which is in the program for TLS.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use git2::{Oid, Repository};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;

use super::source::Job;
use super::{Moved, SourceError, SourceSettings};
use crate::core::model::{RevisionInfo, Timestamp};
use crate::core::trust::{AllowedPgpKeys, AllowedSigners, Claim, Curve, Distrust, Hash, SignedCommit, Trusted};

/// The keys that are trusted now; none where nobody need sign.
pub(super) fn trusted(settings: &SourceSettings) -> Result<Option<Trusted>, SourceError> {
    let signers = settings.allowed_signers.as_deref().map(allowed_signers).transpose()?;
    let keys = settings.allowed_pgp_keys.as_deref().map(allowed_pgp_keys).transpose()?;
    Ok(Trusted::new(signers, keys))
}

fn allowed_signers(file: &Path) -> Result<AllowedSigners, SourceError> {
    let text = fs::read_to_string(file);
    let text = text.map_err(|source| SourceError::CredentialFile {
        what: "the allowed signers",
        path: file.to_owned(),
        source,
    })?;
    AllowedSigners::parse(&file.display().to_string(), &text).map_err(|source| SourceError::Signers { source })
}

fn allowed_pgp_keys(file: &Path) -> Result<AllowedPgpKeys, SourceError> {
    let mut bytes = Vec::new();
    // One more than may be there, so that what is too long is seen to be.
    let most = AllowedPgpKeys::BYTES_MAX as u64 + 1;
    let read = File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes));
    read.map_err(|source| SourceError::CredentialFile {
        what: "the allowed OpenPGP keys",
        path: file.to_owned(),
        source,
    })?;
    AllowedPgpKeys::parse(&file.display().to_string(), &bytes).map_err(|source| SourceError::PgpKeys { source })
}

/// Why nobody vouches for a commit who is trusted; none where somebody does, or nobody need.
///
/// A key must count at the time that the commit has, as it must for git, and also now: whoever has a key that expired could
/// otherwise date a commit back. What the caller has was looked at when it came.
pub(super) fn distrust(
    job: &Job,
    repository: &Repository,
    info: &RevisionInfo,
    moved: Moved,
) -> Result<Option<Distrust>, SourceError> {
    let Some(trusted) = trusted(&job.settings)? else { return Ok(None) };
    let broken = |error: git2::Error| job.broken(&error);
    let id = Oid::from_str(info.id.as_str()).map_err(broken)?;
    let odb = repository.odb().map_err(broken)?;
    let raw = odb.read(id).map_err(broken)?;
    let Some(commit) = SignedCommit::read(raw.data()) else { return Ok(Some(trusted.damaged())) };
    let now = (moved != Moved::Unchanged).then(|| Timestamp::from_system(SystemTime::now()));
    let judged = trusted.judge(&commit, info.committed_at, now, |signature| {
        // What OpenSSL cannot take for a key or for a signature is none.
        signature.claim(&commit.payload).is_some_and(|claim| holds(&claim).unwrap_or(false))
    });
    Ok(judged.err())
}

fn holds(claim: &Claim<'_>) -> Result<bool, ErrorStack> {
    match claim {
        Claim::Ed25519 { key, data, signature } => {
            let key = PKey::public_key_from_raw_bytes(*key, Id::ED25519)?;
            Verifier::new_without_digest(&key)?.verify_oneshot(*signature, data)
        }
        Claim::Ecdsa { curve, point, digest, signature: (r, s) } => {
            let curve = EcGroup::from_curve_name(match curve {
                Curve::P256 => Nid::X9_62_PRIME256V1,
                Curve::P384 => Nid::SECP384R1,
                Curve::P521 => Nid::SECP521R1,
            })?;
            let point = EcPoint::from_bytes(&curve, point, &mut *BigNumContext::new()?)?;
            let key = EcKey::from_public_key(&curve, &point)?;
            key.check_key()?;
            EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.verify(digest, &key)
        }
        Claim::Rsa { key: (exponent, modulus), hash, data, signature } => {
            let key = Rsa::from_public_components(BigNum::from_slice(modulus)?, BigNum::from_slice(exponent)?)?;
            let hash = match hash {
                Hash::Sha256 => MessageDigest::sha256(),
                Hash::Sha384 => MessageDigest::sha384(),
                Hash::Sha512 => MessageDigest::sha512(),
            };
            let key = PKey::from_rsa(key)?;
            Verifier::new(hash, &key)?.verify_oneshot(signature, data)
        }
    }
}
