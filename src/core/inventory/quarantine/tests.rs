use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::core::inventory::Loaded;

const SITES: (&str, &str) =
    ("sites/all.yaml", "name: dijon\nsubnets: [10.1.0.0/16]\n---\nname: thory\nsubnets: [10.2.0.0/16]\n");
const EDGE: (&str, &str) =
    ("edges/ovh.yaml", "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [':80']\ntls: {mode: 'off'}\n");
const API: (&str, &str) = ("services/api.yaml", "name: api\ndomains: [api.example.org]\n");
const WWW: (&str, &str) = ("services/www.yaml", "name: www\ndomains: [www.example.org]\n");
const API_1: (&str, &str) =
    ("backends/api-1.yaml", "{name: api-1, service: api, site: dijon, addr: 10.1.0.1, port: 80}\n");
const WWW_1: (&str, &str) =
    ("backends/www-1.yaml", "{name: www-1, service: www, site: thory, addr: 10.2.0.1, port: 80}\n");

const BASE: [(&str, &str); 6] = [SITES, EDGE, API, WWW, API_1, WWW_1];

fn revision() -> Revision {
    Revision::new("fedcba9876543210")
}

/// The base with these files in it; without those that are empty.
fn with(changes: &[(&str, &str)]) -> FileSet {
    let changed: BTreeMap<&str, &str> = BASE.iter().chain(changes).copied().collect();
    changed
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(path, text)| (path, text.as_bytes().to_vec()))
        .collect()
}

fn composed(next: &FileSet, last_good: &FileSet) -> Result<Composed, Uncomposed> {
    let Loaded { desired, diagnostics } = load(next, revision());
    assert!(desired.is_none(), "nothing is wrong with it");
    compose(next, &revision(), &diagnostics, last_good)
}

/// Composes the base and a change of it: who is at fault, with whether it stays, the code and the place; and `timeouts.dial`
/// of every service that is served.
fn check(changes: &[(&str, &str)], expected: &[&str], services: &[&str]) {
    let found = composed(&with(changes), &with(&[]));
    let Ok(Composed { at_fault, desired, .. }) = found else { panic!("held: {changes:?}") };
    let words = |(service, AtFault { fault, is_kept }): (&String, &AtFault)| {
        let standing = if *is_kept { "kept" } else { "left out" };
        format!("{service} {standing}: {} {}:{}", fault.code, fault.file, fault.line.unwrap_or_default())
    };
    assert_eq!(at_fault.iter().map(words).collect::<Vec<_>>(), expected, "{changes:?}");
    let served = desired.services.values().map(|it| {
        let backends: Vec<&str> =
            desired.backends.values().filter(|b| b.service == it.name).map(|b| b.name.as_str()).collect();
        format!("{} {} {}", it.name, it.timeouts.dial.as_millis(), backends.join(","))
    });
    assert_eq!(served.collect::<Vec<_>>(), services, "{changes:?}");
}

const NEW_WWW: (&str, &str) = ("services/www.yaml", "name: www\ndomains: [www.example.org]\ntimeouts: {dial: 7ms}\n");

#[test]
fn a_service_with_faults_stays_and_the_rest_goes_on() {
    let kept = &["api 300 api-1", "www 7 www-1"][..];
    // In its own file, in a backend's, in a part that no reader understands, and where the value is none the less the same.
    let own = ("services/api.yaml", "name: api\ndomains: [api.example.org]\nhelth: {}\n");
    check(&[own, NEW_WWW], &["api kept: unknown-key services/api.yaml:3"], kept);
    let backend = ("backends/api-1.yaml", "{name: api-1, service: api, site: toulon, addr: 10.1.0.1, port: 80}\n");
    check(&[backend, NEW_WWW], &["api kept: unknown-site backends/api-1.yaml:1"], kept);
    let cut = ("services/api.yaml", "name: api\ndomains: [api.example.org\n");
    check(&[cut, NEW_WWW], &["api kept: yaml-syntax services/api.yaml:3"], kept);
    let no_text = ("backends/api-1.yaml", "name: [\n");
    check(&[no_text, NEW_WWW], &["api kept: yaml-syntax backends/api-1.yaml:2"], kept);
    let twice = ("services/api.yaml", "name: api\ndomains: [api.example.org]\ndomains: [b.example.org]\n");
    check(&[twice, NEW_WWW], &["api kept: duplicate-key services/api.yaml:3"], kept);
    // Its backends go with it, new ones as well.
    let more = ("backends/api-2.yaml", "{name: api-2, service: api, site: dijon, addr: 10.1.0.2, port: 80}\n");
    check(&[own, more, NEW_WWW], &["api kept: unknown-key services/api.yaml:3"], kept);
    // What is left of a service that is gone.
    check(&[("services/api.yaml", ""), NEW_WWW], &["api kept: unknown-service backends/api-1.yaml:1"], kept);
}

#[test]
fn a_new_service_with_faults_is_left_out() {
    let served = &["api 300 api-1", "www 7 www-1"][..];
    let new = ("services/new.yaml", "name: new\ndomains: [new.example.org]\nhelth: {}\n");
    let backend = ("backends/new-1.yaml", "{name: new-1, service: new, site: dijon, addr: 10.1.0.9, port: 80}\n");
    check(&[new, backend, NEW_WWW], &["new left out: unknown-key services/new.yaml:3"], served);
    let nameless = ("services/new.yaml", "name: [");
    check(&[nameless, NEW_WWW], &["services/new.yaml left out: yaml-syntax services/new.yaml:1"], served);
    let no_name = ("services/new.yaml", "domains: [new.example.org]\n");
    check(&[no_name, NEW_WWW], &["services/new.yaml left out: missing-key services/new.yaml:1"], served);
    check(&[backend, NEW_WWW], &["new left out: unknown-service backends/new-1.yaml:1"], served);
    // One that takes what another one has had.
    let thief = ("services/a.yaml", "name: a\ndomains: [api.example.org]\n");
    let its_own = ("backends/a-1.yaml", "{name: a-1, service: a, site: dijon, addr: 10.1.0.8, port: 80}\n");
    check(&[thief, its_own, NEW_WWW], &["a left out: duplicate-domain services/a.yaml:2"], served);
    let double = ("backends/a-1.yaml", "{name: a-1, service: www, site: dijon, addr: 10.1.0.1, port: 80}\n");
    check(&[double], &["www kept: duplicate-address backends/a-1.yaml:1"], &["api 300 api-1", "www 300 www-1"]);
}

#[test]
fn what_takes_the_place_of_another_and_is_at_fault_leaves_that_one_served() {
    let renamed = ("services/api.yaml", "name: api2\ndomains: [api.example.org]\nhelth: {}\n");
    let moved = ("backends/api-1.yaml", "{name: api-1, service: api2, site: dijon, addr: 10.1.0.1, port: 80}\n");
    let expected = ["api kept: unknown-key services/api.yaml:3", "api2 left out: unknown-key services/api.yaml:3"];
    check(&[renamed, moved, NEW_WWW], &expected, &["api 300 api-1", "www 7 www-1"]);
    // A service that is gone and has nothing to do with it goes.
    let gone = [("services/api.yaml", ""), ("backends/api-1.yaml", "")];
    let bad = ("services/new.yaml", "name: new\ndomains: [new.example.org]\nhelth: {}\n");
    check(&[gone[0], gone[1], bad], &["new left out: unknown-key services/new.yaml:3"], &["www 300 www-1"]);
}

#[test]
fn what_is_put_back_may_put_back_others() {
    // `www` takes the address that `api` leaves, and `api` has a fault.
    let api = ("services/api.yaml", "name: api\ndomains: [api.example.org]\nhelth: {}\n");
    let api_1 = ("backends/api-1.yaml", "{name: api-1, service: api, site: dijon, addr: 10.1.0.7, port: 80}\n");
    let www_1 = ("backends/www-1.yaml", "{name: www-1, service: www, site: dijon, addr: 10.1.0.1, port: 80}\n");
    let expected = ["api kept: unknown-key services/api.yaml:3", "www kept: duplicate-address backends/www-1.yaml:1"];
    check(&[api, api_1, www_1, NEW_WWW], &expected, &["api 300 api-1", "www 300 www-1"]);
}

#[test]
fn one_document_of_a_file_stays_behind_alone_and_the_others_keep_their_lines() {
    let last = with(&[
        ("services/www.yaml", ""),
        ("services/api.yaml", "name: api\ndomains: [api.example.org]\n---\nname: www\ndomains: [www.example.org]\n"),
    ]);
    let text = "# ours\nname: api\ndomains: [api.example.org]\nhelth: {}\n--- # theirs\nname: www\ndomains: [www.example.org]\n";
    let next = with(&[("services/www.yaml", ""), ("services/api.yaml", text)]);
    let first = composed(&next, &last).expect("it is composed");
    let left = first.files.get("services/api.yaml").expect("the other document");
    assert_eq!(
        std::str::from_utf8(left),
        Ok("\n\n\n\n--- # theirs\nname: www\ndomains: [www.example.org]\n"),
        "{:?}",
        first.files
    );
    assert_eq!(first.desired.services.len(), 2);
    // The composition is what is served then, and the next one begins with it.
    let again = composed(&next, &first.files).expect("it is composed again");
    assert_eq!((again.files, again.desired), (first.files, first.desired));
}

#[test]
fn what_is_no_services_fault_holds_the_revision() {
    let bad = ("services/api.yaml", "name: api\ndomains: [api.example.org]\nhelth: {}\n");
    let held_for = |changes: &[(&str, &str)]| match composed(&with(changes), &with(&[])) {
        Err(Uncomposed::For(error)) => format!("{} {}", error.code, error.file),
        Err(Uncomposed::NoneFits) => "none fits".to_owned(),
        Ok(composed) => panic!("composed: {composed:?}"),
    };
    // It is named by that, and not by what comes first and is a service's.
    for (fault, expected) in [
        (("sites/bad.yaml", "name: bad\n"), "missing-key sites/bad.yaml"),
        (("edges/ovh.yaml", "name: ovh\n"), "missing-key edges/ovh.yaml"),
        // The service is as it was: what changed is the site.
        (
            ("sites/all.yaml", "name: dijon\nsubnets: [10.9.0.0/16]\n---\nname: thory\nsubnets: [10.2.0.0/16]\n"),
            "outside-subnets backends/api-1.yaml",
        ),
        // Nobody can say whose it is.
        (("backends/new.yaml", "{name: [\n"), "yaml-syntax backends/new.yaml"),
    ] {
        assert_eq!(held_for(&[fault, bad]), expected, "{fault:?}");
    }
    let many = "---\n{name: [], domains: [x.example.org]}\n".repeat(150);
    assert_eq!(held_for(&[("services/many.yaml", &many)]), "too-many-faults services/many.yaml", "too many to tell");
    // The site moves with its backends, and the service that stays would be left behind.
    let site = ("sites/all.yaml", "name: dijon\nsubnets: [10.9.0.0/16]\n---\nname: thory\nsubnets: [10.2.0.0/16]\n");
    let api_1 = ("backends/api-1.yaml", "{name: api-1, service: api, site: dijon, addr: 10.9.0.1, port: 80}\n");
    assert_eq!(held_for(&[site, api_1, bad]), "unknown-key services/api.yaml");
    // Not for what is wrong with another one, which could stay.
    let a = ("services/a.yaml", "name: a\ndomains: [a.example.org]\nhelth: {}\n");
    assert_eq!(held_for(&[site, api_1, bad, a]), "unknown-key services/api.yaml");
}

#[test]
fn quarantine_keeps_its_beginning() {
    let bad = ("services/api.yaml", "name: api\ndomains: [api.example.org]\nhelth: {}\n");
    let composed = composed(&with(&[bad]), &with(&[])).expect("it is composed");
    let at = Timestamp::from_unix_millis;
    let [first, second, third] = ["a", "b", "c"].map(Revision::new);
    let began = Quarantined::of(&composed, &[], (&second, &first), at(1));
    assert_eq!(began.len(), 1);
    assert_eq!((&began[0].revision, &began[0].kept, began[0].since), (&second, &Some(first.clone()), at(1)));
    assert_eq!(Quarantined::of(&composed, &began, (&third, &second), at(2)), began);
    let text = serde_json::to_string(&began).expect("it is written");
    assert_eq!(serde_json::from_str::<Vec<Quarantined>>(&text).expect("it is read back"), began);
}

/// A service as somebody commits it.
#[derive(Debug, Clone)]
struct Draft {
    /// Shown by `timeouts.dial`.
    version: u32,
    backends: Vec<u8>,
    /// The name that it has besides its own.
    alias: Option<u8>,
    fault: Option<u8>,
}

const NAMES: [&str; 5] = ["api", "cron", "mail", "shop", "www"];

/// What somebody commits of the service at a place; with faults, and with what is another's, where that is wanted.
fn draft(place: u8, is_wild: bool) -> BoxedStrategy<Option<Draft>> {
    let wild = u32::from(is_wild);
    let fault = prop_oneof![3 => Just(None), wild => (0_u8..6).prop_map(Some)];
    let own = place * 20..place * 20 + 6;
    let host = prop_oneof![6 => own, wild => 0_u8..100];
    let backends = prop::collection::btree_set(host, 1..3).prop_map(|it| it.into_iter().collect());
    let alias = prop_oneof![6 => Just(None), 2 => Just(Some(place)), wild => (0_u8..5).prop_map(Some)];
    let draft = (1_u32..90, backends, alias, fault);
    let draft = draft.prop_map(|(version, backends, alias, fault)| Draft { version, backends, alias, fault });
    prop::option::weighted(0.85, draft).boxed()
}

fn drafts(is_wild: bool) -> [BoxedStrategy<Option<Draft>>; NAMES.len()] {
    [0, 1, 2, 3, 4].map(|place| draft(place, is_wild))
}

/// Files of drafts. Backends are at addresses that services share, so that they take each other's; `layout` says how many
/// documents stand in one file.
fn files(drafts: &[Option<Draft>], layout: usize) -> FileSet {
    let mut texts: BTreeMap<String, String> =
        [SITES, EDGE].map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    for (index, (name, draft)) in NAMES.iter().zip(drafts).enumerate() {
        let Some(Draft { version, backends, alias, fault }) = draft else { continue };
        let alias = alias.map(|it| format!(", alias-{it}.example.org")).unwrap_or_default();
        let extra = ["helth: {}", "name: again", "routing: {policy: priority}", "tags: [", "", ""];
        let extra = fault.map_or("", |it| extra[usize::from(it)]);
        let service = texts.entry(format!("services/{}.yaml", index / layout)).or_default();
        let _ = write!(
            service,
            "---\nname: {name}\ndomains: [{name}.example.org{alias}]\ntimeouts: {{dial: {version}ms}}\n{extra}\n"
        );
        let site = if *fault == Some(4) { "toulon" } else { "dijon" };
        for host in backends {
            let of = if *fault == Some(5) { "nobody" } else { name };
            let text = texts.entry(format!("backends/{}.yaml", index / layout)).or_default();
            let _ = write!(
                text,
                "---\n{{name: {name}-{host}, service: {of}, site: {site}, addr: 10.1.1.{host}, port: 80}}\n"
            );
        }
    }
    texts.into_iter().map(|(path, text)| (path, text.into_bytes())).collect()
}

/// What a service is, as far as drafts say it.
fn shown(desired: &Desired) -> BTreeMap<String, String> {
    let show = |service: &std::sync::Arc<crate::core::inventory::Service>| {
        let backends = desired.backends.values().filter(|backend| backend.service == service.name);
        let backends: Vec<String> =
            backends.map(|backend| format!("{}@{}", backend.name, backend.upstream())).collect();
        (service.name.to_string(), format!("{:?} {:?} {backends:?}", service.timeouts.dial, service.domains))
    };
    desired.services.values().map(show).collect()
}

proptest! {
    #[test]
    fn what_is_composed_is_good_and_each_service_is_one_or_the_other(
        before in drafts(false),
        after in drafts(true),
        layout in 1_usize..4,
    ) {
        let last_good = files(&before, layout);
        let served = load(&last_good, revision()).desired;
        let next = files(&after, layout);
        let Loaded { desired, diagnostics } = load(&next, revision());
        prop_assume!(served.is_some() && desired.is_none());
        let served = served.expect("it was just looked at");
        let Ok(composed) = compose(&next, &revision(), &diagnostics, &last_good) else {
            let words: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
            panic!("all of these are a service's: {words:#?}");
        };
        let again = load(&composed.files, revision());
        prop_assert_eq!(again.desired.as_ref(), Some(&composed.desired), "{:?}", again.diagnostics);
        let faultless: Vec<Option<Draft>> = after.iter().cloned().map(|draft| draft.map(|it| Draft { fault: None, ..it })).collect();
        let (old, now) = (shown(&served), shown(&composed.desired));
        for (index, name) in NAMES.iter().enumerate() {
            if composed.at_fault.contains_key(*name) {
                prop_assert_eq!(now.get(*name), old.get(*name), "{} is at fault", name);
                prop_assert_eq!(composed.at_fault[*name].is_kept, old.contains_key(*name));
                continue;
            }
            // Alone, its draft is without faults and shows what it must be.
            let alone: Vec<Option<Draft>> = (0..NAMES.len()).map(|it| faultless[it].clone().filter(|_| it == index)).collect();
            let alone = load(&files(&alone, layout), revision()).desired.map(|it| shown(&it)).unwrap_or_default();
            prop_assert_eq!(now.get(*name), alone.get(*name), "{} is not at fault", name);
            let is_faulty = after[index].as_ref().is_some_and(|it| it.fault.is_some());
            prop_assert!(!is_faulty, "{} has a fault", name);
        }
    }
}
