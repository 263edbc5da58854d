//! `bascule simulate` against a real loss, as clients see it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::commands::{started, write};
use super::program::bascule;
use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::git_repo::GitRepo;
use crate::support::http::HttpBackend;
use crate::support::wait::wait_for;

/// Requests that are counted. With 600, a share is within 6 points of what it should be but once in some hundred times, if
/// they were drawn; they are taken in turn, which is closer.
const REQUESTS: u32 = 600;
const TOLERANCE: f64 = 0.06;

/// The shares of backends that a forecast has.
fn foretold(world: &World, lost: &str) -> (String, BTreeMap<String, f64>) {
    let ran = bascule(&world.path("work"), &["simulate", "--down", lost, "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let forecasts: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let service = &forecasts[0]["services"][0];
    let shares = service["backends"].as_object().expect("shares");
    let shares = shares.iter().map(|(name, share)| (name.clone(), share.as_f64().expect("a number"))).collect();
    (service["outcome"].as_str().expect("a word").to_owned(), shares)
}

/// The shares that clients see in so many requests.
async fn seen(world: &World, requests: u32) -> BTreeMap<String, f64> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("http://127.0.0.1:{}/", world.edge_port());
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..requests {
        let answer = client.get(&url).header("Host", DOMAIN).send().await.expect("the edge answers");
        *counts.entry(answer.text().await.expect("a name")).or_default() += 1.0 / f64::from(requests);
    }
    counts
}

fn assert_alike(told: &BTreeMap<String, f64>, seen: &BTreeMap<String, f64>) {
    let names = |shares: &BTreeMap<String, f64>| shares.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(told), names(seen), "{told:?} was told, and {seen:?} seen");
    for (name, share) in told {
        assert!((share - seen[name]).abs() < TOLERANCE, "{told:?} was told, and {seen:?} seen");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foretold_is_what_clients_get() {
    let mut world = World::new().await;
    let health = "health: { path: /health, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }";
    let routing = "routing: { policy: priority, sites: [dijon, thory], min_healthy: 2 }";
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\n{routing}\n"));
    let mut backends: Vec<HttpBackend> = Vec::new();
    for (name, site, number, weight) in
        [("api-dijon-1", 1, 1, 3), ("api-dijon-2", 1, 2, 1), ("api-thory-1", 2, 1, 1), ("api-thory-2", 2, 2, 2)]
    {
        let backend = backend(name, site, number).await;
        let site = if site == 1 { "dijon" } else { "thory" };
        let (addr, port) = (backend.ip(), backend.port());
        let text =
            format!("{{service: api, name: {name}, site: {site}, addr: {addr}, port: {port}, weight: {weight}}}\n");
        world.write(&format!("backends/{name}.yaml"), &text);
        backends.push(backend);
    }
    let id = world.commit_and_push("Declare a service");
    let whole = foretold(&world, "site:thory").1;
    let (outcome, told) = foretold(&world, "backend:api-dijon-2");
    assert_eq!(outcome, "degraded");
    world.start();
    world.wait_for_revision(&id).await;
    world
        .wait_for("all to be up", |status| {
            status.services.iter().flat_map(|service| &service.backends).all(|backend| backend.verdict == "up")
        })
        .await;
    // The standby site takes no part, so its loss changes no share.
    assert_alike(&whole, &seen(&world, REQUESTS).await);

    // With one of two left, the preferred tier has too few.
    backends[1].stop().await;
    world
        .wait_for("traffic to move", |status| {
            let backends: Vec<_> = status.services.iter().flat_map(|service| &service.backends).collect();
            backends.iter().all(|backend| backend.in_rotation == (backend.site == "thory"))
        })
        .await;
    // The edge hears of it by its next two checks.
    wait_for("dijon to be left alone", PATIENCE, || async {
        (!seen(&world, 20).await.contains_key("api-dijon-1")).then_some(())
    })
    .await;
    assert_alike(&told, &seen(&world, REQUESTS).await);
}

/// Puts the starter inventory into a work tree.
fn copy_inventory(from: &TempDir, to: &GitRepo) {
    let copied = Command::new("cp").arg("-r").arg(from.path().join("inventory")).arg(to.path()).status();
    assert!(copied.expect("cp runs").success());
}

#[test]
fn a_plan_against_a_revision_or_a_folder_asks_no_edge() {
    let folder = started();
    let repo = GitRepo::empty();
    copy_inventory(&folder, &repo);
    repo.commit("Declare two sites");
    let against = |what: &str, more: &[&str]| {
        bascule(&repo.path(), &[&["plan", "--against", what, "--detailed-exitcode"], more].concat())
    };
    let nothing = against("HEAD", &[]).succeeded();
    assert!(nothing.starts_with("Plan: no changes\nChecksum: "), "{nothing}");
    let backend = repo.path().join("inventory/backends/www-thory-1.yaml");
    let text = std::fs::read_to_string(&backend).expect("a backend");
    std::fs::write(&backend, format!("{text}\nstate: drain\n")).expect("a file is written");
    let expected = "~ service www  dijon 50 %, thory 50 % -> dijon 100 %\n";
    for what in ["HEAD", "main", &folder.path().join("inventory").display().to_string()] {
        let ran = against(what, &[]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
        assert!(ran.stdout.contains("  ! no longer survives the loss of site:dijon\n"), "{}", ran.stdout);
        let summary = "Plan: 0 to add, 1 to change, 0 to remove; 1 service affected; 1 push needed: local\n";
        let (_, checksum) = ran.stdout.split_once(&format!("{summary}Checksum: ")).expect(&ran.stdout);
        assert_eq!(against(what, &["--checksum", checksum.trim_end()]).code, Some(2));
        let zeros = "0".repeat(64);
        let other = against(what, &["--checksum", &zeros]);
        assert_eq!((other.code, &other.stdout), (Some(5), &ran.stdout));
        assert!(other.stderr.contains("error: this is not the plan that was reviewed"), "{}", other.stderr);
    }
    assert!(against("HEAD", &["--format", "markdown"]).stdout.starts_with("**Plan: 0 to add, 1 to change"));
    let ran = against("nowhere", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("`nowhere` is no revision of"), "{}", ran.stderr);
    let ran = against("HEAD", &["--edge", "ovh"]);
    assert!(ran.stderr.contains("`--edge` is for `--against live`"), "{}", ran.stderr);
    let ran = bascule(folder.path(), &["plan", "--against", "HEAD"]);
    assert!(ran.stderr.contains("is in no git repository"), "{}", ran.stderr);
}

#[test]
fn a_base_without_an_inventory_is_empty_and_one_with_errors_is_named() {
    let folder = started();
    let repo = GitRepo::with(&[("README", "Nothing yet.\n")]);
    copy_inventory(&folder, &repo);
    let ran = bascule(&repo.path(), &["plan", "--against", "HEAD"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.lines().next(), Some("+ service www  dijon 50 %, thory 50 %"));
    assert!(
        ran.stderr.contains("there is no folder `inventory`") && ran.stderr.contains("counts as new"),
        "{}",
        ran.stderr
    );

    let site = repo.path().join("inventory/sites/dijon.yaml");
    let good = std::fs::read(&site).expect("a site");
    std::fs::write(&site, "name: [").expect("a file is written");
    repo.commit("Break it");
    std::fs::write(&site, good).expect("a file is written");
    let ran = bascule(&repo.path(), &["plan", "--against", "HEAD"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(ran.stderr.starts_with("`HEAD`, which it is compared with, has errors:\n"), "{}", ran.stderr);
}

#[test]
fn losses_and_requirements_have_exit_codes() {
    let folder = started();
    let told = bascule(folder.path(), &["simulate"]).succeeded();
    assert!(told.contains("none goes down with any of 4 losses"), "{told}");
    let ran = bascule(folder.path(), &["simulate", "--down", "site:dijno"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("did you mean `site:dijon`?"), "{}", ran.stderr);
    let one = ["simulate", "--down", "site:dijon"];
    let once = bascule(folder.path(), &one).succeeded();
    assert_eq!(bascule(folder.path(), &[&one[..], &["--down", "dijon"]].concat()).succeeded(), once);
    let ran = bascule(folder.path(), &["simulate", "--down", "edge:ovh"]);
    assert!(ran.stderr.contains("such as `backend:www-dijon-1` or `site:dijon`"), "{}", ran.stderr);
    let ran = bascule(folder.path(), &["simulate", "--require"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("no service is declared `critical: true`"), "{}", ran.stderr);

    let service = folder.path().join("inventory/services/www.yaml");
    let text = std::fs::read_to_string(&service).expect("a service");
    write(&folder, "inventory/services/www.yaml", &format!("{text}\ncritical: true\n"));
    assert_eq!(bascule(folder.path(), &["simulate", "--require"]).code, Some(0));
    let ran = bascule(folder.path(), &["simulate", "--down", "dijon", "--down", "thory", "--require"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let told = "required: service www is critical, and down with site:dijon + site:thory lost";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(ran.stdout.contains("www (critical)"), "{}", ran.stdout);
    assert_eq!(bascule(folder.path(), &["simulate", "--down", "dijon", "--down", "thory"]).code, Some(0));

    write(&folder, "inventory/services/www.yaml", "name: www\n");
    assert_eq!(bascule(folder.path(), &["simulate"]).code, Some(3), "an invalid inventory is simulated by nobody");
}
