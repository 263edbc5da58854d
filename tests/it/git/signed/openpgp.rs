//! Commits signed with OpenPGP: by keys of all conditions, and by the real GnuPG.

use bascule::core::model::Timestamp;
use bascule::core::trust::{AllowedPgpKeys, SignedCommit, Trusted};
use bascule::git::{Location, Source, SourceError, SourceSettings};
use pgp::bytes::Bytes;
use pgp::composed::KeyType;
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Notation, SignatureType, Subpacket, SubpacketData};
use proptest::prelude::*;

use super::{Rig, assert_held};
use crate::git::{failure, fetch, local, settings};
use crate::support::openpgp::{How, PgpKey, Recipe, Said, now, with_signature};

const DAY: u32 = 86_400;
/// When keys are made, when commits are signed with them, and when these come.
const MADE: u32 = 1_700_000_000;
const SIGNED: u32 = MADE + 10 * DAY;
const COMES: u32 = MADE + 11 * DAY;

const PAYLOAD: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\ntext\n";

fn moment(seconds: u32) -> Timestamp {
    Timestamp::from_unix_millis(i64::from(seconds) * 1000)
}

/// Why a commit with this signature is held that comes at a moment, or now that it has come.
fn judge(keys: &[u8], signature: &str, payload: &[u8], comes: Option<u32>) -> Result<(), String> {
    let keys = AllowedPgpKeys::parse("FILE", keys).map_err(|malformed| malformed.to_string())?;
    let trusted = Trusted::new(None, Some(keys)).expect("there are keys");
    let commit = SignedCommit { signature: Some(signature.as_bytes().to_vec()), payload: payload.to_vec() };
    let judged = trusted.judge(&commit, moment(SIGNED), comes.map(moment), |_| panic!("it is no SSH signature"));
    judged.map_err(|distrust| distrust.to_string())
}

fn by(key: &PgpKey, how: &How) -> Result<(), String> {
    judge(&key.public(), &key.sign(PAYLOAD, how), PAYLOAD, Some(COMES))
}

/// It is held for a reason with all these parts.
#[track_caller]
fn assert_refused(judged: Result<(), String>, parts: &[&str]) {
    let text = judged.expect_err("it is held");
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in: {text}");
}

fn edwards() -> Recipe {
    Recipe::new(KeyType::Ed25519Legacy, MADE)
}

/// By these, the library makes signatures by weak hashes too.
fn rsa() -> Recipe {
    Recipe::new(KeyType::Rsa(2048), MADE)
}

#[test]
fn a_listed_key_is_trusted_whatever_its_type() {
    let other = PgpKey::good(MADE);
    for kind in [
        KeyType::Ed25519Legacy,
        KeyType::Ed25519,
        KeyType::Ed448,
        KeyType::ECDSA(ECCCurve::P256),
        KeyType::ECDSA(ECCCurve::P521),
        KeyType::Rsa(2048),
    ] {
        let recipe = Recipe::new(kind, MADE);
        for key in [PgpKey::make(&recipe, None), PgpKey::make(&edwards(), Some(&recipe))] {
            assert_eq!(by(&key, &How::at(SIGNED)), Ok(()), "{recipe:?}");
            let signature = key.sign(PAYLOAD, &How::at(SIGNED));
            let both = [other.public(), key.public()].concat();
            assert_eq!(judge(&both, &signature, PAYLOAD, None), Ok(()), "{recipe:?}");
            let unlisted = judge(&other.public(), &signature, PAYLOAD, Some(COMES));
            assert_refused(unlisted, &[&key.fingerprint(), "which is not in `FILE`", "git commit --amend -S"]);
            let altered = judge(&both, &signature, b"tree\n\ntext\n", Some(COMES));
            assert_refused(altered, &[&key.fingerprint(), "has a bad signature"]);
        }
    }
}

#[test]
fn a_key_that_does_not_count_is_named_with_the_reason() {
    let primary = |recipe: Recipe| PgpKey::make(&recipe, None);
    let subkey = |recipe: Recipe| PgpKey::make(&edwards(), Some(&recipe));
    let below = |recipe: Recipe| PgpKey::make(&recipe, Some(&edwards()));
    let expired = |days: u32| edwards().said(|said| said.key_expires = Some(days * DAY));
    let by_sha_1 = || rsa().said(|said| said.hash = HashAlgorithm::Sha1);
    for (key, part) in vec![
        (primary(edwards().revoked()), "`, which is revoked"),
        (below(edwards().revoked()), "a subkey of one which is revoked"),
        (subkey(edwards().revoked()), "`, which is revoked"),
        // Over before the signature was made, and between that and when the commit comes.
        (primary(expired(9)), "which expired at 2023-11-23T22:13:20Z"),
        (primary(expired(11)), "which expired at 2023-11-25T22:13:20Z"),
        (below(expired(9)), "a subkey of one which expired at"),
        (subkey(expired(9)), "`, which expired at"),
        (primary(Recipe::new(KeyType::Ed25519, SIGNED + 1)), "which was made only at 2023-11-24T22:13:21Z"),
        (primary(edwards().said(|said| said.may_sign = Some(false))), "which is not made for signing"),
        (subkey(edwards().said(|said| said.may_sign = Some(false))), "which is not made for signing"),
        (subkey(edwards().said(|said| said.may_sign = None)), "which is not made for signing"),
        (subkey(edwards().said(|said| said.is_bound_back = false)), "does not say itself whose it is"),
        (primary(by_sha_1()), "says only by the hash SHA1, which is too weak"),
        (PgpKey::make(&rsa(), Some(&by_sha_1())), "says only by the hash SHA1, which is too weak"),
        (primary(Recipe { said: Vec::new(), ..edwards() }), "has no good signature of its own"),
        (primary(Recipe::new(KeyType::Rsa(1024), MADE)), "an RSA key of 1024 bits: 2048 or more are taken"),
    ] {
        let cure = ["of `Camille <camille@example.org>`", "(`FILE`)", "gpg --export", "git commit --amend -S"];
        assert_refused(by(&key, &How::at(SIGNED)), &[&[part, &key.fingerprint()][..], &cure].concat());
    }
    // A primary key that says nothing of what it is for is for all.
    assert_eq!(by(&primary(edwards().said(|said| said.may_sign = None)), &How::at(SIGNED)), Ok(()));
    // One that is not for signing may have a subkey that is.
    assert_eq!(by(&below(edwards().said(|said| said.may_sign = Some(false))), &How::at(SIGNED)), Ok(()));
}

#[test]
fn what_a_key_said_last_counts() {
    let short = Said { key_expires: Some(DAY), ..Said::new(MADE) };
    let long = Said::new(MADE + DAY / 2);
    for (said, is_good) in [
        ([short, long], true),
        ([long, short], true),
        ([short, Said { at: MADE - 1, ..long }], false),
        ([Said { at: MADE + DAY, ..short }, long], false),
        // In the same second, the stricter one.
        ([Said { at: long.at, ..short }, long], false),
    ] {
        let recipe = Recipe { said: said.to_vec(), ..edwards() };
        for key in [PgpKey::make(&recipe, None), PgpKey::make(&edwards(), Some(&recipe))] {
            assert_eq!(by(&key, &How::at(SIGNED)).is_ok(), is_good, "{said:?}");
        }
    }
}

#[test]
fn by_a_weak_hash_nothing_is_said() {
    let short = Said { key_expires: Some(DAY), ..Said::new(MADE) };
    let weak = Said { hash: HashAlgorithm::Sha1, ..Said::new(MADE + DAY / 2) };
    let key = PgpKey::make(&Recipe { said: vec![short, weak], ..rsa() }, None);
    assert_refused(by(&key, &How::at(SIGNED)), &["which expired at"]);
}

#[test]
fn what_a_key_says_in_two_places_counts_where_it_is_stricter() {
    let later = Said { may_sign: None, ..Said::new(MADE + DAY) };
    for (recipe, said, part) in [
        (edwards(), later, None),
        (edwards().said(|said| said.key_expires = Some(DAY)), later, Some("which expired at")),
        (edwards(), Said { key_expires: Some(DAY), ..later }, Some("which expired at")),
        (edwards().said(|said| said.may_sign = Some(false)), later, Some("not made for signing")),
        (edwards(), Said { may_sign: Some(false), ..later }, Some("not made for signing")),
    ] {
        let key = PgpKey::make(&recipe, None);
        let (first, rest) = key.primary_part.split_at(key.key_len());
        let public = [first, &key.direct(&said), rest].concat();
        let judged = judge(&public, &key.sign(PAYLOAD, &How::at(SIGNED)), PAYLOAD, Some(COMES));
        match part {
            Some(part) => assert_refused(judged, &[part]),
            None => assert_eq!(judged, Ok(())),
        }
    }
}

#[test]
fn a_key_that_is_over_counts_for_what_came_before() {
    let key = PgpKey::make(&edwards().said(|said| said.key_expires = Some(11 * DAY)), None);
    let signature = key.sign(PAYLOAD, &How::at(SIGNED));
    assert_refused(judge(&key.public(), &signature, PAYLOAD, Some(COMES)), &["which expired at"]);
    assert_eq!(judge(&key.public(), &signature, PAYLOAD, Some(COMES - 1)), Ok(()));
    assert_eq!(judge(&key.public(), &signature, PAYLOAD, None), Ok(()));
}

#[test]
fn a_subkey_is_not_taken_by_another_key() {
    let (owner, thief) = (PgpKey::make(&edwards(), Some(&edwards())), PgpKey::good(MADE));
    let signature = owner.sign(PAYLOAD, &How::at(SIGNED));
    let stolen = [&thief.primary_part[..], &owner.subkey_part].concat();
    assert_refused(judge(&stolen, &signature, PAYLOAD, Some(COMES)), &["has no good signature of its own"]);
}

#[test]
fn a_signature_must_be_good_in_itself() {
    let key = PgpKey::make(&rsa(), None);
    let how = How::at(SIGNED);
    let name = Bytes::from_static(b"policy@example.org");
    let unknown = SubpacketData::Notation(Notation { readable: true, value: Bytes::from_static(b"x"), name });
    let critical = Some(Subpacket::critical(unknown.clone()).expect("it is short"));
    for (how, part) in [
        (How { hash: HashAlgorithm::Sha1, ..how.clone() }, "by the hash SHA1, which is too weak"),
        (How { hash: HashAlgorithm::Md5, ..how.clone() }, "by the hash MD5, which is too weak"),
        (How { hash: HashAlgorithm::Ripemd160, ..how.clone() }, "by the hash RIPEMD160, which is too weak"),
        (How { kind: SignatureType::Text, ..how.clone() }, "of another kind than git makes"),
        (How::at(COMES + 301), "at 2023-11-25T22:18:21Z, which is still to come"),
        (How { expires: Some(DAY), ..how.clone() }, "that signature itself expired at 2023-11-25T22:13:20Z"),
        (How { also: critical, ..how.clone() }, "something that is not known here"),
    ] {
        assert_refused(by(&key, &how), &[part, "git commit --amend -S"]);
    }
    let regular = Some(Subpacket::regular(unknown).expect("it is short"));
    for how in [
        How::at(COMES + 300),
        How { expires: Some(DAY + 1), ..how.clone() },
        How { expires: Some(0), ..how.clone() },
        How { also: regular, ..how.clone() },
        How { by_id: true, ..how.clone() },
    ] {
        assert_eq!(by(&key, &how), Ok(()), "{how:?}");
    }
}

#[test]
fn commits_that_the_real_gnupg_signed_are_trusted() {
    let keys = include_bytes!("../../../fixtures/openpgp/keys.asc");
    for raw in [
        include_bytes!("../../../fixtures/openpgp/subkey.commit").as_slice(),
        include_bytes!("../../../fixtures/openpgp/primary.commit"),
    ] {
        let SignedCommit { signature, payload } = SignedCommit::read(raw).expect("a commit");
        let signature = String::from_utf8(signature.expect("it is signed")).expect("armor");
        // They are of the second of March 2024, 12:00.
        assert_eq!(judge(keys, &signature, &payload, Some(1_709_380_800)), Ok(()));
        assert_refused(judge(keys, &signature, PAYLOAD, Some(1_709_380_800)), &["has a bad signature"]);
    }
}

#[test]
fn a_file_of_keys_is_good_as_a_whole() {
    let armored = include_str!("../../../fixtures/openpgp/keys.asc");
    let key = PgpKey::good(MADE);
    let (public, half) = (key.public(), armored.len() / 3);
    let no_user = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: none\n\n=twTO\n-----END PGP PUBLIC KEY BLOCK-----\n";
    let revoked = PgpKey::make(&edwards().revoked(), None);
    let revocation = &revoked.primary_part[revoked.key_len()..];
    for (bytes, part) in [
        (&b""[..], "FILE: there is no key, so that nothing could be served"),
        (b"anna ssh-ed25519 AAAA", "FILE: there is no key"),
        (&public[..public.len() - 1], "FILE: it is damaged"),
        (&[&public[..], &public].concat(), "stands there twice: keep the newest of them"),
        (&key.private(), "there is a private key: export the public one"),
        (&armored.as_bytes()[..half], "FILE:1: the block that begins here has no line `-----END PGP PUBLIC KEY BLOCK"),
        (&armored.as_bytes().repeat(2), "stands there twice"),
        (no_user.as_bytes(), "FILE:1: the block that begins here has no key in it"),
        (key.sign(PAYLOAD, &How::at(SIGNED)).as_bytes(), "FILE:1: the block that begins here is a `PGP SIGNATURE`"),
        (&[0xff; 9], "FILE: it is damaged"),
        (&[0x7f, 0xff], "FILE: it is not text"),
        // A length of four GiB, and more than is read.
        (&[0xc6, 255, 255, 255, 255, 255, 4], "FILE: it is damaged"),
        (&vec![b' '; AllowedPgpKeys::BYTES_MAX + 1], "FILE: it is longer than 4194304 bytes"),
        (&[0xc2, 1, 4], "begins with something else than a key"),
        (revocation, "FILE: it begins with something else than a key, such as a revocation alone"),
    ] {
        let text = AllowedPgpKeys::parse("FILE", bytes).expect_err("it is bad").to_string();
        assert!(text.contains(part), "{part}: {text}");
    }
    AllowedPgpKeys::parse("FILE", format!("of Anna\n{armored}\nend").as_bytes()).expect("words stand between keys");
}

#[test]
fn what_is_no_signature_is_damaged() {
    let key = PgpKey::good(MADE);
    let good = key.sign(PAYLOAD, &How::at(SIGNED));
    let long = good.replacen("\n\n", &format!("\n{}\n", "Comment: x\n".repeat(2000)), 1);
    for text in [
        "-----BEGIN PGP SIGNATURE-----",
        "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\n/////////w==\n-----END PGP SIGNATURE-----\n",
        &good.repeat(2),
        &good.replace("PGP SIGNATURE", "PGP MESSAGE"),
        &long,
    ] {
        assert_refused(judge(&key.public(), text, PAYLOAD, Some(COMES)), &["damaged"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is altered in a key or a signature: it ends in words, and nothing is trusted but what the key signed.
    #[test]
    fn no_altered_byte_ends_it(at in any::<prop::sample::Index>(), byte: u8, is_key: bool) {
        let key = PgpKey::make(&edwards(), Some(&edwards()));
        let mut public = key.public();
        let mut signature = key.sign(PAYLOAD, &How::at(SIGNED)).into_bytes();
        let bytes = if is_key { &mut public } else { &mut signature };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let signature = String::from_utf8_lossy(&signature).into_owned();
        let _ = judge(&public, &signature, PAYLOAD, Some(COMES));
        prop_assert!(judge(&public, &signature, b"another", Some(COMES)).is_err());
    }
}

impl Rig {
    fn pgp_settings(&self) -> SourceSettings {
        SourceSettings { allowed_pgp_keys: Some(self.repo.beside("keys.gpg")), ..local(&self.repo.path()) }
    }

    fn list_pgp(&self, bytes: &[u8]) {
        std::fs::write(self.repo.beside("keys.gpg"), bytes).expect("the temp dir is writable");
    }
}

#[tokio::test]
async fn a_repository_is_held_to_keys_of_either_kind() {
    let rig = Rig::new();
    let key = PgpKey::good(now() - DAY);
    rig.list_pgp(&key.public());
    let both = SourceSettings { allowed_signers: Some(rig.file()), ..rig.pgp_settings() };
    let read = async |settings: &SourceSettings| fetch(settings.clone()).await.expect("it can be read");
    assert_held(&read(&rig.pgp_settings()).await, &["not signed; sign it with a key of", "keys.gpg`"]);
    assert_held(&read(&both).await, &["not signed", "allowed_signers` or `", "keys.gpg`"]);

    key.sign_head(&rig.repo);
    for settings in [&rig.pgp_settings(), &both] {
        let snapshot = read(settings).await;
        assert!(snapshot.distrust.is_none() && snapshot.files.is_some(), "{:?}", snapshot.distrust);
    }
    assert_held(&rig.fetch().await, &["an OpenPGP signature, and only those by SSH keys", "`--allowed-pgp-keys`"]);
    rig.list_pgp(&PgpKey::good(now() - DAY).public());
    assert_held(&read(&both).await, &[&key.fingerprint(), "(OpenPGP), which is not in `", "keys.gpg`"]);

    rig.key.commit(&rig.repo, "signed by ssh");
    assert_eq!(read(&both).await.distrust, None);
    let ssh = ["an SSH signature, and only those by OpenPGP keys are checked", "gpg.format openpgp"];
    assert_held(&read(&rig.pgp_settings()).await, &ssh);
    rig.replace(with_signature(&rig.raw(), "-----BEGIN SIGNED MESSAGE-----\n\nAAAA\n-----END SIGNED MESSAGE-----\n"));
    assert_held(&read(&both).await, &["damaged"]);
    rig.repo.commit("not signed");
    rig.replace(with_signature(&rig.raw(), "-----BEGIN SIGNED MESSAGE-----\n\nAAAA\n-----END SIGNED MESSAGE-----\n"));
    assert_held(&read(&both).await, &["an X.509 signature, and only those by SSH and OpenPGP keys are checked"]);
    assert_held(&read(&rig.pgp_settings()).await, &["an X.509 signature, and only those by OpenPGP keys"]);
}

#[tokio::test]
async fn a_file_of_openpgp_keys_that_cannot_be_read_trusts_nobody() {
    let rig = Rig::new();
    let key = PgpKey::good(now() - DAY);
    rig.list_pgp(&key.public());
    key.sign_head(&rig.repo);
    let mut source = Source::open(rig.pgp_settings()).expect("it opens");
    rig.list_pgp(b"nobody");
    let (error, text) = failure(source.fetch(None).await);
    assert!(matches!(error, SourceError::PgpKeys { .. }), "{error:?}");
    assert!(text.contains("`--allowed-pgp-keys`") && text.contains("keys.gpg: there is no key"), "{text}");
    assert!(matches!(Source::open(rig.pgp_settings()), Err(SourceError::PgpKeys { .. })));
    std::fs::remove_file(rig.repo.beside("keys.gpg")).expect("it is there");
    let (_, text) = failure(source.fetch(None).await);
    assert!(text.contains("cannot read the allowed OpenPGP keys"), "{text}");
    rig.list_pgp(&key.public());
    assert_eq!(source.fetch(None).await.expect("it can be read").distrust, None);
    let directory = settings(Location::Directory(rig.repo.path()), "cache".into());
    let directory = Source::open(SourceSettings { allowed_pgp_keys: Some("keys.gpg".into()), ..directory });
    assert!(matches!(directory, Err(SourceError::Unsignable { flag: "--allowed-pgp-keys", .. })), "{directory:?}");
}
