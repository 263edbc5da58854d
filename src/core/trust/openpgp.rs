//! Signatures of OpenPGP (RFC 9580). A library reads what is in packets and does the arithmetic; which keys and signatures
//! count is decided here.

mod armor;
mod certificate;
mod fault;
mod packets;

use std::collections::BTreeSet;

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, Signature, SignatureConfig, SignatureType, SignatureVersion, SubpacketData};
use pgp::types::Duration;

use self::certificate::{Certificate, Issuer};
pub(super) use self::fault::Unfit;
use super::allowed_signers::Malformed;
use super::distrust::{Distrust, Why};
use crate::core::model::Timestamp;

/// How an OpenPGP signature begins in a commit.
const BEGIN: &[u8] = b"-----BEGIN PGP ";
/// A longer signature is none: one by the longest RSA key has less than 4 KiB.
const SIGNATURE_BYTES_MAX: usize = 16 * 1024;
/// By how much clocks may differ.
const CLOCK_SKEW_SECONDS: Seconds = 5 * 60;

/// Since 1970.
type Seconds = i64;

/// The OpenPGP keys that are trusted: public keys as `gpg --export` gives them, with or without armor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedPgpKeys {
    file: String,
    keys: Vec<Certificate>,
}

impl AllowedPgpKeys {
    /// A longer file is refused. A key that hundreds of others have signed has some hundred KiB.
    pub const BYTES_MAX: usize = 4 * 1024 * 1024;

    /// Reads a file; `file` is its name for people. All of it must be good: a key that is passed over would be one that its
    /// owner believes to be listed.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = |line: Option<usize>, reason: String| Malformed { file: file.to_owned(), line, reason };
        if bytes.len() > Self::BYTES_MAX {
            let reason = format!("it is longer than {} bytes: export only the keys that count", Self::BYTES_MAX);
            return Err(malformed(None, reason));
        }
        let mut keys = Vec::new();
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            keys = read(bytes).map_err(|reason| malformed(None, reason))?;
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| malformed(None, "it is not text".to_owned()))?;
            for block in armor::blocks(text).map_err(|(line, reason)| malformed(Some(line), reason))? {
                let at = |reason| malformed(Some(block.line), reason);
                if block.name != "PGP PUBLIC KEY BLOCK" {
                    let cure = "export public keys (`gpg --armor --export KEY`)";
                    return Err(at(format!("the block that begins here is a `{}`, and no key: {cure}", block.name)));
                }
                let more = read(&block.bytes).map_err(at)?;
                if more.is_empty() {
                    return Err(at("the block that begins here has no key in it".to_owned()));
                }
                keys.extend(more);
            }
        }
        if keys.is_empty() {
            let reason = "there is no key, so that nothing could be served: add one (`gpg --armor --export KEY`)";
            return Err(malformed(None, reason.to_owned()));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = keys.iter().map(Certificate::fingerprint).find(|print| !seen.insert(print.clone())) {
            // One of them may be from before the key was revoked.
            return Err(malformed(None, format!("the key {twice} stands there twice: keep the newest of them")));
        }
        Ok(Self { file: file.to_owned(), keys })
    }

    /// The file, for people.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Whether the text in a commit's header is a signature of this kind.
    pub(super) fn is_signature(text: &[u8]) -> bool {
        text.starts_with(BEGIN)
    }

    /// Whether somebody who is listed vouches for `payload`, a commit without its signature. A key must count at the time
    /// that the signature has and, where it came only now, also `now`: who has an expired key could otherwise sign for ever,
    /// dated back.
    pub(super) fn judge(&self, text: &[u8], payload: &[u8], now: Option<Timestamp>) -> Result<(), Distrust> {
        let judged = self.look(text, payload, now.map(|now| now.unix_millis().div_euclid(1000)));
        judged.map_err(|why| Distrust { file: self.file.clone(), why })
    }

    fn look(&self, text: &[u8], payload: &[u8], now: Option<Seconds>) -> Result<(), Why> {
        let signature = signature(text).ok_or(Why::Damaged)?;
        let (issuer, created) = (Issuer::of(&signature), signature.created());
        let (Some(issuer), Some(created)) = (issuer, created) else { return Err(Why::Damaged) };
        check(&signature)?;
        let created = Seconds::from(created.as_secs());
        let times: Vec<_> = [created].into_iter().chain(now).collect();
        let mut why = Why::NotListed(named(&issuer.shown()));
        for candidate in self.keys.iter().flat_map(|key| key.named(&issuer)) {
            let key = named(&candidate.fingerprint());
            if !candidate.made(&signature, payload) {
                why = Why::Broken(key);
                continue;
            }
            in_time(&signature, &key, created, now)?;
            let Some(fault) = candidate.fault(&times) else { return Ok(()) };
            why = Why::OpenPgp(Unfit::Key { key, owner: candidate.owner(), fault });
        }
        Err(why)
    }
}

/// What can be said of a signature without its key.
fn check(signature: &Signature) -> Result<(), Why> {
    if signature.typ() != Some(SignatureType::Binary) {
        return Err(Why::OpenPgp(Unfit::NotBinary));
    }
    if !is_strong(signature) {
        return Err(Why::OpenPgp(Unfit::Hash(hash_of(signature))));
    }
    if !is_understood(signature) {
        return Err(Why::OpenPgp(Unfit::Critical));
    }
    Ok(())
}

/// Whether a signature is neither of the future nor over.
fn in_time(signature: &Signature, key: &str, created: Seconds, now: Option<Seconds>) -> Result<(), Why> {
    let Some(now) = now else { return Ok(()) };
    let key = key.to_owned();
    if created > now + CLOCK_SKEW_SECONDS {
        return Err(Why::OpenPgp(Unfit::Future { key, at: timestamp(created) }));
    }
    match expiry(created, signature.signature_expiration_time()) {
        Some(end) if now >= end => Err(Why::OpenPgp(Unfit::Expired { key, at: timestamp(end) })),
        _ => Ok(()),
    }
}

/// Fingerprints of both kinds of keys stand in the same sentences.
fn named(fingerprint: &str) -> String {
    format!("{fingerprint} (OpenPGP)")
}

fn read(bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    let packets = packets::framed(bytes).ok_or("it is damaged, or no OpenPGP key: copy it whole")?;
    Certificate::read(&packets)
}

/// The one signature that there must be.
fn signature(text: &[u8]) -> Option<Signature> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= SIGNATURE_BYTES_MAX)?;
    let blocks = armor::blocks(text).ok()?;
    let [block] = &blocks[..] else { return None };
    let packets = packets::framed(&block.bytes).filter(|_| block.name == "PGP SIGNATURE")?;
    let [packet] = &packets[..] else { return None };
    match packet.read() {
        Some(Packet::Signature(signature)) if is_of_version(&signature) => Some(signature),
        _ => None,
    }
}

/// Earlier versions have no place for what is asked of a signature here.
fn is_of_version(signature: &Signature) -> bool {
    matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6)
}

/// Whether a hash is one for which nobody can make two inputs.
fn is_strong(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(signature.hash_alg(), Some(Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}

fn hash_of(signature: &Signature) -> String {
    signature.hash_alg().map(|hash| hash.to_string()).unwrap_or_default()
}

/// Whether everything is known of which the signature says that it must be (RFC 9580, section 5.2.3.7).
fn is_understood(signature: &Signature) -> bool {
    let mut hashed = signature.config().into_iter().flat_map(SignatureConfig::hashed_subpackets);
    !hashed.any(|subpacket| {
        let is_known = !matches!(
            subpacket.data,
            SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(_)
        );
        subpacket.is_critical && !is_known
    })
}

/// Whether what a key says of itself counts at all of these times.
fn counts(signature: &Signature, times: &[Seconds]) -> bool {
    let Some(created) = signature.created() else { return false };
    let end = expiry(Seconds::from(created.as_secs()), signature.signature_expiration_time());
    let is_over = end.is_some_and(|end| times.iter().any(|at| *at >= end));
    is_of_version(signature) && is_strong(signature) && is_understood(signature) && !is_over
}

/// The end of something, where it has one: zero says that it has none.
fn expiry(created: Seconds, after: Option<Duration>) -> Option<Seconds> {
    let after = after.map(Duration::as_secs).filter(|after| *after > 0)?;
    Some(created + Seconds::from(after))
}

fn timestamp(seconds: Seconds) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1000)
}
