//! Commits that must be signed: made with the real git and ssh-keygen, and held against a file of keys.

mod openpgp;
mod security_key;

use std::path::PathBuf;

use bascule::core::model::Revision;
use bascule::git::{Location, Moved, Snapshot, Source, SourceError, SourceSettings};

use super::{SITE, failure, fetch, local, paths, settings};
use crate::support::git_repo::GitRepo;
use crate::support::openpgp::with_signature;
use crate::support::signing::{SigningKey, is_good_to_git};

/// A repository, a key, and the file that lists it.
struct Rig {
    repo: GitRepo,
    key: SigningKey,
}

impl Rig {
    /// With one unsigned commit.
    fn new() -> Self {
        let repo = GitRepo::with(&[SITE]);
        let key = SigningKey::make(repo.beside("key"));
        let rig = Self { repo, key };
        rig.list(&rig.key.line(""));
        rig
    }

    fn file(&self) -> PathBuf {
        self.repo.beside("allowed_signers")
    }

    /// Writes the file of allowed signers.
    fn list(&self, text: &str) {
        std::fs::write(self.file(), text).expect("the temp dir is writable");
    }

    fn settings(&self) -> SourceSettings {
        SourceSettings { allowed_signers: Some(self.file()), ..local(&self.repo.path()) }
    }

    async fn fetch(&self) -> Snapshot {
        fetch(self.settings()).await.expect("the repository can be read")
    }

    /// The newest commit is trusted, and git itself trusts it too.
    #[track_caller]
    fn assert_trusted(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.distrust, None);
        assert_eq!(snapshot.info.id.as_str(), self.repo.head());
        assert!(snapshot.files.is_some());
        assert!(is_good_to_git(&self.repo, &self.file()), "git holds it for badly signed");
    }

    /// Makes what is written the newest commit, as it is.
    fn replace(&self, raw: impl AsRef<[u8]>) {
        let place = self.repo.beside("raw");
        std::fs::write(&place, raw).expect("the temp dir is writable");
        let place = place.to_str().expect("temp dirs are UTF-8");
        let id = self.repo.git(&["hash-object", "-t", "commit", "-w", "--literally", place]);
        self.repo.git(&["update-ref", "refs/heads/main", &id]);
    }

    /// The newest commit as it is written.
    fn raw(&self) -> String {
        self.repo.git(&["cat-file", "commit", "HEAD"]) + "\n"
    }
}

/// The snapshot is held for a reason with all these parts, and none of its files came.
#[track_caller]
fn assert_held(snapshot: &Snapshot, parts: &[&str]) {
    let text = snapshot.distrust.as_ref().expect("it is held").to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert_eq!(snapshot.files, None);
}

#[tokio::test]
async fn a_commit_signed_by_a_listed_key_is_trusted_whatever_its_type() {
    let rig = Rig::new();
    let kinds: [&[&str]; 6] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "3072"],
    ];
    let mut lines = rig.key.line("");
    for (number, kind) in kinds.iter().enumerate() {
        let key = SigningKey::make_as(rig.repo.beside(&format!("key-{number}")), kind);
        key.commit(&rig.repo, &format!("{kind:?}"));
        assert_held(&rig.fetch().await, &[&key.fingerprint(), "not in", "allowed_signers"]);
        lines.push_str(&key.line(""));
        rig.list(&lines);
        let snapshot = rig.fetch().await;
        rig.assert_trusted(&snapshot);
        assert_eq!(paths(&snapshot), ["sites/dijon.yaml"], "{kind:?}");
    }
}

#[tokio::test]
async fn only_the_newest_commit_counts() {
    let rig = Rig::new();
    assert_held(&rig.fetch().await, &["not signed", "git commit --amend -S", "allowed_signers`"]);
    rig.key.commit(&rig.repo, "signed");
    rig.assert_trusted(&rig.fetch().await);
    rig.repo.git(&["checkout", "--quiet", "-b", "other"]);
    rig.repo.commit_files(&[("inventory/sites/thory.yaml", "name: thory\n")], "not signed");
    rig.repo.git(&["checkout", "--quiet", "main"]);
    rig.key.git(&rig.repo.path(), &["merge", "--quiet", "--no-ff", "-S", "-m", "merge", "other"]);
    let snapshot = rig.fetch().await;
    rig.assert_trusted(&snapshot);
    assert_eq!(paths(&snapshot), ["sites/dijon.yaml", "sites/thory.yaml"]);
    rig.repo.commit("not signed");
    assert_held(&rig.fetch().await, &["not signed"]);
}

#[tokio::test]
async fn a_remote_is_held_to_it_too() {
    let rig = Rig::new();
    let url = format!("file://{}", rig.repo.publish().display());
    let remote = settings(Location::Remote(url), rig.repo.beside("cache"));
    let remote = SourceSettings { allowed_signers: Some(rig.file()), ..remote };
    assert_held(&fetch(remote.clone()).await.expect("it can be read"), &["not signed"]);
    rig.key.commit(&rig.repo, "signed");
    rig.repo.push();
    assert_eq!(fetch(remote).await.expect("it can be read").distrust, None);
}

#[tokio::test]
async fn the_signature_of_another_commit_is_none() {
    let rig = Rig::new();
    rig.repo.write("inventory/sites/thory.yaml", "name: thory\n");
    rig.key.commit(&rig.repo, "signed");
    let raw = rig.raw();
    rig.replace(&raw);
    rig.assert_trusted(&rig.fetch().await);
    let trees = ["HEAD^{tree}", "HEAD~1^{tree}"].map(|tree| rig.repo.git(&["rev-parse", tree]));
    let (header, message) = raw.split_once("\n\n").expect("a commit");
    let (above, signature) = header.split_once("gpgsig ").expect("it is signed");
    let bad = [&rig.key.fingerprint(), "bad signature"];
    for tampered in [
        raw.replace("\n\nsigned\n", "\n\nsigned?\n"),
        raw.replace(&trees[0], &trees[1]),
        raw.replace("author Camille", "author Someone"),
        format!("{raw}\0\nmore\n"),
        raw.replacen("\ngpgsig", "\nx-extra yes\ngpgsig", 1),
    ] {
        rig.replace(tampered);
        assert_held(&rig.fetch().await, &bad);
    }
    // A signature in the message is text.
    rig.replace(format!("{above}\ngpgsig {signature}\n{message}"));
    assert_held(&rig.fetch().await, &["not signed"]);
    // Of two, nobody can tell which one counts.
    rig.replace(format!("{header}\ngpgsig {signature}\n\n{message}"));
    assert_held(&rig.fetch().await, &["damaged"]);
}

#[tokio::test]
async fn no_altered_signature_holds() {
    let rig = Rig::new();
    rig.key.commit(&rig.repo, "signed");
    let raw = rig.raw();
    let lines: Vec<_> = raw.match_indices("\n ").map(|(at, _)| at + 2).collect();
    // The last is the end of the armor.
    let [first, .., last] = lines[..] else { panic!("a signature has lines: {raw}") };
    let mut count = 0;
    for at in (first..last).step_by(5).filter(|at| raw.as_bytes()[*at].is_ascii_alphanumeric()) {
        let mut altered = raw.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        rig.replace(altered);
        let snapshot = rig.fetch().await;
        assert!(snapshot.distrust.is_some() && snapshot.files.is_none(), "byte {at}");
        count += 1;
    }
    assert!(count > 30, "{count} bytes were altered");
}

#[tokio::test]
async fn a_key_counts_in_its_time_and_for_its_namespaces() {
    let rig = Rig::new();
    rig.key.commit(&rig.repo, "signed");
    for options in [
        r#"namespaces="git""#,
        r#"namespaces="file,git""#,
        r#"namespaces="g*""#,
        r#"valid-after="20200101",valid-before="20900101Z""#,
        r#"Namespaces="git",valid-after="202001010000""#,
    ] {
        rig.list(&format!("# keys\n\n{}", rig.key.line(options)));
        rig.assert_trusted(&rig.fetch().await);
    }
    let fingerprint = rig.key.fingerprint();
    for (options, why) in [
        (r#"valid-before="20200101Z""#, "expired at 2020-01-01T00:00:00Z"),
        (r#"valid-after="20900101000001Z""#, "only from 2090-01-01T00:00:01Z on"),
        (r#"namespaces="file""#, "counts for `file` only, and not for `git`"),
        (r#"namespaces="*,!git""#, "counts for `*,!git` only"),
    ] {
        let line = rig.key.line(options);
        rig.list(&format!("# keys\n{line}"));
        assert!(!is_good_to_git(&rig.repo, &rig.file()), "{options}: git takes it");
        assert_held(&rig.fetch().await, &[&fingerprint, "camille@example.org", why, "allowed_signers` line 2"]);
        // Another line for the same key may let it count.
        rig.list(&format!("{line}{}", rig.key.line("")));
        rig.assert_trusted(&rig.fetch().await);
    }
}

#[tokio::test]
async fn who_has_an_expired_key_cannot_date_a_commit_back() {
    let rig = Rig::new();
    rig.key.commit(&rig.repo, "signed");
    let unsigned = rig.raw();
    let (header, _) = unsigned.split_once("\ngpgsig ").expect("it is signed");
    let (start, _) = header.rsplit_once("> ").expect("a committer");
    let payload = rig.repo.beside("payload");
    let back = format!("{start}> 1577836800 +0000\n\ndated back\n");
    std::fs::write(&payload, &back).expect("the temp dir is writable");
    rig.replace(with_signature(&back, &rig.key.sign("git", &payload)));
    rig.assert_trusted(&rig.fetch().await);
    rig.list(&rig.key.line(r#"valid-before="20210101Z""#));
    assert!(is_good_to_git(&rig.repo, &rig.file()), "the date of the commit is all that git looks at");
    assert_held(&rig.fetch().await, &["expired at 2021-01-01T00:00:00Z"]);
    // What came in time stays good.
    let last = Revision::new(rig.repo.head());
    let snapshot = Source::open(rig.settings()).expect("it opens").fetch(Some(last)).await.expect("it can be read");
    assert_eq!((snapshot.moved, snapshot.distrust), (Moved::Unchanged, None));
    rig.list(&SigningKey::make(rig.repo.beside("other")).line(""));
    let last = Revision::new(rig.repo.head());
    let snapshot = Source::open(rig.settings()).expect("it opens").fetch(Some(last)).await.expect("it can be read");
    assert_held(&snapshot, &["not in"]);
}

#[tokio::test]
async fn other_signatures_are_told_apart() {
    let rig = Rig::new();
    let raw = rig.raw();
    let payload = rig.repo.beside("payload");
    std::fs::write(&payload, &raw).expect("the temp dir is writable");
    rig.replace(with_signature(&raw, &rig.key.sign("file", &payload)));
    assert_held(&rig.fetch().await, &["made for `file` and not for `git`"]);
    let block = |name: &str| format!("-----BEGIN {name}-----\n\nAAAA\n-----END {name}-----\n");
    for (name, part) in [
        ("PGP SIGNATURE", "an OpenPGP signature, and only those by SSH keys are checked"),
        ("SIGNED MESSAGE", "an X.509 signature"),
        ("SSH SIGNATURE", "damaged"),
        ("LETTER", "damaged"),
    ] {
        rig.replace(with_signature(&raw, &block(name)));
        assert_held(&rig.fetch().await, &[part]);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_trusts_nobody() {
    let rig = Rig::new();
    rig.key.commit(&rig.repo, "signed");
    let mut source = Source::open(rig.settings()).expect("it opens");
    rig.list(&format!("{}someone ssh-ed25519 AAAA\n", rig.key.line("")));
    let (error, text) = failure(source.fetch(None).await);
    assert!(matches!(error, SourceError::Signers { .. }), "{error:?}");
    assert!(text.contains("allowed_signers:2: the key is damaged"), "{text}");
    assert!(matches!(Source::open(rig.settings()), Err(SourceError::Signers { .. })));
    std::fs::remove_file(rig.file()).expect("it is there");
    let (_, text) = failure(source.fetch(None).await);
    assert!(text.contains("cannot read the allowed signers") && text.contains("No such file"), "{text}");
    assert!(matches!(Source::open(rig.settings()), Err(SourceError::CredentialFile { .. })));
    rig.list(&rig.key.line(""));
    assert_eq!(source.fetch(None).await.expect("it can be read").distrust, None);

    let directory = settings(Location::Directory(rig.repo.path()), PathBuf::new());
    let directory = Source::open(SourceSettings { allowed_signers: Some(rig.file()), ..directory });
    assert!(matches!(directory, Err(SourceError::Unsignable { .. })), "{directory:?}");
}
