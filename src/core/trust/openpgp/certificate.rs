//! A public key as people have it: a primary key, whom it belongs to, subkeys, and what it says of all of these by its own
//! signatures.

use pgp::packet::{Packet, PublicKey, PublicSubkey, Signature, SignatureConfig, SignatureType, SubpacketData, UserId};
use pgp::ser::Serialize;
use pgp::types::{Fingerprint, KeyDetails, KeyId, KeyVersion, PublicParams, Tag};

use super::fault::KeyFault;
use super::packets::{Framed, MARKER, PUBLIC_KEY, SECRET_KEY, SECRET_SUBKEY, SIGNATURE, TRUST};
use super::{Seconds, counts, expiry, hash_of, is_strong};

/// Shorter RSA keys can be broken with enough machines.
const RSA_BITS_MIN: u16 = 2048;

/// A primary key with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    primary: PublicKey,
    is_revoked: bool,
    direct: Vec<Signature>,
    users: Vec<User>,
    subkeys: Vec<Subkey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    id: UserId,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subkey {
    key: PublicSubkey,
    is_revoked: bool,
    bindings: Vec<Signature>,
}

/// Whose signatures the packets are that come next.
#[derive(Debug, Clone, Copy)]
enum Place {
    Primary,
    User,
    Subkey,
    /// Of something that is not used: a photo, a subkey of an unknown kind.
    Other,
}

impl Certificate {
    /// Reads all keys of a block, or says what is wrong with it.
    pub(super) fn read(packets: &[Framed<'_>]) -> Result<Vec<Self>, String> {
        let mut all: Vec<Self> = Vec::new();
        let mut place = Place::Other;
        for packet in packets {
            if matches!(packet.tag, SECRET_KEY | SECRET_SUBKEY) {
                let cure = "export the public one (`gpg --armor --export KEY`), and keep this one where it was";
                return Err(format!("there is a private key: {cure}"));
            }
            if packet.tag == PUBLIC_KEY {
                let Some(Packet::PublicKey(primary)) = packet.read() else {
                    return Err("a key is damaged, or of a version that is not supported".to_owned());
                };
                let (direct, users, subkeys) = (Vec::new(), Vec::new(), Vec::new());
                all.push(Self { primary, is_revoked: false, direct, users, subkeys });
                place = Place::Primary;
                continue;
            }
            if matches!(packet.tag, MARKER | TRUST) {
                continue;
            }
            let Some(current) = all.last_mut() else {
                let cure = "import it, and then export the whole key (`gpg --armor --export KEY`)";
                return Err(format!("it begins with something else than a key, such as a revocation alone: {cure}"));
            };
            place = current.take(packet, place);
        }
        match all.iter().find(|one| !matches!(one.primary.version(), KeyVersion::V4 | KeyVersion::V6)) {
            Some(old) => Err(format!("the key {} is of a version that is no longer taken", shown(&old.primary))),
            None => Ok(all),
        }
    }

    /// Takes what follows a primary key; gives whose signatures come next.
    fn take(&mut self, packet: &Framed<'_>, place: Place) -> Place {
        match packet.read() {
            Some(Packet::Signature(signature)) => {
                self.sort(signature, place);
                place
            }
            Some(Packet::UserId(id)) => {
                self.users.push(User { id, signatures: Vec::new() });
                Place::User
            }
            Some(Packet::PublicSubkey(key)) => {
                self.subkeys.push(Subkey { key, is_revoked: false, bindings: Vec::new() });
                Place::Subkey
            }
            _ if packet.tag == SIGNATURE => place,
            _ => Place::Other,
        }
    }

    /// A revocation counts where it stands in the file, also one that cannot be checked, as by somebody who may revoke the
    /// key in its owner's name: who listed the key did so with it.
    fn sort(&mut self, signature: Signature, place: Place) {
        match (signature.typ(), place) {
            (Some(SignatureType::KeyRevocation), _) => self.is_revoked = true,
            (Some(SignatureType::SubkeyRevocation), Place::Subkey) => {
                self.subkeys.last_mut().expect("it is one's place").is_revoked = true;
            }
            (Some(SignatureType::Key), Place::Primary) => self.direct.push(signature),
            (Some(SignatureType::SubkeyBinding), Place::Subkey) => {
                self.subkeys.last_mut().expect("it is one's place").bindings.push(signature);
            }
            (Some(_), Place::User) => self.users.last_mut().expect("it is one's place").signatures.push(signature),
            _ => {}
        }
    }

    pub(super) fn fingerprint(&self) -> String {
        shown(&self.primary)
    }

    /// Whose it is, for people.
    pub(super) fn owner(&self) -> String {
        let id = self.users.first().map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
        id.unwrap_or_else(|| self.fingerprint())
    }

    /// The keys of it that are named by an identifier.
    pub(super) fn named<'a>(&'a self, issuer: &'a Issuer) -> impl Iterator<Item = Candidate<'a>> {
        let primary = issuer.names(&self.primary).then_some(Candidate::Primary(self));
        let subkeys = self.subkeys.iter().filter(|subkey| issuer.names(&subkey.key));
        primary.into_iter().chain(subkeys.map(|subkey| Candidate::Subkey(self, subkey)))
    }

    /// What the primary key says of itself, or why that is nothing: directly, and with each of its names, and of each of these
    /// the newest. Where they differ, the stricter one counts: a newer one of another place need not repeat an end.
    fn about_itself(&self, times: &[Seconds]) -> Result<Vec<&Signature>, KeyFault> {
        let direct = self.direct.iter().filter(|signature| signature.verify_key(&self.primary).is_ok());
        let mut places = vec![direct.collect::<Vec<_>>()];
        // A key of version 6 says it directly, and not of its names.
        if self.primary.version() == KeyVersion::V4 {
            places.extend(self.users.iter().map(|user| user.certifications(&self.primary)));
        }
        let mut said = Vec::new();
        let mut why = KeyFault::Unbound;
        for place in places {
            match newest(&place, times) {
                Ok(newest) => said.extend(newest),
                Err(KeyFault::Unbound) => {}
                Err(fault) => why = fault,
            }
        }
        if said.is_empty() { Err(why) } else { Ok(said) }
    }

    /// Why the primary key does not count at one of these times.
    fn fault(&self, times: &[Seconds]) -> Option<KeyFault> {
        if self.is_revoked {
            return Some(KeyFault::Revoked);
        }
        match self.about_itself(times) {
            Ok(own) => unfit(&self.primary, &own, times),
            Err(fault) => Some(fault),
        }
    }
}

impl User {
    /// The good signatures of the key over a name that is its; none where it took the name back.
    fn certifications(&self, primary: &PublicKey) -> Vec<&Signature> {
        let good = |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &self.id).is_ok();
        let good: Vec<_> = self.signatures.iter().filter(good).collect();
        let is_revoked = good.iter().any(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        if is_revoked { Vec::new() } else { good }
    }
}

/// A key that says it made a signature.
#[derive(Debug, Clone, Copy)]
pub(super) enum Candidate<'a> {
    Primary(&'a Certificate),
    Subkey(&'a Certificate, &'a Subkey),
}

impl Candidate<'_> {
    pub(super) fn fingerprint(&self) -> String {
        match self {
            Self::Primary(whole) => shown(&whole.primary),
            Self::Subkey(_, subkey) => shown(&subkey.key),
        }
    }

    pub(super) fn owner(&self) -> String {
        let (Self::Primary(whole) | Self::Subkey(whole, _)) = self;
        whole.owner()
    }

    /// Whether a signature is one of these bytes by this key.
    pub(super) fn made(&self, signature: &Signature, payload: &[u8]) -> bool {
        match self {
            Self::Primary(whole) => signature.verify(&whole.primary, payload).is_ok(),
            Self::Subkey(_, subkey) => signature.verify(&subkey.key, payload).is_ok(),
        }
    }

    /// Why it may not sign at one of these times.
    pub(super) fn fault(&self, times: &[Seconds]) -> Option<KeyFault> {
        match self {
            Self::Primary(whole) => whole.fault(times).or_else(|| {
                let mut own = whole.about_itself(times).ok()?;
                // A primary key that says nothing of what it is for is for all, as it is to GnuPG; it is listed itself.
                own.retain(|signature| says_purpose(signature));
                (!may_sign(&own)).then_some(KeyFault::Purpose)
            }),
            Self::Subkey(whole, subkey) => whole
                .fault(times)
                .map(|fault| KeyFault::Primary(Box::new(fault)))
                .or_else(|| subkey.fault(whole, times)),
        }
    }
}

impl Subkey {
    fn fault(&self, whole: &Certificate, times: &[Seconds]) -> Option<KeyFault> {
        if self.is_revoked {
            return Some(KeyFault::Revoked);
        }
        let good = |binding: &&Signature| binding.verify_subkey_binding(&whole.primary, &self.key).is_ok();
        let bindings: Vec<_> = self.bindings.iter().filter(good).collect();
        let bindings = match newest(&bindings, times) {
            Ok(bindings) => bindings,
            Err(fault) => return Some(fault),
        };
        if !may_sign(&bindings) {
            return Some(KeyFault::Purpose);
        }
        // Without this anybody could call another's subkey his own, and with it what that one signs.
        let is_bound_back = |binding: &&Signature| {
            binding.embedded_signature().is_some_and(|back| {
                counts(back, times) && back.verify_primary_key_binding(&self.key, &whole.primary).is_ok()
            })
        };
        if !bindings.iter().all(is_bound_back) {
            return Some(KeyFault::NotBoundBack);
        }
        unfit(&self.key, &bindings, times)
    }
}

/// By what a signature names the key that made it.
#[derive(Debug)]
pub(super) struct Issuer {
    fingerprints: Vec<Fingerprint>,
    ids: Vec<KeyId>,
}

impl Issuer {
    /// None where it names none.
    pub(super) fn of(signature: &Signature) -> Option<Self> {
        let fingerprints: Vec<_> = signature.issuer_fingerprint().into_iter().cloned().collect();
        let ids: Vec<_> = signature.issuer_key_id().into_iter().copied().collect();
        (!fingerprints.is_empty() || !ids.is_empty()).then_some(Self { fingerprints, ids })
    }

    fn names(&self, key: &impl KeyDetails) -> bool {
        if self.fingerprints.is_empty() {
            self.ids.contains(&key.legacy_key_id())
        } else {
            self.fingerprints.contains(&key.fingerprint())
        }
    }

    pub(super) fn shown(&self) -> String {
        let id = self.ids.first().map(ToString::to_string);
        self.fingerprints.first().map(ToString::to_string).or(id).unwrap_or_default().to_uppercase()
    }
}

fn shown(key: &impl KeyDetails) -> String {
    key.fingerprint().to_string().to_uppercase()
}

/// Those that are newest of the signatures that count: more than one where they came in the same second.
fn newest<'a>(signatures: &[&'a Signature], times: &[Seconds]) -> Result<Vec<&'a Signature>, KeyFault> {
    let mut counting: Vec<_> = signatures.iter().copied().filter(|signature| counts(signature, times)).collect();
    let Some(last) = counting.iter().filter_map(|signature| signature.created()).max() else {
        let weak = signatures.iter().find(|signature| !is_strong(signature));
        return Err(weak.map_or(KeyFault::Unbound, |signature| KeyFault::WeaklyBound(hash_of(signature))));
    };
    counting.retain(|signature| signature.created() == Some(last));
    Ok(counting)
}

fn may_sign(own: &[&Signature]) -> bool {
    own.iter().all(|signature| signature.key_flags().sign())
}

fn says_purpose(signature: &Signature) -> bool {
    let mut hashed = signature.config().into_iter().flat_map(SignatureConfig::hashed_subpackets);
    hashed.any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)))
}

/// What keeps a key from counting at one of these times, by itself and by what is said of it.
fn unfit(key: &impl KeyDetails, said: &[&Signature], times: &[Seconds]) -> Option<KeyFault> {
    match key.public_params() {
        PublicParams::RSA(params) => {
            // The modulus comes first, and its length in bits before it.
            let bytes = params.to_bytes().unwrap_or_default();
            let bits = bytes.first_chunk().map_or(0, |bits| u16::from_be_bytes(*bits));
            if bits < RSA_BITS_MIN {
                return Some(KeyFault::Length(bits));
            }
        }
        PublicParams::ECDSA(_) | PublicParams::EdDSALegacy(_) | PublicParams::Ed25519(_) | PublicParams::Ed448(_) => {}
        _ => return Some(KeyFault::Algorithm(format!("{:?}", key.algorithm()))),
    }
    let created = Seconds::from(key.created_at().as_secs());
    if times.iter().any(|at| *at < created) {
        return Some(KeyFault::Young(super::timestamp(created)));
    }
    let ends = said.iter().filter_map(|signature| expiry(created, signature.key_expiration_time()));
    let end = ends.min().filter(|end| times.iter().any(|at| at >= end))?;
    Some(KeyFault::Expired(super::timestamp(end)))
}
