//! Operators steer by hand: what is committed is not followed, an older revision comes back, a held one passes.

use reqwest::Client;
use serde_json::json;

use super::world::{DOMAIN, World, backend};
use crate::support::http::HttpBackend;

/// A controller with one backend, and the revision that declares it.
async fn start() -> (World, HttpBackend, String) {
    let mut world = World::new().await;
    let first = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &first);
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-dijon-1").await;
    (world, first, id)
}

/// Replaces the backend by another one.
async fn replace(world: &World) -> (HttpBackend, String) {
    let second = backend("api-thory-1", 2, 1).await;
    world.remove("backends/api-dijon-1.yaml");
    world.write_backend("api", &second);
    (second, world.commit_and_push("Move to thory"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_stays_over_commits_and_a_crash_until_it_is_resumed() {
    let (mut world, _first, old) = start().await;
    let said = world.run(&["suspend", "--reason", "moving racks", "--by", "anna"]).succeeded();
    let short = &old[..12];
    assert!(
        said.starts_with(&format!("suspended at {short} by anna: \"moving racks\"; nothing newer is served")),
        "{said}"
    );
    let status = world.wait_for("the pin", |status| status.pin.is_some()).await;
    assert!(status.faults.is_empty(), "{:?}", status.faults);
    assert!(world.status_text().1.contains("by hand for "), "{}", world.status_text().1);

    let (_second, new) = replace(&world).await;
    let status = world.wait_for("what is not served", |status| !status.faults.is_empty()).await;
    let words = format!("the source has {} \"Move to thory\", which is not served; `bascule resume`", &new[..12]);
    assert!(status.faults[0].message.contains(&words), "{}", status.faults[0].message);
    assert_eq!(status.revision.map(|it| it.id), Some(old.clone()));
    let again = world.run(&["suspend", "--reason", "again"]);
    assert!(again.stderr.contains("not followed already: suspended at"), "{}", again.stderr);
    // Waiting for what cannot come is said at once.
    let waited = world.run(&["reconcile", "--wait"]);
    assert_eq!(waited.code, Some(1), "{}", waited.stdout);
    assert!(waited.stderr.contains("which is not served"), "{}", waited.stderr);

    world.kill();
    world.start();
    let status = world.wait_for("the pin after a crash", |status| status.faults.len() == 1).await;
    assert_eq!(status.revision.map(|it| it.id), Some(old));
    assert_eq!(world.ask().await, Ok("api-dijon-1".to_owned()));

    let said = world.run(&["resume", "--by", "anna"]).succeeded();
    assert!(said.contains(&format!("{} \"Move to thory\" is read now", &new[..12])), "{said}");
    let said = world.run(&["reconcile", "--wait"]).succeeded();
    assert!(said.contains(&format!("revision {} \"Move to thory\" is served by ", &new[..12])), "{said}");
    assert_eq!(world.ask().await, Ok("api-thory-1".to_owned()));
    let again = world.run(&["resume"]);
    assert!(again.stderr.contains("the source is followed already"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_back_what_was_served_and_history_tells_it() {
    let (mut world, _first, old) = start().await;
    let (_second, new) = replace(&world).await;
    world.wait_for_revision(&new).await;
    world.wait_for_answer("api-thory-1").await;
    for (to, words) in [("abc", "at least 4 characters"), ("ffffffff", "no revision `ffffffff` is kept")] {
        let refused = world.run(&["rollback", "--to", to, "--reason", "it fails"]);
        assert_eq!(refused.code, Some(1), "{to}");
        assert!(refused.stderr.contains(words), "{to}: {}", refused.stderr);
    }
    let diff = world.run(&["diff", &new[..8], &old[..8]]).succeeded();
    assert!(diff.contains("~ service api") && diff.contains("Plan: 0 to add, 1 to change"), "{diff}");

    let said = world.run(&["rollback", "--to", &old[..8], "--reason", "it fails", "--by", "anna"]).succeeded();
    let words = format!("the source has {} \"Move to thory\", which is not served", &new[..12]);
    assert!(said.contains(&format!("rolled back to {} by anna: \"it fails\"; {words}", &old[..12])), "{said}");
    world.wait_for_answer("api-dijon-1").await;
    let status = world.wait_for("the difference", |status| !status.faults.is_empty()).await;
    assert!(status.faults[0].message.contains(&words), "{}", status.faults[0].message);

    world.kill();
    world.start();
    let status = world.wait_for("the rollback after a crash", |status| status.pin.is_some()).await;
    assert_eq!(status.revision.map(|it| it.id), Some(old.clone()));
    let history = world.run(&["history"]).succeeded();
    let lines: Vec<_> = history.lines().collect();
    assert_eq!(lines.len(), 4, "{history}");
    assert!(lines[0].contains("by hand") && lines[0].contains("by anna: \"it fails\""), "{history}");
    for (line, subject) in lines[1..].iter().zip(["Declare a service", "Move to thory", "Declare a service"]) {
        assert!(line.contains("served ") && line.contains(subject), "{history}");
    }

    let shown = world.run(&["history", "show", &new[..8]]).succeeded();
    for part in [&format!("revision {new}"), "Move to thory, by", "beside", &old[..12], "~ service api", "ovh: applied"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let unknown = world.run(&["history", "show", "ffffffff"]);
    assert!(unknown.stderr.contains("no revision `ffffffff` is kept"), "{}", unknown.stderr);

    world.run(&["resume"]).succeeded();
    world.wait_for_revision(&new).await;
    world.wait_for_answer("api-thory-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lets_a_held_revision_pass() {
    let (world, _first, old) = start().await;
    let refused = world.run(&["allow", &old, "--reason", "why not"]);
    assert!(refused.stderr.contains("no revision is held"), "{}", refused.stderr);
    world.remove("services/api.yaml");
    world.remove("backends/api-dijon-1.yaml");
    let emptied = world.commit_and_push("Give up");
    let status = world.wait_for("a hold", |status| !status.faults.is_empty()).await;
    let cure = format!("bascule allow {} --reason", &emptied[..12]);
    assert!(status.faults[0].message.contains(&cure), "{}", status.faults[0].message);
    for command in [&["history"][..], &["history", "show", &emptied[..12]]] {
        let history = world.run(command).succeeded();
        let line = history.lines().find(|line| line.contains("Give up") && line.contains("ago  ")).unwrap_or_default();
        assert!(line.contains("ago  held     ") && line.contains(": it takes out "), "{history}");
    }
    let wrong = world.run(&["allow", &old, "--reason", "why not"]);
    assert!(wrong.stderr.contains(&format!("that is {}", &emptied[..12])), "{}", wrong.stderr);
    world.run(&["allow", &emptied[..12], "--reason", "it is over"]).succeeded();
    let status = world.wait_for_revision(&emptied).await;
    assert_eq!(status.services.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_about_the_source_are_read_strictly() {
    let (world, _first, _old) = start().await;
    let client = Client::builder().no_proxy().build().expect("a client");
    for (order, status, words) in [
        (json!({ "order": "suspend", "reason": " " }), 422, "it is empty"),
        (json!({ "order": "suspend", "reason": "two\nlines" }), 422, "one line"),
        (json!({ "order": "suspend" }), 400, "missing field `reason`"),
        (json!({ "order": "suspend", "reason": "so", "fro": "2h" }), 400, "unknown field `fro`"),
        (json!({ "order": "stop" }), 400, "unknown variant `stop`"),
        (json!({ "order": "rollback", "to": "ffffffff", "reason": "so" }), 404, "no revision"),
        (json!({ "order": "resume" }), 409, "followed already"),
    ] {
        let request = client.post(world.api_url("/v1/steering")).header("content-type", "application/json");
        let request = request.body(order.to_string());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{order}");
        let text = answer.text().await.expect("a body");
        assert!(text.contains(words), "{order}: {text}");
    }
}
