//! OpenPGP keys of all conditions, and signatures by them: made with the library's packets, so that each part can be bad.

use pgp::composed::{ArmorOptions, DetachedSignature, KeyType};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    KeyFlags, PacketTrait, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, Signature, SignatureConfig,
    SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::types::{
    Duration, KeyDetails, KeyVersion, PacketHeaderVersion, Password, PublicParams, SecretParams, SigningKey, Tag,
    Timestamp,
};

use super::git_repo::GitRepo;

/// Whom keys of tests belong to.
pub const OWNER: &str = "Camille <camille@example.org>";

/// How a key is made.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub kind: KeyType,
    /// In seconds since 1970.
    pub created: u32,
    /// What is said of the key: by itself, or for a subkey by its primary key.
    pub said: Vec<Said>,
    pub is_revoked: bool,
}

/// What one signature says of a key.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub at: u32,
    pub hash: HashAlgorithm,
    pub may_sign: Option<bool>,
    /// In seconds after the key was made.
    pub key_expires: Option<u32>,
    /// Whether a subkey says itself whose it is.
    pub is_bound_back: bool,
}

/// How a signature is made.
#[derive(Debug, Clone)]
pub struct How {
    pub at: u32,
    pub hash: HashAlgorithm,
    pub kind: SignatureType,
    pub expires: Option<u32>,
    pub also: Option<Subpacket>,
    /// Whether the key is named by its short identifier alone, as GitHub does it.
    pub by_id: bool,
}

impl Recipe {
    /// A good key.
    pub fn new(kind: KeyType, created: u32) -> Self {
        Self { kind, created, said: vec![Said::new(created)], is_revoked: false }
    }

    /// One of which something else is said.
    pub fn said(mut self, change: impl FnOnce(&mut Said)) -> Self {
        change(&mut self.said[0]);
        self
    }

    pub fn revoked(self) -> Self {
        Self { is_revoked: true, ..self }
    }

    fn material(&self) -> (PubKeyInner, SecretParams) {
        let (public, secret): (PublicParams, _) = self.kind.generate(rand::thread_rng()).expect("keys can be made");
        let (algorithm, created) = (self.kind.to_alg(), Timestamp::from_secs(self.created));
        (PubKeyInner::new(KeyVersion::V4, algorithm, created, None, public).expect("a key"), secret)
    }
}

impl Said {
    /// What is usual.
    pub const fn new(at: u32) -> Self {
        Self { at, hash: HashAlgorithm::Sha512, may_sign: Some(true), key_expires: None, is_bound_back: true }
    }

    fn subpackets(&self) -> Vec<SubpacketData> {
        let flags = self.may_sign.map(|may_sign| {
            let mut flags = KeyFlags::default();
            flags.set_sign(may_sign);
            SubpacketData::KeyFlags(flags)
        });
        let expires = self.key_expires.map(|after| SubpacketData::KeyExpirationTime(Duration::from_secs(after)));
        flags.into_iter().chain(expires).collect()
    }
}

impl How {
    /// As git has it made.
    pub const fn at(at: u32) -> Self {
        Self { at, hash: HashAlgorithm::Sha512, kind: SignatureType::Binary, expires: None, also: None, by_id: false }
    }
}

/// A key pair with its public half in parts.
#[derive(Debug)]
pub struct PgpKey {
    primary: SecretKey,
    subkey: Option<SecretSubkey>,
    /// The primary key, its name, and what it says of itself.
    pub primary_part: Vec<u8>,
    /// The subkey, and what is said of it.
    pub subkey_part: Vec<u8>,
}

impl PgpKey {
    /// A key that is as it should be from a moment on.
    pub fn good(created: u32) -> Self {
        Self::make(&Recipe::new(KeyType::Ed25519Legacy, created), None)
    }

    /// A key by recipes: one with a subkey signs by that.
    pub fn make(primary: &Recipe, subkey: Option<&Recipe>) -> Self {
        let (inner, secret) = primary.material();
        let key = PublicKey::from_inner(inner).expect("a key");
        let secret = SecretKey::new(key.clone(), secret).expect("a key");
        let id = UserId::from_str(PacketHeaderVersion::New, OWNER).expect("a name");
        let mut made = Self { primary: secret, subkey: None, primary_part: packet(&key), subkey_part: Vec::new() };
        let secret = &made.primary;
        if primary.is_revoked {
            let config = config(secret, SignatureType::KeyRevocation, &Said::new(primary.created), Vec::new());
            let signature = config.sign_key(secret, &Password::empty(), &key).expect("it can be signed");
            made.primary_part.extend(packet(&signature));
        }
        made.primary_part.extend(packet(&id));
        for said in &primary.said {
            let config = config(secret, SignatureType::CertPositive, said, said.subpackets());
            let signature = config.sign_certification(secret, &key, &Password::empty(), Tag::UserId, &id);
            made.primary_part.extend(packet(&signature.expect("it can be signed")));
        }
        if let Some(recipe) = subkey {
            made.add(recipe);
        }
        made
    }

    fn add(&mut self, recipe: &Recipe) {
        let (inner, secret) = recipe.material();
        let key = PublicSubkey::from_inner(inner).expect("a key");
        let secret = SecretSubkey::new(key.clone(), secret).expect("a key");
        let (primary, owner) = (&self.primary, self.primary.public_key());
        self.subkey_part = packet(&key);
        let bind = |kind, said: &Said, data| {
            let bound = config(primary, kind, said, data);
            packet(&bound.sign_subkey_binding(primary, owner, &Password::empty(), &key).expect("it can be signed"))
        };
        for said in &recipe.said {
            let mut data = said.subpackets();
            if said.is_bound_back {
                let back = config(&secret, SignatureType::KeyBinding, said, Vec::new());
                let back = back.sign_primary_key_binding(&secret, &key, &Password::empty(), owner);
                data.push(SubpacketData::EmbeddedSignature(Box::new(back.expect("it can be signed"))));
            }
            self.subkey_part.extend(bind(SignatureType::SubkeyBinding, said, data));
        }
        if recipe.is_revoked {
            self.subkey_part.extend(bind(SignatureType::SubkeyRevocation, &Said::new(recipe.created), Vec::new()));
        }
        self.subkey = Some(secret);
    }

    /// What the primary key says of itself directly, to be put after it.
    pub fn direct(&self, said: &Said) -> Vec<u8> {
        let config = config(&self.primary, SignatureType::Key, said, said.subpackets());
        packet(
            &config.sign_key(&self.primary, &Password::empty(), self.primary.public_key()).expect("it can be signed"),
        )
    }

    /// Length of the primary key alone, without what it says of itself.
    pub fn key_len(&self) -> usize {
        packet(self.primary.public_key()).len()
    }

    /// The public key, without armor.
    pub fn public(&self) -> Vec<u8> {
        [&self.primary_part[..], &self.subkey_part].concat()
    }

    /// The key pair with its secret half, without armor.
    pub fn private(&self) -> Vec<u8> {
        packet(&self.primary)
    }

    /// Of the key that signs, as GnuPG shows it.
    pub fn fingerprint(&self) -> String {
        let fingerprint = self.subkey.as_ref().map_or(self.primary.fingerprint(), KeyDetails::fingerprint);
        fingerprint.to_string().to_uppercase()
    }

    /// The armored signature of a commit without its signature.
    pub fn sign(&self, payload: &[u8], how: &How) -> String {
        let signature = match &self.subkey {
            Some(subkey) => sign(subkey, payload, how),
            None => sign(&self.primary, payload, how),
        };
        DetachedSignature::new(signature).to_armored_string(ArmorOptions::default()).expect("it can be written")
    }

    /// Signs the newest commit now, and makes that the newest one. Gives the id.
    pub fn sign_head(&self, repo: &GitRepo) -> String {
        let raw = repo.git(&["cat-file", "commit", "HEAD"]) + "\n";
        let place = repo.beside("signed-commit");
        std::fs::write(&place, with_signature(&raw, &self.sign(raw.as_bytes(), &How::at(now()))))
            .expect("the temp dir is writable");
        let place = place.to_str().expect("temp dirs are UTF-8");
        let id = repo.git(&["hash-object", "-t", "commit", "-w", place]);
        repo.git(&["update-ref", "refs/heads/main", &id]);
        id
    }
}

/// A commit with a signature put into its header.
pub fn with_signature(raw: &str, signature: &str) -> String {
    let (header, message) = raw.split_once("\n\n").expect("a commit");
    format!("{header}\ngpgsig {}\n\n{message}", signature.trim_end().replace('\n', "\n "))
}

/// In seconds since 1970.
pub fn now() -> u32 {
    Timestamp::now().as_secs()
}

fn sign(key: &impl SigningKey, payload: &[u8], how: &How) -> Signature {
    let said = Said { hash: how.hash, ..Said::new(how.at) };
    let expires = how.expires.map(|after| SubpacketData::SignatureExpirationTime(Duration::from_secs(after)));
    let mut config = config(key, how.kind, &said, expires.into_iter().collect());
    if how.by_id {
        let id = SubpacketData::IssuerKeyId(key.legacy_key_id());
        config.hashed_subpackets[1] = Subpacket::regular(id).expect("it is short");
    }
    config.hashed_subpackets.extend(how.also.clone());
    config.sign(key, &Password::empty(), payload).expect("it can be signed")
}

fn config(key: &impl SigningKey, kind: SignatureType, said: &Said, data: Vec<SubpacketData>) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), said.hash);
    let created = SubpacketData::SignatureCreationTime(Timestamp::from_secs(said.at));
    let all = [created, SubpacketData::IssuerFingerprint(key.fingerprint())].into_iter().chain(data);
    config.hashed_subpackets = all.map(|data| Subpacket::regular(data).expect("it is short")).collect();
    config
}

fn packet(packet: &impl PacketTrait) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.to_writer_with_header(&mut bytes).expect("memory can be written");
    bytes
}
