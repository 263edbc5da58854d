//! What a change of an inventory does, told to whoever reviews it: see `src/core/review.rs`.

use std::time::Duration;

use bascule::core::health::Verdict;
use bascule::core::inventory::Desired;
use bascule::core::model::{EdgeName, Timestamp};
use bascule::core::review::{Kind, json, markdown, review, review_live, text};
use bascule::core::routing::{Action, Effective, Inputs, Live, Override, plan};
use bascule::core::status::LiveDto;

use crate::support::inventory::{PLAIN_EDGE, Texts, desired, files, observed};

/// Longest comment that GitHub takes.
const COMMENT_MAX: usize = 65_535;

const SERVICES: &str = "{name: api, domains: [api.acecinema.fr], critical: true}\n---\n\
                        {name: docs, domains: [docs.acecinema.fr]}\n---\n\
                        {name: www, domains: [www.acecinema.fr]}\n";
const BACKENDS: &str = "{service: api, name: api-dijon-1, site: dijon, addr: 127.1.0.1, port: 80, weight: 2}\n---\n\
                        {service: api, name: api-thory-1, site: thory, addr: 127.2.0.1, port: 80}\n---\n\
                        {service: docs, name: docs-dijon-1, site: dijon, addr: 127.1.0.2, port: 80}\n---\n\
                        {service: docs, name: docs-thory-1, site: thory, addr: 127.2.0.2, port: 80}\n---\n\
                        {service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.3, port: 80}\n";

fn of(services: &str, backends: &str) -> Desired {
    desired(Texts { edges: PLAIN_EDGE, services, backends })
}

#[test]
fn a_change_is_told_by_traffic_and_by_what_survives() {
    let before = of(SERVICES, BACKENDS);
    let services = SERVICES.replace("docs", "blog");
    let backends = BACKENDS
        .replace("docs", "blog")
        .replace("127.2.0.1, port: 80}", "127.2.0.1, port: 80, state: drain}")
        .replace("127.1.0.3, port: 80}", "127.1.0.3, port: 80}\n---\n{service: www, name: www-thory-1, site: thory, addr: 127.2.0.3, port: 80, weight: 3}");
    let review = review(&before, &of(&services, &backends));
    let kinds = [Kind::Added, Kind::Changed, Kind::Removed].map(|kind| review.count(kind));
    assert_eq!((kinds, review.pushes.len(), review.left.len()), ([1, 2, 1], 1, 0));
    insta::assert_snapshot!("text", text(&review));
    insta::assert_snapshot!("markdown", markdown(&review));
    insta::assert_snapshot!("json", json(&review));
}

#[test]
fn what_changes_nothing_for_clients_is_no_change() {
    let before = of(SERVICES, BACKENDS);
    for (services, backends) in [
        (SERVICES.to_owned(), BACKENDS.to_owned()),
        (SERVICES.to_owned(), BACKENDS.replace("port: 80, weight: 2", "port: 80, weight: 2, tags: [bourgogne]")),
    ] {
        let review = review(&before, &of(&services, &backends));
        assert!(review.is_empty(), "{review:?}");
        assert_eq!(text(&review), format!("Plan: no changes\nChecksum: {}\n", review.checksum));
    }
    // The loss of a site was not survived before either.
    let review = review(&before, &of(&SERVICES.replace("[www.acecinema.fr]", "[web.acecinema.fr]"), BACKENDS));
    assert_eq!(review.services.len(), 1);
    assert_eq!(
        (&review.services[0].exposed[..], &review.services[0].details[..]),
        (&[][..], &["settings changed: domains (- www.acecinema.fr, + web.acecinema.fr)".to_owned()][..])
    );
}

#[test]
fn a_checksum_is_that_of_what_would_change() {
    let before = of(SERVICES, BACKENDS);
    let changed = BACKENDS.replace("weight: 2", "weight: 3");
    let checksum = |services: &str, backends: &str| review(&before, &of(services, backends)).checksum;
    let plain = checksum(SERVICES, &changed);
    assert_eq!(plain, checksum(SERVICES, &changed));
    for (services, backends) in [
        (SERVICES.to_owned(), BACKENDS.to_owned()),
        (SERVICES.to_owned(), BACKENDS.replace("weight: 2", "weight: 4")),
        (SERVICES.to_owned(), changed.replace("127.2.0.2", "127.2.0.9")),
        (SERVICES.replace("critical: true", "routing: {page: {html: one}}"), changed.clone()),
        (SERVICES.replace("critical: true", "routing: {page: {html: two}}"), changed.clone()),
    ] {
        assert_ne!(plain, checksum(&services, &backends), "{services}{backends}");
    }
    // What is the same before and after is none of it.
    let other = |text: &str| of(SERVICES, &text.replace("127.1.0.3", "127.1.0.33"));
    assert_eq!(plain, review(&other(BACKENDS), &other(&changed)).checksum);
}

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

/// What a controller goes by that has planned once, with these backends down for a minute, and these decided about.
fn live(desired: &Desired, down: &[&str], drained: &[&str]) -> Live {
    let since = Some(NOW.minus(Duration::from_mins(1)));
    let mut observed = observed(desired, |name| if down.contains(&name) { Verdict::Down } else { Verdict::Up });
    for (name, health) in &mut observed.backends {
        (health.since, health.target) = (since, desired.backends.get(name).map(|backend| backend.probe_target()));
    }
    let drain = |target: &&str| Override {
        target: target.parse().expect("a target"),
        action: Action::Drain,
        reason: "disk swap".to_owned(),
        by: String::new(),
        set_at: NOW,
        until: NOW.plus(Duration::from_hours(1)),
    };
    let overrides = drained.iter().map(drain).collect();
    let live = Live { now: NOW, observed, overrides, planned: Effective::default(), guard: None };
    let planned = plan(&Inputs { previous: None, ..live.inputs(desired) }).effective;
    Live { planned, ..live }
}

#[test]
fn a_change_is_told_as_things_stand() {
    let before = of(SERVICES, BACKENDS);
    let backends = BACKENDS.replace("name: api-dijon-1, site: dijon", "name: api-dijon-1, state: drain, site: dijon");
    let backends = backends.replace("127.1.0.2, port: 80", "127.1.0.2, port: 81");
    let after = of(SERVICES, &backends);
    let known = live(&before, &["api-thory-1"], &["backend:docs-thory-1"]);
    let review = review_live(&before, &after, &known);
    insta::assert_snapshot!("live_text", text(&review));
    insta::assert_snapshot!("live_markdown", markdown(&review));
    insta::assert_snapshot!("live_json", json(&review));
    // As long as nothing else comes of it, when it is made and how long a decision lasts are no part of it.
    let mut later = known.clone();
    later.now = NOW.plus(Duration::from_mins(5));
    assert_eq!(review_live(&before, &after, &later).checksum, review.checksum);
    assert_ne!(review_live(&before, &after, &live(&before, &[], &[])).checksum, review.checksum);
    assert!(review_live(&before, &before, &known).is_empty());
}

#[test]
fn what_time_alone_does_is_told_as_later() {
    let with = |sites: &str, after: &str| {
        let routing = format!("critical: true, routing: {{policy: priority, sites: [{sites}], failback: {after}}}");
        of(&SERVICES.replace("critical: true", &routing), BACKENDS)
    };
    let before = with("dijon, thory", "{after: 5m}");
    let known = live(&before, &[], &[]);
    let told = |after: &Desired| text(&review_live(&before, after, &known)).lines().nth(1).map(str::to_owned);
    let first = "~ service api (critical)  dijon 100 %";
    let expected = format!("{first}, later thory 100 %");
    assert_eq!(told(&with("thory, dijon", "{after: 5m}")), Some(expected));
    assert_eq!(told(&with("thory, dijon", "{manual: true}")), Some(first.to_owned()), "until an operator says so");
}

#[test]
fn what_a_controller_goes_by_comes_through_its_api_unharmed() {
    let texts = Texts { edges: PLAIN_EDGE, services: SERVICES, backends: BACKENDS };
    let desired = desired(texts);
    for (down, drained) in
        [(&[][..], &[][..]), (&["api-thory-1"], &["site:dijon"]), (&["docs-dijon-1", "www-dijon-1"], &[])]
    {
        let known = live(&desired, down, drained);
        let planned = plan(&known.inputs(&desired));
        let dto = LiveDto::of((&planned, &desired), &files(texts), (&known.observed, &known.overrides), None, NOW);
        let dto: LiveDto = serde_json::from_str(&serde_json::to_string(&dto).expect("JSON")).expect("the same");
        assert_eq!(dto.files(), files(texts));
        let again = plan(&dto.read(&desired).expect("names").inputs(&desired));
        assert_eq!((&again.effective, again.changes.len()), (&planned.effective, 0));
    }
}

#[test]
fn an_edge_that_is_no_longer_declared_is_told() {
    let before = of(SERVICES, BACKENDS);
    let mut after = before.clone();
    let (name, mut edge) = after.edges.pop_first().expect("an edge");
    std::sync::Arc::make_mut(&mut edge).name = "spare".parse().expect("a name");
    after.edges.insert("spare".parse().expect("a name"), edge);
    let renamed = review(&before, &after);
    let spare: EdgeName = "spare".parse().expect("a name");
    // At the same address: it is taken over by its other name, and keeps nothing.
    assert_eq!((&renamed.left[..], &renamed.pushes[..]), (&[][..], &[spare.clone()][..]));
    let edge = after.edges.get_mut(&spare).expect("the edge");
    std::sync::Arc::make_mut(edge).admin = "http://127.0.0.1:2020".parse().expect("an address");
    let (left, pushes) = (vec![name], vec![spare]);
    let moved = review(&before, &after);
    assert_eq!((moved.left, moved.pushes), (left, pushes));
}

#[test]
fn settings_of_an_edge_that_differ_are_named() {
    let before = of(SERVICES, BACKENDS);
    let mut after = before.clone();
    let edge = after.edges.values_mut().next().expect("an edge");
    let name = edge.name.to_string();
    std::sync::Arc::make_mut(edge).listen = vec![":8443".parse().expect("a listener")];
    let changed = review(&before, &after);
    let told = text(&changed);
    assert!(told.contains(&format!("~ edge {name}: listen (- ")) && told.contains("+ :8443)"), "{told}");
    assert!(markdown(&changed).contains(&format!("- edge `{name}`: listen (- ")), "{}", markdown(&changed));
}

#[test]
fn a_comment_is_never_too_long() {
    let services = |count: usize| {
        let one = |number: usize| format!("{{name: {number}-{}, domains: [s{number}.example.org]}}", "x".repeat(20));
        (0..count).map(one).collect::<Vec<_>>().join("\n---\n")
    };
    let backends = |count: usize, weight: u16| {
        let one = |number: usize| {
            let (service, high, low) = (format!("{number}-{}", "x".repeat(20)), number / 200, number % 200 + 1);
            format!(
                "{{service: {service}, name: d{number}, site: dijon, addr: 127.1.{high}.{low}, port: 80, weight: {weight}}}\n---\n\
                 {{service: {service}, name: t{number}, site: thory, addr: 127.2.{high}.{low}, port: 80}}"
            )
        };
        (0..count).map(one).collect::<Vec<_>>().join("\n---\n")
    };
    let review_of =
        |count| review(&of(&services(count), &backends(count, 1)), &of(&services(count), &backends(count, 3)));
    let short = markdown(&review_of(300));
    assert!(short.len() < COMMENT_MAX && !short.contains("left out"), "{} bytes", short.len());
    let long = markdown(&review_of(1000));
    assert!(long.len() < COMMENT_MAX, "{} bytes", long.len());
    assert!(long.contains("1000 to change") && long.contains("more lines left out"), "{}", &long[..200]);
    assert!(long.ends_with("</details>\n"));
}
