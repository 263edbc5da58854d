//! A plan beside a running controller: by what it knows, before it is committed.

use bascule::core::status::StatusDto;
use serde_json::{Value, json};

use super::commands::started;
use super::program::{Ran, bascule, program};
use super::world::{DOMAIN, World, backend};
use crate::support::port::ReservedPort;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_beside_a_controller_tells_what_traffic_then_does() {
    let mut world = World::new().await;
    let mut backends = Vec::new();
    for (name, site, number) in [("api-dijon-1", 1, 1), ("api-dijon-2", 1, 2), ("api-thory-1", 2, 1)] {
        let backend = backend(name, site, number).await;
        world.write_backend("api", &backend);
        backends.push(backend);
    }
    world.write_service("api", DOMAIN);
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    backends[1].stop().await;
    world.run(&["override", "drain", "api-thory-1", "--for", "10m", "--reason", "disk swap"]).succeeded();
    let is_alone = |name: &str, status: &StatusDto| {
        let backends = status.services.iter().flat_map(|service| &service.backends);
        backends.filter(|backend| backend.in_rotation).map(|it| it.name.as_str()).eq([name])
    };
    world
        .wait_for("dijon-1 alone", |status| {
            let backends: Vec<_> = status.services.iter().flat_map(|service| &service.backends).collect();
            is_alone("api-dijon-1", status) && backends.iter().all(|it| it.verdict != "unknown")
        })
        .await;
    let nothing = world.run(&["plan", "work"]).stdout;
    let head = format!("Live at revision {}; out or down: ", &id[..12]);
    let standing = format!("{head}api-dijon-2 (down), api-thory-1 (override: drain)\n");
    assert!(nothing.starts_with(&format!("{standing}Plan: no changes\nChecksum: ")), "{nothing}");

    // The only one that is left goes, and another one comes.
    let added = backend("api-thory-2", 2, 2).await;
    world.write_backend("api", &added);
    let path = "backends/api-dijon-1.yaml";
    let text = std::fs::read_to_string(world.path("work/inventory").join(path)).expect("a backend");
    world.write(path, &format!("{text}state: drain\n"));
    let plan = world.run(&["plan", "work", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{plan:?}");
    let expected =
        "~ service api  dijon 100 % -> thory 100 %\n    api-dijon-1: 100 % -> 0 %\n    api-thory-2: 0 % -> 100 %\n";
    assert!(plan.stdout.starts_with(&format!("{standing}{expected}")), "{}", plan.stdout);
    let told: Value = serde_json::from_str(&world.run(&["plan", "work", "--format", "json"]).stdout).expect("JSON");
    let service = &told["services"][0];
    assert_eq!((&service["before"], &service["after"]), (&json!({"api-dijon-1": 1.0}), &json!({"api-thory-2": 1.0})));
    assert_eq!(told["live"]["out"], json!({"api-dijon-2": "down", "api-thory-1": "override: drain"}));
    let checksum = told["checksum"].as_str().expect("a checksum");
    assert_eq!(world.run(&["plan", "work", "--checksum", checksum]).code, Some(0));
    let ran = world.run(&["plan", "work", "--edge", "ovh"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("with `--server` the controller is"), "{ran:?}");

    // What was reviewed is not what would happen once the other one is back.
    world.run(&["override", "clear", "api-thory-1"]).succeeded();
    world
        .wait_for("thory back", |status| {
            status
                .services
                .iter()
                .flat_map(|service| &service.backends)
                .any(|it| it.name == "api-thory-1" && it.in_rotation)
        })
        .await;
    let ran = world.run(&["plan", "work", "--checksum", checksum]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("error: this is not the plan that was reviewed: its checksum is "), "{}", ran.stderr);
    let shares = "~ service api  dijon 50 %, thory 50 % -> thory 100 %\n";
    assert!(ran.stdout.contains(shares), "{}", ran.stdout);

    let id = world.commit_and_push("Move it to thory");
    let status = world.wait_for_revision(&id).await;
    let in_rotation = status.services[0].backends.iter().filter(|it| it.in_rotation).map(|it| it.name.as_str());
    assert!(in_rotation.eq(["api-thory-1", "api-thory-2"]), "{status:?}");
}

#[test]
fn a_controller_that_is_not_there_is_said_and_no_edge_is_asked() {
    let (folder, port) = (started(), ReservedPort::take());
    let server = format!("http://127.0.0.1:{}", port.get());
    let ran = bascule(folder.path(), &["plan", "--server", &server]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains(&format!("no controller answers at {server}")), "{}", ran.stderr);
}

#[test]
fn a_revision_and_a_controller_are_not_both_compared_with() {
    let (folder, port) = (started(), ReservedPort::take());
    let server = format!("http://127.0.0.1:{}", port.get());
    let (revision, asked) = (["--against", "."], ["--server", &server]);
    let both = bascule(folder.path(), &[&["plan"], &revision[..], &asked[..]].concat());
    assert_eq!((both.code, both.stdout.as_str()), (Some(1), ""));
    let told =
        both.stderr.contains("`--against .` and `--server` name two things") && both.stderr.contains("leave one");
    assert!(told, "{}", both.stderr);
    // A variable is for many commands, and stands back.
    let run = |args: &[&str], variables: &[(&str, &str)]| -> Ran {
        let mut command = program(folder.path());
        command.arg("plan").args(args).envs(variables.iter().copied()).output().expect("bascule runs").into()
    };
    let (server_set, against_set) = (("BASCULE_SERVER", server.as_str()), ("BASCULE_AGAINST", "."));
    for (args, variables) in [(&revision[..], &[server_set][..]), (&[], &[server_set, against_set])] {
        let ran = run(args, variables);
        assert!(ran.code == Some(0) && ran.stdout.starts_with("Plan: no changes\n"), "{ran:?}");
    }
    for (args, variables) in
        [(&asked[..], &[against_set][..]), (&["--against", "live"], &[server_set]), (&[], &[server_set])]
    {
        let ran = run(args, variables);
        assert!(ran.code == Some(1) && ran.stderr.contains("no controller answers"), "{ran:?}");
    }
}
