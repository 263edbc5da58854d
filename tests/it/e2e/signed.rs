//! Only signed revisions are served, where the operator asks for it.

use super::world::{DOMAIN, World, backend};
use crate::support::openpgp::{How, PgpKey, now, with_signature};
use crate::support::signing::SigningKey;

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_push_changes_nothing_and_the_status_says_why() {
    let mut world = World::new().await;
    let key = SigningKey::make(world.path("key"));
    let file = world.path("allowed_signers");
    std::fs::write(&file, key.line("namespaces=\"git\"")).expect("the scratch folder is writable");
    let (dijon, thory) = (backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await);
    world.write_service("api", DOMAIN);
    world.write_backend("api", &dijon);
    let sign = |world: &World| {
        let key = format!("user.signingkey={}", key.path());
        world.git(&["-c", "gpg.format=ssh", "-c", &key, "commit", "--quiet", "--amend", "-S", "--no-edit"]);
        world.push();
        world.git(&["rev-parse", "HEAD"])
    };
    world.commit("Declare a service");
    let good = sign(&world);
    let (repository, file) = (world.path("remote.git").display().to_string(), file.display().to_string());
    world.start_with(&repository, "1s", &["--allowed-signers", &file]);
    world.wait_for_revision(&good).await;

    world.write_backend("api", &thory);
    let unsigned = world.commit_and_push("Add a backend");
    let status = world.wait_for("the hold", |status| !status.faults.is_empty()).await;
    assert_eq!(status.revision.expect("served").id, good);
    let (_, text) = world.status_text();
    let said =
        format!("revision {} is held: its commit is not signed; sign it with a key of `{file}`", &unsigned[..12]);
    assert!(text.contains(&said) && text.contains("`git commit --amend -S`"), "{text}");
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"));
    // The cure is what it says.
    let signed = sign(&world);
    assert_eq!(world.wait_for_revision(&signed).await.faults, []);
    let log = world.log();
    assert_eq!(log.matches("revision held: nobody vouches for it who is trusted").count(), 1, "it is said once: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_listed_openpgp_key_signed_is_served() {
    let mut world = World::new().await;
    let [key, other] = [(); 2].map(|()| PgpKey::good(now() - 86_400));
    let file = world.path("pgp_keys");
    std::fs::write(&file, key.public()).expect("the scratch folder is writable");
    let (dijon, thory) = (backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await);
    world.write_service("api", DOMAIN);
    world.write_backend("api", &dijon);
    world.commit("Declare a service");
    // As a forge does it: the commit is made anew with a signature.
    let sign = |world: &World, key: &PgpKey| {
        let raw = world.git(&["cat-file", "commit", "HEAD"]) + "\n";
        let place = world.path("raw");
        let signed = with_signature(&raw, &key.sign(raw.as_bytes(), &How::at(now())));
        std::fs::write(&place, signed).expect("the scratch folder is writable");
        let place = place.display().to_string();
        let id = world.git(&["hash-object", "-t", "commit", "-w", &place]);
        world.git(&["reset", "--quiet", &id]);
        world.git(&["push", "--quiet", "--force", "origin", "HEAD"]);
        id
    };
    let good = sign(&world, &key);
    let (repository, file) = (world.path("remote.git").display().to_string(), file.display().to_string());
    world.start_with(&repository, "1s", &["--allowed-pgp-keys", &file]);
    world.wait_for_revision(&good).await;

    world.write_backend("api", &thory);
    let unsigned = world.commit_and_push("Add a backend");
    let said = format!("revision {} is held: its commit is not signed", &unsigned[..12]);
    world.wait_for("the hold", |status| status.faults.iter().any(|fault| fault.message.contains(&said))).await;

    world.git(&["reset", "--quiet", "--soft", &good]);
    world.commit("Add a backend");
    let unlisted = sign(&world, &other);
    let said = format!("revision {} is held: its commit is signed by the key {}", &unlisted[..12], other.fingerprint());
    let status = world
        .wait_for("the second hold", |status| status.faults.iter().any(|fault| fault.message.contains(&said)))
        .await;
    assert_eq!(status.revision.expect("served").id, good);
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"));
    // The file is read again: a key that is added to it counts.
    std::fs::write(&file, [key.public(), other.public()].concat()).expect("the scratch folder is writable");
    assert_eq!(world.wait_for_revision(&unlisted).await.faults, []);
}
