//! A revision of which some services are at fault.

use bascule::core::inventory::Quarantined;
use bascule::store::RevisionOutcome;

use super::*;

const EDGE: &str = "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [':8080']\ntls: {mode: 'off'}\n";
const FAULT: &str = "helth: {}\n";
const SAID: &str = "inventory/services/api.yaml:4:1: error[unknown-key]: unknown key `helth`";

fn write(rig: &Rig, path: &str, text: &str) {
    rig.repo.write(&format!("inventory/{path}"), text);
}

/// Declares a service with a backend, at a version; the fault comes with it.
fn declare(rig: &Rig, name: &str, version: u8, fault: &str) {
    let dial = format!("timeouts: {{dial: {version}ms}}");
    let service = format!("name: {name}\ndomains: [{name}.example.org]\n{dial}\n{fault}");
    write(rig, &format!("services/{name}.yaml"), &service);
    let host = name.bytes().map(u32::from).sum::<u32>() % 250;
    let text = format!("{{name: {name}-1, service: {name}, site: dijon, addr: 10.200.1.{host}, port: 80}}\n");
    write(rig, &format!("backends/{name}-1.yaml"), &text);
}

fn remove(rig: &Rig, name: &str) {
    for path in [format!("services/{name}.yaml"), format!("backends/{name}-1.yaml")] {
        rig.repo.git(&["rm", "--quiet", &format!("inventory/{path}")]);
    }
}

/// The versions of what is served.
fn versions(state: &SourceState) -> Vec<String> {
    let services = state.served.iter().flat_map(|served| served.desired.services.values());
    services.map(|it| format!("{} {}", it.name, it.timeouts.dial.as_millis())).collect()
}

fn quarantine(state: &SourceState) -> &[Quarantined] {
    state.served.as_ref().map_or(&[], |served| &served.quarantine)
}

/// Who is in quarantine, since which revision, as of which it is served, and why.
fn words(state: &SourceState) -> Vec<String> {
    let one = |it: &Quarantined| {
        let kept = it.kept.as_ref().map_or("-", |kept| kept.short());
        format!("{} {} {kept} | {}", it.service, it.revision.short(), it.fault)
    };
    quarantine(state).iter().map(one).collect()
}

async fn wait_for(rig: &mut Rig, id: &str) -> SourceState {
    rig.wait(id, |state| served(state) == Some(id)).await
}

/// A rig with three services at their first version.
async fn three() -> (Rig, String) {
    let mut rig = Rig::new();
    write(&rig, "edges/ovh.yaml", EDGE);
    for name in ["api", "cron", "www"] {
        declare(&rig, name, 1, "");
    }
    let first = rig.repo.commit("three services");
    rig.start(Signatures::NotAsked).await;
    rig.wait_until_served(&first).await;
    (rig, first)
}

#[tokio::test]
async fn a_service_with_faults_stays_until_it_is_mended_also_over_a_restart() {
    let (mut rig, first) = three().await;
    declare(&rig, "api", 2, FAULT);
    declare(&rig, "www", 2, "");
    let bad = rig.repo.commit("one is bad");
    let state = wait_for(&mut rig, &bad).await;
    assert_eq!(versions(&state), ["api 1", "cron 1", "www 2"]);
    let old = format!("api {} {} | {SAID}", &bad[..12], &first[..12]);
    assert_eq!((words(&state), &state.refusal), (vec![old.clone()], &None));
    let since = quarantine(&state)[0].since;

    // The next revision has it still, and another one that is new.
    declare(&rig, "www", 3, "");
    declare(&rig, "new", 1, FAULT);
    let more = rig.repo.commit("another is bad");
    let state = wait_for(&mut rig, &more).await;
    assert_eq!(versions(&state), ["api 1", "cron 1", "www 3"]);
    let new =
        format!("new {} - | inventory/services/new.yaml:4:1: error[unknown-key]: unknown key `helth`", &more[..12]);
    assert_eq!(words(&state), [old.clone(), new.clone()]);
    assert_eq!(quarantine(&state)[0].since, since, "it goes on");

    // The state file has it, and what is served of it.
    rig.stop().await;
    rig.start(Signatures::NotAsked).await;
    let state = wait_for(&mut rig, &more).await;
    assert_eq!(versions(&state), ["api 1", "cron 1", "www 3"]);
    assert_eq!(words(&state), [old.clone(), new.clone()]);
    declare(&rig, "cron", 4, "");
    let later = rig.repo.commit("something else");
    let state = wait_for(&mut rig, &later).await;
    assert_eq!(versions(&state), ["api 1", "cron 4", "www 3"]);
    assert_eq!(words(&state), [old, new]);

    declare(&rig, "api", 5, "");
    declare(&rig, "new", 5, "");
    let mended = rig.repo.commit("mended");
    let state = wait_for(&mut rig, &mended).await;
    assert_eq!(versions(&state), ["api 5", "cron 4", "new 5", "www 3"]);
    assert_eq!(words(&state), Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_services_fault_holds_the_revision_and_so_does_strictness() {
    let (mut rig, first) = three().await;
    declare(&rig, "api", 2, FAULT);
    declare(&rig, "www", 2, "");
    write(&rig, "sites/thory.yaml", "name: thory\n");
    let bad = rig.repo.commit("a site is bad too");
    // It is named by what has to be mended for anything of it to be served.
    let head = "is refused: inventory/sites/thory.yaml:1:1: error[missing-key]";
    let state = rig.wait_for_refusal(&[&bad[..12], head, "(and 1 more error)"]).await;
    let refused = state.refused.as_ref().map(|it| it.reason.clone()).unwrap_or_default();
    assert!(refused.starts_with("refused: inventory/sites/thory.yaml:1:1"), "{refused}");
    let store = &rig.running.as_ref().expect("it runs").store;
    let RevisionOutcome::Rejected { errors: 2, first: kept } = &store.revisions(1).await.expect("it reads")[0].outcome
    else {
        panic!("it is refused for two errors");
    };
    assert!(kept.starts_with("inventory/sites/thory.yaml:1:1"), "{kept}");
    assert_eq!((served(&state), versions(&state)[2].as_str()), (Some(first.as_str()), "www 1"));
    rig.stop().await;

    write(&rig, "sites/thory.yaml", "name: thory\nsubnets: [10.200.2.0/24]\n");
    let bad = rig.repo.commit("the site is mended");
    rig.on_fault = OnFault::Hold;
    rig.start(Signatures::NotAsked).await;
    let state = rig.wait_for_refusal(&[&bad[..12], "is refused", SAID]).await;
    assert_eq!(served(&state), Some(first.as_str()));
    rig.stop().await;

    // With nothing known of before, nobody knows what edges run.
    std::fs::remove_file(rig.repo.beside("bascule.db")).expect("the state file is there");
    rig.on_fault = OnFault::Quarantine;
    rig.start(Signatures::NotAsked).await;
    let state = rig.wait_for_refusal(&[&bad[..12], SAID, "nothing is served yet"]).await;
    assert_eq!(served(&state), None);
    rig.stop().await;
}

#[tokio::test]
async fn the_guard_judges_what_would_be_served() {
    let (mut rig, first) = three().await;
    for name in ["cron", "www"] {
        remove(&rig, name);
    }
    declare(&rig, "api", 2, FAULT);
    for name in ["a", "b", "c"] {
        declare(&rig, name, 1, "");
    }
    let lost = rig.repo.commit("two are lost");
    let state = wait_for(&mut rig, &lost).await;
    assert_eq!(versions(&state), ["a 1", "api 1", "b 1", "c 1"], "two are fewer than need consent");
    for name in ["a", "b", "c"] {
        remove(&rig, name);
    }
    let more = rig.repo.commit("three more are lost");
    let state = rig.wait_for_refusal(&[&more[..12], "is held", "3 of 4 services"]).await;
    assert_eq!((served(&state), versions(&state).len()), (Some(lost.as_str()), 4));
    assert_eq!(words(&state), [format!("api {} {} | {SAID}", &lost[..12], &first[..12])]);
    rig.stop().await;
}

#[tokio::test]
async fn the_state_file_says_what_each_revision_was_served_without() {
    let (mut rig, _) = three().await;
    declare(&rig, "api", 2, FAULT);
    let bad = rig.repo.commit("one is bad");
    wait_for(&mut rig, &bad).await;
    let store = &rig.running.as_ref().expect("it runs").store;
    let rows = store.revisions(10).await.expect("it reads");
    let quarantined = rows[0].outcome.quarantine().expect("it is served");
    assert_eq!((quarantined.len(), quarantined[0].fault.line), (1, Some(4)));
    assert_eq!(store.last_quarantine().await.expect("it reads"), quarantined);
    assert_eq!(rows[1].outcome.quarantine(), Some(&[][..]));
    rig.stop().await;
}
