//! What a change of an inventory does, told to whoever reviews it: see `src/core/review.rs`.

use bascule::core::inventory::Desired;
use bascule::core::model::EdgeName;
use bascule::core::review::{Kind, json, markdown, review, text};

use crate::support::inventory::{PLAIN_EDGE, Texts, desired};

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
        assert_eq!(text(&review), "Plan: no changes\n");
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
