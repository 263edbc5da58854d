//! What a revision may take out without a word.

use std::fmt::Write as _;

use bascule::core::inventory::{Consent, Desired, Loss, RevisionGuard};

use crate::support::inventory::{PLAIN_EDGE, Texts, desired};

const SERVICE: &str = "name: www\ndomains: [www.acecinema.fr]\nhealth: {type: tcp}\n";

/// A service with so many backends at dijon and at thory, from these numbers on.
fn fleet(dijon: std::ops::Range<u8>, thory: std::ops::Range<u8>) -> Desired {
    changed(dijon, thory, |_| "")
}

/// The same, with more keys for some.
fn changed(dijon: std::ops::Range<u8>, thory: std::ops::Range<u8>, more: impl Fn(u8) -> &'static str) -> Desired {
    let mut backends = String::new();
    for (site, net, numbers) in [("dijon", 1, dijon), ("thory", 2, thory)] {
        for number in numbers {
            let more = more(number);
            let name = format!("www-{site}-{number}");
            writeln!(
                backends,
                "---\n{{service: www, name: {name}, site: {site}, addr: 127.{net}.0.{number}, port: 80{more}}}"
            )
            .expect("a text");
        }
    }
    desired(Texts { edges: PLAIN_EDGE, services: SERVICE, backends: &backends })
}

fn held(before: &Desired, after: &Desired, consent: Option<usize>) -> Option<String> {
    let consent = Some(Consent { remove: consent });
    RevisionGuard::default().judge(before, after, consent).map(|held| held.to_string())
}

#[test]
fn more_than_the_share_is_held_and_the_share_is_not() {
    let before = fleet(1..51, 1..51);
    assert_eq!(held(&before, &fleet(1..51, 1..51), None), None);
    assert_eq!(held(&before, &fleet(16..51, 16..51), None), None, "30 of 100");
    assert_eq!(
        held(&before, &fleet(16..51, 17..51), None).expect("31 of 100"),
        "it takes out 31 of 100 backends, and more than 30 %, a whole site, or everything at once is held; if that is \
         meant: git commit --allow-empty -m 'Allow it' --trailer 'Bascule-Allow: remove=31', or bascule allow \
         0123456789ab --reason '…'"
    );
    assert_eq!(held(&before, &fleet(1..101, 1..51), None), None, "more of them is no loss");
}

#[test]
fn a_few_of_few_are_no_mistake() {
    let before = fleet(1..3, 1..3);
    assert_eq!(held(&before, &fleet(1..2, 1..2), None), None, "two of four");
    assert!(held(&before, &fleet(1..2, 1..1), None).is_some(), "three of four");
}

#[test]
fn a_whole_site_is_held_and_its_only_backend_is_not() {
    let before = fleet(1..10, 1..3);
    let words = held(&before, &fleet(1..10, 1..1), None).expect("it is emptied");
    assert!(words.starts_with("it takes out 2 of 11 backends, all of site thory, and"), "{words}");
    assert_eq!(held(&fleet(1..10, 1..2), &fleet(1..10, 1..1), None), None);
    let drained = changed(1..10, 1..3, |number| if number > 2 { "" } else { ", state: drain" });
    assert!(held(&before, &drained, None).is_some(), "drained is out of service too");
}

#[test]
fn everything_is_held_however_little_it_is() {
    let before = fleet(1..2, 1..1);
    let empty = desired(Texts { edges: PLAIN_EDGE, services: "", backends: "" });
    let words = held(&before, &empty, None).expect("nothing is left");
    assert!(words.starts_with("it takes out 1 of 1 services, 1 of 1 backends, and"), "{words}");
    // A plain folder has no commits, so nobody could consent there.
    let guard = RevisionGuard::default();
    let words = guard.judge(&before, &empty, None).expect("nothing is left").to_string();
    assert!(
        words.ends_with("nothing would be left; if that is meant: bascule allow 0123456789ab --reason '…'"),
        "{words}"
    );
    assert_eq!(guard.judge(&fleet(1..51, 1..51), &fleet(1..51, 1..2), None), None);
}

#[test]
fn other_names_are_no_loss() {
    let before = fleet(1..51, 1..1);
    let mut after = before.clone();
    after.backends = before
        .backends
        .values()
        .map(|backend| {
            let mut backend = (**backend).clone();
            backend.name = format!("new-{}", backend.name).parse().expect("a name");
            (backend.name.clone(), backend.into())
        })
        .collect();
    assert_eq!(Loss::between(&before, &after).count(), 0);
    let service = before.services.values().next().expect("a service");
    let mut service = (**service).clone();
    service.name = "web".parse().expect("a name");
    after.services = [(service.name.clone(), service.into())].into();
    assert_eq!(held(&before, &after, None), None, "the service has another name, and the same domains");
}

#[test]
fn as_much_as_was_allowed_passes_and_no_more() {
    let (before, after) = (fleet(1..51, 1..51), fleet(1..51, 1..11));
    assert_eq!(held(&before, &after, Some(40)), None);
    assert_eq!(held(&before, &after, Some(41)), None);
    let words = held(&before, &after, Some(39)).expect("one too many");
    assert!(words.contains("Bascule-Allow allows 39, and these are 40;"), "{words}");
}

#[test]
fn trailers_are_read_as_git_writes_them() {
    let allowed = |message: &str| Consent::of([message]).remove;
    assert_eq!(
        allowed("Remove thory\n\nIt closes.\n\nBascule-Allow: remove=12\nSigned-off-by: Ana <ana@example.org>\n"),
        Some(12)
    );
    assert_eq!(allowed("Remove thory\r\n\r\nbascule-allow: remove=3\r\n"), Some(3));
    assert_eq!(allowed("Remove thory\n\nBascule-Allow: remove=12\n\nNot the last paragraph."), None);
    for other in ["remove = 12", "remove=", "remove=-1", "remove=all", "add=12", "12"] {
        assert_eq!(allowed(&format!("Remove thory\n\nBascule-Allow: {other}")), None, "{other}");
    }
    let messages = ["Merge\n\nBascule-Allow: remove=2", "Remove\n\nBascule-Allow: remove=5", "Other"];
    assert_eq!(Consent::of(messages).remove, Some(5));
}
