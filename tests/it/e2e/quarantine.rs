//! One that is at fault holds nobody else back: a service in a revision, a route at an edge.

use bascule::core::status::{EdgeState, StatusDto};

use super::client::ask;
use super::world::{PATIENCE, World, backend};
use crate::support::http::HttpBackend;
use crate::support::recording_proxy;
use crate::support::wait::wait_for;

const SERVICES: u8 = 100;
/// The one that is at fault.
const BAD: u8 = 42;

/// Asks the edge for a host: the status, and who answered.
async fn answer(world: &World, host: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let url = format!("http://127.0.0.1:{}/", world.edge_port());
    match ask(&client, &url, host).await {
        Ok(answer) => (200, answer.body),
        Err(error) => {
            let status = error.strip_prefix("answered ").and_then(|rest| rest.get(..3)?.parse().ok());
            (status.unwrap_or(0), error)
        }
    }
}

/// Declares a service at a version, with one backend.
fn declare(world: &World, service: &str, (version, fault): (u8, &str), backend: &HttpBackend) {
    let domains = format!("[{service}.example.org, v{version}.{service}.example.org]");
    let health = "health: { path: /health, interval: 2s }";
    let text = format!("name: {service}\ndomains: {domains}\n{health}\n{fault}");
    world.write(&format!("services/{service}.yaml"), &text);
    world.write_backend_at(service, &format!("{service}-1"), backend.address());
}

fn words(status: &StatusDto) -> Vec<String> {
    status.quarantine.iter().map(bascule::core::status::QuarantinedDto::words).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_services_ninety_nine_move_on() {
    let mut world = World::new().await;
    let mut backends = Vec::new();
    for number in 0..SERVICES {
        backends.push(backend(&format!("s{number}"), 1, number + 1).await);
    }
    let name = |number: u8| format!("s{number}");
    for (number, backend) in (0..).zip(&backends) {
        declare(&world, &name(number), (1, ""), backend);
    }
    let first = world.commit_and_push("A hundred services");
    world.start();
    world.wait_for_revision(&first).await;

    for (number, backend) in (0..).zip(&backends).filter(|(number, _)| *number != BAD) {
        declare(&world, &name(number), (2, ""), backend);
    }
    // Its backend moves to where nobody is, and there is a slip in its own file.
    let gone = backend("gone", 1, 250).await;
    declare(&world, "s42", (2, "helth: {}\n"), &gone);
    drop(gone);
    let bad = world.commit_and_push("All move, and one is misspelled");
    let status = world.wait_for_revision(&bad).await;
    let said = "s42: inventory/services/s42.yaml:4:1: error[unknown-key]: unknown key `helth`";
    assert_eq!(
        (words(&status), status.edges[0].state, status.services.len()),
        (vec![said.to_owned()], EdgeState::InSync, 100)
    );
    assert_eq!(status.quarantine[0].kept.as_deref(), Some(&*first));
    assert_eq!(status.quarantine[0].revision, bad);

    let is_as_it_was = async |world: &World| {
        for number in 0..SERVICES {
            let (old, new) = (format!("s{number}.example.org"), format!("v2.s{number}.example.org"));
            assert_eq!(answer(world, &old).await, (200, name(number)));
            let expected = if number == BAD { 503 } else { 200 };
            assert_eq!(answer(world, &new).await.0, expected, "{new}");
        }
        assert_eq!(answer(world, "v1.s42.example.org").await, (200, "s42".to_owned()));
    };
    is_as_it_was(&world).await;
    let (succeeded, text) = world.status_text();
    assert!(succeeded && text.contains("service s42: in quarantine since revision"), "{text}");
    assert!(text.contains("\nservice s42  full  in quarantine  s42.example.org"), "{text}");
    assert_eq!(world.api("/readyz").await, Some(200));
    let waited = world.run(&["reconcile", "--wait"]);
    assert_eq!(waited.code, Some(1), "{}", waited.stdout);
    assert!(
        waited.stderr.contains("is served by ovh, without s42: inventory/services/s42.yaml:4:1"),
        "{}",
        waited.stderr
    );
    let history = world.run(&["history"]).succeeded();
    assert!(
        history.lines().next().is_some_and(|line| line.contains("without s42: inventory/services/s42.yaml:4:1")),
        "{history}"
    );
    let shown = world.run(&["history", "show", &bad[..12]]).succeeded();
    let line = format!("\nfaults\n  {}", said.trim_start_matches("s42: "));
    assert!(shown.contains(&line), "{shown}");
    assert!(shown.contains(&format!("; service s42 stayed as of revision {}\n", &first[..12])), "{shown}");

    world.kill();
    world.start();
    let status = world.wait_for_revision(&bad).await;
    assert_eq!(words(&status), [said]);
    is_as_it_was(&world).await;

    // What strictness means for it is said; it goes on until all is good.
    world.kill();
    let repository = world.path("remote.git").display().to_string();
    world.start_with(&repository, "30s", &["--resync", "1s", "--strict"]);
    let status = world.wait_for_revision(&bad).await;
    assert_eq!(words(&status), [said]);
    let told = &status.faults[0].details;
    assert!(told.iter().any(|line| line.contains("`--strict`: no newer revision is served")), "{told:?}");
    assert!(world.log().contains("service in quarantine since before `--strict`"), "{}", world.log());

    declare(&world, "s42", (2, ""), &backends[usize::from(BAD)]);
    let mended = world.commit_and_push("Mend it");
    let status = world.wait_for_revision(&mended).await;
    assert_eq!((words(&status), status.faults), (Vec::new(), Vec::new()));
    assert_eq!(answer(&world, "v2.s42.example.org").await, (200, "s42".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_an_edge_rejects_stays_as_it_was_and_the_others_move_on() {
    let mut world = World::new().await;
    let front = recording_proxy::before(&world.caddy).await;
    let listen = format!("listen: [\"127.0.0.1:{}\"]\ntls: {{ mode: \"off\" }}\n", world.edge_port());
    world.write("edges/ovh.yaml", &format!("name: ovh\nadmin: {}\n{listen}{}", front.address(), world.relay_line()));
    let (api, www, new) = (backend("api", 1, 1).await, backend("www", 1, 2).await, backend("new", 1, 3).await);
    declare(&world, "api", (1, ""), &api);
    declare(&world, "www", (1, ""), &www);
    let first = world.commit_and_push("Two services");
    world.start();
    world.wait_for_revision(&first).await;

    // What is refused is found one after the other: a service that was there, and a new one.
    front.edge().lack(Some("v2"));
    declare(&world, "api", (2, ""), &api);
    declare(&world, "new", (2, ""), &new);
    declare(&world, "www", (3, ""), &www);
    let second = world.commit_and_push("Two need a module");
    let status = world.wait_for_revision(&second).await;
    let refused = |status: &StatusDto| -> Vec<(String, Option<String>)> {
        status.edges[0].refused.iter().map(|it| (it.service.clone(), it.kept.clone())).collect()
    };
    let expected = [("api".to_owned(), Some(first.clone())), ("new".to_owned(), None)];
    assert_eq!((refused(&status), status.edges[0].state), (expected.to_vec(), EdgeState::InSync));
    assert!(status.edges[0].refused[0].message.contains("unknown module: http.handlers.lacking"), "{status:?}");
    let is_as_it_was = async |world: &World| {
        for (host, expected) in [
            ("api", 200),
            ("v1.api", 200),
            ("v2.api", 503),
            ("new", 503),
            ("v1.www", 503),
            ("v3.www", 200),
            ("www", 200),
        ] {
            assert_eq!(answer(world, &format!("{host}.example.org")).await.0, expected, "{host}");
        }
    };
    is_as_it_was(&world).await;
    let (succeeded, text) = world.status_text();
    assert!(succeeded && text.contains("service api is in quarantine here since revision"), "{text}");
    let waited = world.run(&["reconcile", "--wait"]);
    assert_eq!(waited.code, Some(1), "{}", waited.stdout);
    assert!(waited.stderr.contains("without api at edge ovh: loading new config"), "{}", waited.stderr);

    // Nothing is sent again, at a look at the edge or after a restart.
    let later = |status: &StatusDto, looks: i64| {
        let seen = status.edges[0].applied.as_ref().expect("it was seen").at.unix_millis();
        let is_later = move |status: &StatusDto| {
            status.edges[0].applied.as_ref().is_some_and(|it| it.at.unix_millis() > seen + looks * 1_000)
        };
        (status.edges[0].pushes, is_later)
    };
    let (pushes, is_later) = later(&status, 2);
    let status = world.wait_for("some looks", is_later).await;
    assert_eq!(status.edges[0].pushes, pushes);
    world.kill();
    world.start();
    let status = world.wait_for_revision(&second).await;
    let (_, is_later) = later(&status, 2);
    let status = world.wait_for("some looks", is_later).await;
    assert_eq!((refused(&status), status.edges[0].pushes), (expected.to_vec(), 0));
    is_as_it_was(&world).await;

    // Other revisions go on, and what is mended ends it.
    declare(&world, "www", (4, ""), &www);
    declare(&world, "new", (4, ""), &new);
    let third = world.commit_and_push("One is mended");
    let status = world.wait_for_revision(&third).await;
    assert_eq!(refused(&status), expected[..1]);
    declare(&world, "api", (5, ""), &api);
    let fourth = world.commit_and_push("And the other");
    world.wait_for_revision(&fourth).await;
    let status = world.wait_for("the end of it", |status| status.faults.is_empty()).await;
    assert_eq!(refused(&status), []);
    wait_for("the mended ones", PATIENCE, || async {
        let all = [answer(&world, "v5.api.example.org").await.0, answer(&world, "v4.new.example.org").await.0];
        (all == [200, 200]).then_some(())
    })
    .await;
}
