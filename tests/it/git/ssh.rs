//! Remotes over ssh, with a real sshd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bascule::git::{Credentials, Location, SourceError, SourceSettings};

use super::ssh_server::{PASSPHRASE, SshServer, keygen, sshd};
use super::{SITE, failure, fetch, paths, settings};
use crate::support::git_repo::GitRepo;

/// A server, and a repository behind it.
struct Stage {
    server: SshServer,
    repo: GitRepo,
    bare: PathBuf,
}

impl Stage {
    async fn start() -> Option<Self> {
        let sshd = sshd()?;
        Some(Self::of(SshServer::start(sshd).await))
    }

    fn of(server: SshServer) -> Self {
        let repo = GitRepo::with(&[SITE]);
        let bare = repo.publish();
        Self { server, repo, bare }
    }

    fn settings(&self, key: &str, known_hosts: PathBuf) -> SourceSettings {
        let mut settings = settings(Location::Remote(self.server.url(&self.bare)), self.repo.beside("cache"));
        settings.credentials = Credentials {
            ssh_key: Some(self.server.file(key)),
            known_hosts: Some(known_hosts),
            ..Credentials::default()
        };
        settings
    }

    fn known(&self) -> PathBuf {
        self.server.known_hosts(&self.server.name(), "host_ed25519")
    }
}

#[tokio::test]
async fn a_key_file_and_a_known_host() {
    let Some(stage) = Stage::start().await else { return };
    let snapshot = fetch(stage.settings("user", stage.known())).await;
    let snapshot = snapshot.unwrap_or_else(|error| panic!("{error:?}\n{}", stage.server.log()));
    assert_eq!(paths(&snapshot), ["sites/dijon.yaml"]);
    let mut settings = stage.settings("locked", stage.known());
    settings.credentials.ssh_passphrase = Some(PASSPHRASE.to_owned());
    fetch(settings.clone()).await.expect("the passphrase is right");
    settings.credentials.ssh_passphrase = Some("not the passphrase".to_owned());
    let (error, text) = failure(fetch(settings).await);
    assert!(matches!(error, SourceError::AuthRefused { .. }), "{error:?}");
    assert!(!text.contains("not the passphrase"), "{text}");
}

#[tokio::test]
async fn a_key_that_is_not_let_in() {
    let Some(stage) = Stage::start().await else { return };
    let (error, text) = failure(fetch(stage.settings("stranger", stage.known())).await);
    assert!(matches!(error, SourceError::AuthRefused { .. }), "{error:?}");
    assert!(text.contains("the ssh key did not open it"), "{text}");
    let (error, text) = failure(fetch(stage.settings("no-such-key", stage.known())).await);
    assert!(matches!(error, SourceError::CredentialFile { .. }) && text.contains("no-such-key"), "{text}");
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_the_line_that_cures_it() {
    let Some(stage) = Stage::start().await else { return };
    let file = stage.server.file("empty");
    fs::write(&file, "").expect("writable");
    let (error, text) = failure(fetch(stage.settings("user", file.clone())).await);
    let SourceError::HostKeyUnknown { key, cure } = error else { panic!("{error:?}") };
    let shown = Command::new("ssh-keygen").args(["-l", "-f"]).arg(stage.server.file("host_ed25519.pub")).output();
    let shown = String::from_utf8(shown.expect("ssh-keygen can be run").stdout).expect("UTF-8");
    assert!(shown.contains(&key.fingerprint) && key.fingerprint.len() > 40, "{} is in {shown}", key.fingerprint);
    assert!(
        text.contains(&key.fingerprint)
            && text.contains(&cure.line)
            && !text.contains("(known of")
            && text.contains("empty"),
        "{text}"
    );
    assert!(!stage.server.log().contains("Accepted"), "nothing was shown to a stranger");
    fs::write(&file, format!("{}\n", cure.line)).expect("writable");
    fetch(stage.settings("user", file)).await.expect("the line cures it");
}

#[tokio::test]
async fn a_changed_key_is_refused() {
    let Some(stage) = Stage::start().await else { return };
    let file = stage.server.known_hosts(&stage.server.name(), "other_host");
    let (error, text) = failure(fetch(stage.settings("user", file)).await);
    let SourceError::HostKeyChanged { key, line, .. } = error else { panic!("{error:?}") };
    assert_eq!((line, &*key.host), (3, &*stage.server.name()));
    assert!(text.contains("known-other_host` line 3"), "{text}");
    assert!(!stage.server.log().contains("Accepted"));
}

#[tokio::test]
async fn a_key_of_another_type_does_not_vouch() {
    let Some(stage) = Stage::start().await else { return };
    let file = stage.server.known_hosts(&stage.server.name(), "host_rsa");
    let (error, text) = failure(fetch(stage.settings("user", file)).await);
    assert!(matches!(error, SourceError::HostKeyUnknown { .. }), "{error:?}");
    assert!(text.contains("known of this host: ssh-rsa"), "{text}");
}

#[tokio::test]
async fn a_host_with_several_keys_is_compared_by_ed25519() {
    let Some(sshd) = sshd() else { return };
    let stage = Stage::of(SshServer::start_with(sshd, &["host_ecdsa", "host_ed25519", "host_rsa"]).await);
    for names in [stage.server.name(), "[127.0.0.?]:*".to_owned()] {
        let file = stage.server.known_hosts(&names, "host_ed25519");
        let result = fetch(stage.settings("user", file)).await;
        assert!(result.is_ok(), "{names}: {result:?}");
    }
    for (known, name) in [("host_rsa", "ssh-rsa"), ("host_ecdsa", "ecdsa-sha2-nistp256")] {
        let file = stage.server.known_hosts(&stage.server.name(), known);
        let (error, text) = failure(fetch(stage.settings("user", file.clone())).await);
        let SourceError::HostKeyUnknown { cure, .. } = error else { panic!("{error:?}") };
        assert_eq!(cure.others, [name]);
        let scan = format!("ssh-keyscan -p {} 127.0.0.1 >> {}", stage.server.port(), file.display());
        assert!(text.contains(&scan), "{scan:?} is not in {text}");
        // Run as it is told, and beside the server, which is on this thread.
        let scanned = tokio::process::Command::new("sh").args(["-c", &scan]).output().await.expect("it can be run");
        assert!(scanned.status.success(), "{scanned:?}");
        fetch(stage.settings("user", file)).await.expect("all its keys are known");
    }
}

#[tokio::test]
async fn an_authority_for_the_host_is_said_to_be_of_no_use() {
    let Some(stage) = Stage::start().await else { return };
    let names = format!("@cert-authority {}", stage.server.name());
    let (error, text) = failure(fetch(stage.settings("user", stage.server.known_hosts(&names, "host_ed25519"))).await);
    let SourceError::HostKeyUnknown { cure, .. } = error else { panic!("{error:?}") };
    assert_eq!((cure.authority.map(|(_, line)| line), cure.others), (Some(3), Vec::new()));
    assert!(text.contains("line 3 has a @cert-authority for this host") && text.contains("not supported"), "{text}");
}

#[tokio::test]
async fn names_are_hashed_or_patterns_or_revoked() {
    let Some(stage) = Stage::start().await else { return };
    let name = stage.server.name();
    let file = stage.known();
    keygen(&["-q", "-H", "-f", text(&file)]);
    assert!(fs::read_to_string(&file).expect("readable").contains("|1|"), "ssh-keygen hashed it");
    fetch(stage.settings("user", file)).await.expect("a hashed name");
    for (names, is_known) in [
        (format!("example.org,{name}"), true),
        ("[127.0.0.?]:*".to_owned(), true),
        (format!("!{name},*"), false),
        ("127.0.0.1".to_owned(), false),
        (format!("@cert-authority {name}"), false),
    ] {
        let result = fetch(stage.settings("user", stage.server.known_hosts(&names, "host_ed25519"))).await;
        match result {
            Ok(_) => assert!(is_known, "{names}"),
            Err(SourceError::HostKeyUnknown { .. }) => assert!(!is_known, "{names}"),
            Err(error) => panic!("{names}: {error:?}"),
        }
    }
    let known = fs::read_to_string(stage.known()).expect("readable");
    let revoked = stage.server.known_hosts(&format!("@revoked {name}"), "host_ed25519");
    let both = known + &fs::read_to_string(&revoked).expect("readable");
    fs::write(&revoked, both).expect("writable");
    let (error, _) = failure(fetch(stage.settings("user", revoked)).await);
    assert!(matches!(error, SourceError::HostKeyChanged { .. }), "{error:?}");
}

#[tokio::test]
async fn no_repository_at_the_path() {
    let Some(stage) = Stage::start().await else { return };
    let mut settings = stage.settings("user", stage.known());
    settings.location = Location::Remote(stage.server.url(&stage.repo.beside("no.git")));
    let (_, text) = failure(fetch(settings).await);
    assert!(text.contains("no.git"), "{text}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
