//! What happens to a repository that should not, one after the other: last good wins each time, the status says what is wrong,
//! and the next good commit is taken.

use bascule::core::status::StatusDto;

use super::world::{World, backend};
use crate::support::http::HttpBackend;

/// Services beside the one that is looked at: five of the sixteen are 31 %.
const OTHERS: usize = 15;

/// One backend for each service, and the commit that declares them.
async fn sixteen_services() -> (World, Vec<HttpBackend>, String) {
    let world = World::new().await;
    let first = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", super::world::DOMAIN);
    world.write_backend("api", &first);
    let mut backends = vec![first];
    for number in 0..OTHERS {
        let name = format!("other-{number}");
        let other = backend(&format!("{name}-thory-1"), 2, u8::try_from(number + 10).expect("a few services")).await;
        world.write_service(&name, &format!("{name}.acecinema.fr"));
        world.write_backend(&name, &other);
        backends.push(other);
    }
    let id = world.commit("Declare sixteen services");
    (world, backends, id)
}

/// The fault of the source or the inventory that has these words, while `good` is served on.
async fn fault_beside(world: &World, good: &str, words: &str) -> StatusDto {
    let has_it = |status: &StatusDto| {
        status.faults.iter().any(|fault| fault.message.contains(words))
            && status.revision.as_ref().is_some_and(|revision| revision.id == good)
    };
    let status = world.wait_for(&format!("a fault that says `{words}`"), has_it).await;
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"), "{words}");
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_a_repository_the_last_good_revision_is_served() {
    let (mut world, _backends, first) = sixteen_services().await;
    let repository = world.path("remote.git").display().to_string();

    // The repository is empty: nothing was pushed yet.
    world.start_on(&repository, "200ms");
    let status = world.wait_for("an empty repository", |status| !status.faults.is_empty()).await;
    assert!(status.faults[0].message.contains("main"), "{}", status.faults[0].message);
    assert!(status.revision.is_none() && !status.ready);
    world.push();
    world.wait_for_revision(&first).await;
    world.wait_for_answer("api-dijon-1").await;

    // There is only a README.
    world.git(&["rm", "-r", "--quiet", "inventory"]);
    std::fs::write(world.path("work").join("README.md"), "# Nothing here\n").expect("a file");
    world.commit_and_push("Move the inventory elsewhere");
    fault_beside(&world, &first, "inventory").await;

    // A force-push takes that back, and is followed.
    world.git(&["reset", "--quiet", "--hard", &first]);
    let amended = world.commit_and_push("Begin again");
    world.wait_for_revision(&amended).await;

    // The branch is deleted.
    world.git(&["--git-dir", &repository, "update-ref", "-d", "refs/heads/main"]);
    fault_beside(&world, &amended, "main").await;
    world.push();
    world.wait_for("the branch again", |status| status.faults.is_empty()).await;

    // The folder is another one than it should be.
    world.kill();
    world.start_with(&repository, "200ms", &["--path", "inventroy"]);
    fault_beside(&world, &amended, "inventroy").await;
    world.kill();
    world.start_on(&repository, "200ms");
    world.wait_for("the right folder", |status| status.faults.is_empty()).await;

    // 31 % of it is removed, then all backends.
    for number in 0..5 {
        world.remove(&format!("services/other-{number}.yaml"));
        world.remove(&format!("backends/other-{number}-thory-1.yaml"));
    }
    world.commit_and_push("Remove a third");
    fault_beside(&world, &amended, "held").await;
    world.git(&["reset", "--quiet", "--hard", &amended]);
    world.git(&["rm", "-r", "--quiet", "inventory/backends"]);
    let emptied = world.commit_and_push("Remove all backends");
    // Each service has a fault, and is served as before.
    let all = |status: &StatusDto| status.quarantine.len() == 1 + OTHERS;
    let status = world.wait_for("all services in quarantine", all).await;
    assert_eq!(status.revision.map(|revision| revision.id), Some(emptied));
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"));

    // The next good commit is taken.
    world.git(&["reset", "--quiet", "--hard", &amended]);
    world.write("services/api.yaml", "name: api\ndomains: [api.acecinema.fr]\nhealth: { type: tcp }\n");
    let good = world.commit_and_push("Probe by TCP");
    world.wait_for_revision(&good).await;
    world.wait_for("no fault", |status| status.faults.is_empty()).await;
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"));
}
