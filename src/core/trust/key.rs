use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::wire::Wire;
use crate::core::model::quoted;

/// Shorter RSA keys can be broken with enough machines.
const RSA_BITS_MIN: usize = 2048;
/// A longer one only costs time: OpenSSH makes none of more.
const RSA_BITS_MAX: usize = 16_384;

/// A public key of SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// In the form of the SSH protocol.
    blob: Vec<u8>,
    pub(super) name: String,
    pub(super) material: Material,
    /// For a key inside of a security key: what it was made for.
    pub(super) application: Option<Vec<u8>>,
}

/// What a public key is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A point on the curve of Ed25519.
    Ed25519([u8; 32]),
    /// A point on one of NIST's curves, as SEC 1 writes it.
    Ecdsa(Curve, Vec<u8>),
    /// Exponent and modulus, most significant byte first.
    Rsa(Vec<u8>, Vec<u8>),
}

/// A curve of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

impl Curve {
    fn named(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// Its bytes do not make a key.
    #[error("the key is damaged")]
    Damaged,
    /// A certificate.
    #[error("{} is a certificate, and certificates are not supported: list the keys themselves", quoted(.0))]
    Certificate(String),
    /// A type that nobody should use, or that came after this program.
    #[error(
        "{} is no type of key that is supported: use ed25519, ecdsa, rsa, or a security key (`sk-…`)", quoted(.0)
    )]
    Unsupported(String),
    /// An RSA key that is too short, or too long.
    #[error("the RSA key has {0} bits: from {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken")]
    Length(usize),
}

impl PublicKey {
    /// Reads a key in the form of the SSH protocol.
    pub fn from_blob(blob: &[u8]) -> Result<Self, UnusableKey> {
        let mut wire = Wire::new(blob);
        let name = wire.text().ok_or(UnusableKey::Damaged)?;
        if name.contains("-cert-") {
            return Err(UnusableKey::Certificate(name.to_owned()));
        }
        let (kind, is_inside) = match name.strip_prefix("sk-").and_then(|rest| rest.strip_suffix("@openssh.com")) {
            Some(kind) => (kind, true),
            None => (name, false),
        };
        let material = match kind {
            "ssh-ed25519" => wire.string().and_then(|key| key.try_into().ok()).map(Material::Ed25519),
            "ssh-rsa" if !is_inside => rsa(&mut wire)?,
            kind => {
                let curve = kind.strip_prefix("ecdsa-sha2-").and_then(Curve::named);
                let curve = curve.filter(|curve| !is_inside || *curve == Curve::P256);
                let curve = curve.ok_or_else(|| UnusableKey::Unsupported(name.to_owned()))?;
                ecdsa(&mut wire, curve)
            }
        };
        let material = material.ok_or(UnusableKey::Damaged)?;
        let application = if is_inside { Some(wire.string().ok_or(UnusableKey::Damaged)?.to_vec()) } else { None };
        wire.end().ok_or(UnusableKey::Damaged)?;
        Ok(Self { blob: blob.to_vec(), name: name.to_owned(), material, application })
    }

    /// Its type, as in a file of keys: `ssh-ed25519`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `SHA256:…`, as ssh-keygen shows it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }

    /// Fingerprint and type.
    pub(super) fn shown(&self) -> String {
        format!("{} ({})", self.fingerprint(), self.name)
    }
}

/// `SHA256:…` of a key in the form of the SSH protocol, as ssh-keygen shows it.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

fn ecdsa(wire: &mut Wire<'_>, curve: Curve) -> Option<Material> {
    let is_same = wire.text()? == curve.name();
    let point = wire.string()?;
    is_same.then(|| Material::Ecdsa(curve, point.to_vec()))
}

fn rsa(wire: &mut Wire<'_>) -> Result<Option<Material>, UnusableKey> {
    let (Some(exponent), Some(modulus)) = (wire.number(), wire.number()) else { return Ok(None) };
    let unused = modulus.first().map_or(0, |first| first.leading_zeros()) as usize;
    let bits = modulus.len() * 8 - unused;
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(UnusableKey::Length(bits));
    }
    Ok(Some(Material::Rsa(exponent.to_vec(), modulus.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::super::wire::push_string;
    use super::*;

    fn blob(parts: &[&[u8]]) -> Vec<u8> {
        let mut blob = Vec::new();
        for part in parts {
            push_string(&mut blob, part);
        }
        blob
    }

    fn rsa_of(bytes: usize, first: u8) -> Result<PublicKey, UnusableKey> {
        let modulus = [&[0, first][..], &vec![1; bytes - 1]].concat();
        PublicKey::from_blob(&blob(&[b"ssh-rsa", &[1, 0, 1], &modulus]))
    }

    #[test]
    fn rsa_keys_have_a_length_that_counts_without_zeros() {
        assert!(rsa_of(256, 0x80).is_ok());
        assert_eq!(rsa_of(256, 0x7f), Err(UnusableKey::Length(2047)));
        assert_eq!(rsa_of(128, 0x80), Err(UnusableKey::Length(1024)));
        assert!(rsa_of(2048, 0xff).is_ok());
        assert_eq!(rsa_of(2049, 0x80), Err(UnusableKey::Length(16_392)));
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let read = |parts: &[&[u8]]| PublicKey::from_blob(&blob(parts)).err();
        assert_eq!(read(&[b"ssh-ed25519", &[7; 32]]), None);
        let damaged = |parts: &[&[u8]]| assert_eq!(read(parts), Some(UnusableKey::Damaged), "{parts:?}");
        damaged(&[]);
        damaged(&[b"ssh-ed25519"]);
        damaged(&[b"ssh-ed25519", &[7; 31]]);
        damaged(&[b"ssh-ed25519", &[7; 32], b"more"]);
        damaged(&[b"sk-ssh-ed25519@openssh.com", &[7; 32]]);
        damaged(&[b"ecdsa-sha2-nistp256", b"nistp384", &[4; 65]]);
        damaged(&[b"ssh-rsa", &[1, 0, 1]]);
        damaged(&[b"ssh-rsa", &[1, 0, 1], &[0x80; 256]]);
        for name in ["ssh-dss", "sk-ssh-rsa@openssh.com", "sk-ecdsa-sha2-nistp384@openssh.com", "ecdsa-sha2-nistp224"] {
            assert_eq!(read(&[name.as_bytes()]), Some(UnusableKey::Unsupported(name.to_owned())));
        }
        let certificate = "ssh-ed25519-cert-v01@openssh.com";
        assert_eq!(read(&[certificate.as_bytes()]), Some(UnusableKey::Certificate(certificate.to_owned())));
    }
}
