use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::key::{Curve, Material, PublicKey, UnusableKey};
use super::wire::{Wire, push_string};

const ARMOR_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const ARMOR_END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// How other kinds of signatures begin, and their names.
const OTHERS: [(&str, &str); 3] = [
    ("-----BEGIN PGP SIGNATURE-----", "OpenPGP"),
    ("-----BEGIN PGP MESSAGE-----", "OpenPGP"),
    ("-----BEGIN SIGNED MESSAGE-----", "X.509"),
];

/// A signature as `ssh-keygen -Y sign` makes it. That it was read does not mean that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature {
    key: PublicKey,
    namespace: String,
    /// By which a message is hashed before it is signed.
    message_hash: Hash,
    proof: Proof,
    /// What a security key says of itself: flags and a counter.
    device: Vec<u8>,
}

/// The signature itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Ed25519([u8; 64]),
    /// Two numbers, most significant byte first.
    Ecdsa(Vec<u8>, Vec<u8>),
    Rsa(Hash, Vec<u8>),
}

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// What must be true for a signature to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<'a> {
    /// By Ed25519.
    Ed25519 {
        /// The public key.
        key: &'a [u8; 32],
        /// What was signed.
        data: Vec<u8>,
        /// The signature.
        signature: &'a [u8; 64],
    },
    /// By ECDSA.
    Ecdsa {
        /// The curve.
        curve: Curve,
        /// The public key.
        point: &'a [u8],
        /// The digest of what was signed.
        digest: Vec<u8>,
        /// The two numbers of the signature.
        signature: (&'a [u8], &'a [u8]),
    },
    /// By RSA, PKCS #1 v1.5.
    Rsa {
        /// The exponent and the modulus of the public key.
        key: (&'a [u8], &'a [u8]),
        /// By which what was signed is hashed.
        hash: Hash,
        /// What was signed.
        data: Vec<u8>,
        /// The signature, as long as the modulus.
        signature: Vec<u8>,
    },
}

/// Why the signature of a commit cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is of another kind, by its name.
    Other(&'static str),
    /// It was made by a key that cannot be used.
    Key(UnusableKey),
    /// It is no signature at all.
    Damaged,
}

impl SshSignature {
    /// Reads the text that stands in a commit.
    pub fn read(text: &[u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(text).map_err(|_| Unreadable::Damaged)?.trim();
        if let Some((_, name)) = OTHERS.iter().find(|(begin, _)| text.starts_with(begin)) {
            return Err(Unreadable::Other(name));
        }
        let inner = text.strip_prefix(ARMOR_BEGIN).and_then(|rest| rest.strip_suffix(ARMOR_END));
        let inner: String = inner.ok_or(Unreadable::Damaged)?.split_ascii_whitespace().collect();
        let blob = STANDARD.decode(inner).map_err(|_| Unreadable::Damaged)?;
        Self::from_blob(&blob)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, Unreadable> {
        let Parts { key, namespace, hash, signature } = Parts::of(blob).ok_or(Unreadable::Damaged)?;
        let message_hash = match hash {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            _ => return Err(Unreadable::Damaged),
        };
        let key = PublicKey::from_blob(key).map_err(Unreadable::Key)?;
        let (proof, device) = proof(&key, signature).ok_or(Unreadable::Damaged)?;
        Ok(Self { key, namespace: namespace.to_owned(), message_hash, proof, device: device.to_vec() })
    }

    /// The key that it says it was made by.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What it was made for: `git` for commits.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What must be true for it to be a signature of `message` by [`Self::key`]. None where signature and key do not fit
    /// each other.
    pub fn claim(&self, message: &[u8]) -> Option<Claim<'_>> {
        let data = self.signed(message);
        Some(match (&self.key.material, &self.proof) {
            (Material::Ed25519(key), Proof::Ed25519(signature)) => Claim::Ed25519 { key, data, signature },
            (Material::Ecdsa(curve, point), Proof::Ecdsa(r, s)) => {
                let hash = match curve {
                    Curve::P256 => Hash::Sha256,
                    Curve::P384 => Hash::Sha384,
                    Curve::P521 => Hash::Sha512,
                };
                Claim::Ecdsa { curve: *curve, point, digest: hash.of(&data), signature: (r, s) }
            }
            (Material::Rsa(exponent, modulus), Proof::Rsa(hash, short)) => {
                // Some agents leave out the zeros before it.
                let zeros = modulus.len().checked_sub(short.len())?;
                let signature = [&vec![0; zeros], short.as_slice()].concat();
                Claim::Rsa { key: (exponent, modulus), hash: *hash, data, signature }
            }
            _ => return None,
        })
    }

    /// The bytes that the key signed.
    fn signed(&self, message: &[u8]) -> Vec<u8> {
        let name: &[u8] = if self.message_hash == Hash::Sha256 { b"sha256" } else { b"sha512" };
        let mut data = MAGIC.to_vec();
        for part in [self.namespace.as_bytes(), b"", name, &self.message_hash.of(message)] {
            push_string(&mut data, part);
        }
        match &self.key.application {
            None => data,
            Some(application) => {
                [Hash::Sha256.of(application).as_slice(), &self.device, &Hash::Sha256.of(&data)].concat()
            }
        }
    }
}

/// The fields of a signature.
struct Parts<'a> {
    key: &'a [u8],
    namespace: &'a str,
    hash: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(blob: &'a [u8]) -> Option<Self> {
        let mut wire = Wire::new(blob);
        (wire.take(MAGIC.len())? == MAGIC && wire.u32()? == VERSION).then_some(())?;
        let (key, namespace) = (wire.string()?, wire.text()?);
        // What stands between is for later versions, and empty in this one.
        let reserved = wire.string()?;
        let (hash, signature) = (wire.string()?, wire.string()?);
        wire.end()?;
        (reserved.is_empty() && !namespace.is_empty()).then_some(Self { key, namespace, hash, signature })
    }
}

/// Flags and counter of a security key.
const DEVICE_BYTES: usize = 5;

/// The signature itself, and what a security key says.
fn proof<'a>(key: &PublicKey, signature: &'a [u8]) -> Option<(Proof, &'a [u8])> {
    let mut wire = Wire::new(signature);
    let (algorithm, bytes) = (wire.text()?, wire.string()?);
    let device = if key.application.is_some() { wire.take(DEVICE_BYTES)? } else { &[] };
    wire.end()?;
    let proof = match &key.material {
        Material::Rsa(..) => {
            // Not `ssh-rsa`: that is by SHA-1.
            let hash = match algorithm {
                "rsa-sha2-256" => Hash::Sha256,
                "rsa-sha2-512" => Hash::Sha512,
                _ => return None,
            };
            Proof::Rsa(hash, bytes.to_vec())
        }
        _ if algorithm != key.name => return None,
        Material::Ed25519(_) => Proof::Ed25519(bytes.try_into().ok()?),
        Material::Ecdsa(..) => {
            let mut wire = Wire::new(bytes);
            let (r, s) = (wire.number()?, wire.number()?);
            wire.end()?;
            Proof::Ecdsa(r.to_vec(), s.to_vec())
        }
    };
    Some((proof, device))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn fields(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in parts {
            push_string(&mut bytes, part);
        }
        bytes
    }

    /// A signature of these fields.
    fn signature(version: u32, parts: &[&[u8]]) -> Result<SshSignature, Unreadable> {
        let blob = [MAGIC, &version.to_be_bytes(), &fields(parts)].concat();
        SshSignature::read(format!("{ARMOR_BEGIN}\n{}\n{ARMOR_END}\n", STANDARD.encode(blob)).as_bytes())
    }

    #[test]
    fn every_field_must_be_good() {
        let key = fields(&[b"ssh-ed25519", &[7; 32]]);
        let proof = fields(&[b"ssh-ed25519", &[8; 64]]);
        let [key, proof] = [key.as_slice(), proof.as_slice()];
        let good = signature(1, &[key, b"git", b"", b"sha512", proof]).expect("a signature");
        assert_eq!((good.namespace(), good.key().name()), ("git", "ssh-ed25519"));
        let short = fields(&[b"ssh-ed25519", &[8; 63]]);
        let other = fields(&[b"sk-ssh-ed25519@openssh.com", &[8; 64]]);
        for (version, parts) in [
            (2, &[key, b"git", b"", b"sha512", proof][..]),
            (1, &[key, b"", b"", b"sha512", proof]),
            (1, &[key, b"\xff", b"", b"sha512", proof]),
            (1, &[key, b"git", b"x", b"sha512", proof]),
            (1, &[key, b"git", b"", b"sha1", proof]),
            (1, &[key, b"git", b"", b"sha512", &short]),
            (1, &[key, b"git", b"", b"sha512", &other]),
            (1, &[key, b"git", b"", b"sha512", proof, b""]),
            (1, &[key, b"git", b"", b"sha512"]),
        ] {
            assert_eq!(signature(version, parts), Err(Unreadable::Damaged), "{version} {parts:?}");
        }
    }

    #[test]
    fn rsa_is_not_taken_with_sha_1_and_is_as_long_as_its_key() {
        let key = fields(&[b"ssh-rsa", &[1, 0, 1], &[&[0], &[0xc1; 256][..]].concat()]);
        let by = |algorithm: &[u8], length| {
            let proof = fields(&[algorithm, &vec![9; length]]);
            signature(1, &[&key, b"git", b"", b"sha256", &proof])
        };
        assert_eq!(by(b"ssh-rsa", 256), Err(Unreadable::Damaged));
        let claim = by(b"rsa-sha2-512", 255).expect("a signature");
        let Some(Claim::Rsa { hash: Hash::Sha512, signature, .. }) = claim.claim(b"message") else {
            panic!("{claim:?}")
        };
        assert_eq!((signature.len(), &signature[..2]), (256, &[0, 9][..]));
        assert_eq!(by(b"rsa-sha2-256", 257).expect("a signature").claim(b"message"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_end_it(bytes: Vec<u8>, inner: Vec<u8>, part in any::<[u8; 4]>()) {
            let _ = SshSignature::read(&bytes);
            let _ = signature(1, &[&inner, &part, &[], b"sha256", &bytes]);
            let key = fields(&[b"ssh-ed25519", &[7; 32]]);
            let _ = signature(1, &[&key, b"git", &[], b"sha256", &bytes]);
        }
    }
}
