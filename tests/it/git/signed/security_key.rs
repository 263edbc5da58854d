//! Signatures as a security key makes them, without the device: what it signs is made here, and ssh-keygen agrees.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::bn::{BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use sha2::{Digest as _, Sha256};

use super::{Rig, assert_held, with_signature};
use crate::support::signing::ssh_keygen;

/// Bytes with their length before them.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}

/// A positive number.
fn number(number: &BigNumRef) -> Vec<u8> {
    string(&[vec![0], number.to_vec()].concat()[usize::from(number.to_vec()[0] < 0x80)..])
}

/// What the key itself does: from bytes to a signature of them.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A software key that signs as a device does.
struct Device {
    name: &'static str,
    blob: Vec<u8>,
    sign: Sign,
}

const APPLICATION: &[u8] = b"ssh:";
/// The user was there, and three signatures were made before.
const STATE: [u8; 5] = [1, 0, 0, 0, 3];

fn ed25519() -> Device {
    let key = PKey::generate_ed25519().expect("a key");
    let name = "sk-ssh-ed25519@openssh.com";
    let public = key.raw_public_key().expect("32 bytes");
    let blob = [string(name.as_bytes()), string(&public), string(APPLICATION)].concat();
    let sign = move |data: &[u8]| {
        Signer::new_without_digest(&key).and_then(|mut signer| signer.sign_oneshot_to_vec(data)).expect("it signs")
    };
    Device { name, blob, sign: Box::new(sign) }
}

fn ecdsa() -> Device {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = EcKey::generate(&curve).expect("a key");
    let name = "sk-ecdsa-sha2-nistp256@openssh.com";
    let mut context = BigNumContext::new().expect("a context");
    let point = key.public_key().to_bytes(&curve, PointConversionForm::UNCOMPRESSED, &mut context).expect("a point");
    let blob = [string(name.as_bytes()), string(b"nistp256"), string(&point), string(APPLICATION)].concat();
    let sign = move |data: &[u8]| {
        let signature = EcdsaSig::sign(&Sha256::digest(data), &key).expect("it signs");
        [number(signature.r()), number(signature.s())].concat()
    };
    Device { name, blob, sign: Box::new(sign) }
}

impl Device {
    /// A signature for git, by `PROTOCOL.sshsig` and `PROTOCOL.u2f` of OpenSSH.
    fn sign(&self, message: &[u8]) -> String {
        let hashed = string(&Sha256::digest(message));
        let data = [b"SSHSIG", string(b"git").as_slice(), &string(b""), &string(b"sha256"), &hashed].concat();
        let data = [Sha256::digest(APPLICATION).as_slice(), &STATE, &Sha256::digest(&data)].concat();
        let signature = [string(self.name.as_bytes()), string(&(self.sign)(&data)), STATE.to_vec()].concat();
        let version = 1_u32.to_be_bytes();
        let fields = [&self.blob[..], b"git", b"", b"sha256", &signature].map(string).concat();
        let blob = STANDARD.encode([b"SSHSIG", &version[..], &fields].concat());
        format!("-----BEGIN SSH SIGNATURE-----\n{blob}\n-----END SSH SIGNATURE-----\n")
    }
}

#[tokio::test]
async fn a_security_key_may_sign() {
    let rig = Rig::new();
    let raw = rig.raw();
    let (message, place) = (rig.repo.beside("message"), rig.repo.beside("signature"));
    std::fs::write(&message, &raw).expect("the temp dir is writable");
    for device in [ed25519(), ecdsa()] {
        let signature = device.sign(raw.as_bytes());
        std::fs::write(&place, &signature).expect("the temp dir is writable");
        let place = place.to_str().expect("temp dirs are UTF-8");
        let said = ssh_keygen(&["-Y", "check-novalidate", "-n", "git", "-s", place], &message);
        assert!(said.starts_with("Good"), "{said}");
        rig.list(&format!("camille@example.org {} {}\n", device.name, STANDARD.encode(&device.blob)));
        rig.replace(with_signature(&raw, &signature));
        rig.assert_trusted(&rig.fetch().await);
        // What the device says of itself is signed too.
        let blob: String = signature.lines().filter(|line| !line.starts_with('-')).collect();
        let mut blob = STANDARD.decode(blob).expect("base64");
        *blob.last_mut().expect("bytes") += 1;
        let altered =
            format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", STANDARD.encode(blob));
        rig.replace(with_signature(&raw, &altered));
        assert_held(&rig.fetch().await, &["bad signature", device.name]);
    }
}
