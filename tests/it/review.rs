//! What a change of an inventory does, told to whoever reviews it: see `src/core/review.rs`.

mod critical;

use std::time::Duration;

use bascule::core::health::Verdict;
use bascule::core::inventory::{Desired, load};
use bascule::core::model::{Diagnostic, EdgeName, FileSet, Revision, Timestamp};
use bascule::core::review::{Comment, Kind, Proposal, comment, json, markdown, review, review_live, text};
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
    assert!(markdown(&changed).contains(&format!("- edge `{name}`: `listen (- ")), "{}", markdown(&changed));
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

/// A comment on what was declared and what is proposed.
fn told(before: Option<&Desired>, after: Option<&Desired>, diagnostics: &[Diagnostic]) -> Comment {
    let against = "origin/main";
    let proposal = Proposal { folder: "inventory/", against, files: 9, diagnostics, before, after, is_required: true };
    comment(&proposal)
}

/// Markdown without its code: what forges look through for mentions, links and HTML.
fn without_code(markdown: &str) -> String {
    let mut rest = markdown;
    let mut outside = String::new();
    while let Some(start) = rest.find('`') {
        outside.push_str(&rest[..start]);
        let after = rest[start..].trim_start_matches('`');
        let fence = rest.len() - start - after.len();
        // The next run of the same length ends it.
        let mut from = 0;
        let end = loop {
            let Some(at) = after[from..].find('`').map(|at| from + at) else { break None };
            let run = after[at..].len() - after[at..].trim_start_matches('`').len();
            if run == fence {
                break Some(at);
            }
            from = at + run;
        };
        let end = end.unwrap_or_else(|| panic!("code that does not end: {}", &rest[start..]));
        assert!(!after[..end].contains('\n'), "code over a line's end: {}", &after[..end]);
        rest = &after[end + fence..];
    }
    outside + rest
}

#[test]
fn what_a_controller_would_hold_is_told_with_the_trailer_that_lets_it_pass() {
    let service =
        |number: usize| format!("{{name: s-{number}, domains: [s-{number}.example.org], health: {{type: tcp}}}}");
    let backend = |number: usize| {
        format!("{{service: s-{number}, name: s-{number}-1, site: dijon, addr: 127.1.0.{}, port: 80}}", number + 1)
    };
    let of = |count: usize| {
        let documents = |one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join("\n---\n");
        of(&documents(&service), &documents(&backend))
    };
    let held = told(Some(&of(6)), Some(&of(3)), &[]);
    let row = "| takes out | :warning: 3 of 6 services, 3 of 6 backends; by default that needs the trailer \
               `Bascule-Allow: remove=6` on a commit |";
    assert!(held.markdown.contains(row), "{}", held.markdown);
    assert!(held.words.ends_with("held unless a commit says Bascule-Allow: remove=6"), "{}", held.words);
    let passing = told(Some(&of(6)), Some(&of(5)), &[]);
    assert!(!passing.markdown.contains("takes out"), "{}", passing.markdown);
}

#[test]
fn a_proposal_is_told_with_its_faults_its_changes_and_its_losses() {
    let before = of(SERVICES, BACKENDS);
    let more = "port: 80}\n---\n{service: www, name: www-thory-1, site: thory, addr: 127.2.0.3, port: 80, weight: 3}";
    let backends = BACKENDS
        .replace("127.2.0.1, port: 80}", "127.2.0.1, port: 80, state: drain}")
        .replace("127.1.0.3, port: 80}", &format!("127.1.0.3, {more}"));
    let after = of(SERVICES, &backends);
    let told_of = told(Some(&before), Some(&after), &[]);
    insta::assert_snapshot!("comment", told_of.markdown);
    assert_eq!((told_of.is_good, told_of.failed.len()), (false, 2), "{:?}", told_of.failed);
    assert!(told_of.words.starts_with("service api is critical, and down with "), "{}", told_of.words);

    let sound = told(Some(&before), Some(&before), &[]);
    assert_eq!((sound.is_good, sound.words.as_str()), (true, "no changes"));
    assert!(sound.markdown.starts_with(&format!("{}\n### :white_check_mark:", sound.marker)), "{}", sound.markdown);
    let fresh = told(Some(&Desired::empty(before.revision.clone())), Some(&before), &[]);
    assert!(fresh.words.starts_with("3 to add, 0 to change, 0 to remove"), "{}", fresh.words);
    let alone = told(None, Some(&before), &[]);
    assert!(alone.is_good && alone.markdown.contains("there is nothing to compare with"), "{}", alone.markdown);
}

#[test]
fn faults_come_first_and_the_first_of_them_is_the_reason() {
    let files: FileSet = [
        ("sites/dijon.yaml", &b"name: dijon\nsubnets: [10.200.1.0/24]\n"[..]),
        ("services/api.yaml", b"name: api\ndomains: [api.acecinema.fr]\n"),
        ("backends/api-1.yaml", b"service: api\nname: api-1\nsite: dijno\naddr: 10.200.1.3\nport: 80\n"),
    ]
    .into_iter()
    .collect();
    let loaded = load(&files, Revision::new("r"));
    assert!(loaded.desired.is_none());
    let told_of = told(Some(&of(SERVICES, BACKENDS)), None, &loaded.diagnostics);
    insta::assert_snapshot!("comment_with_faults", told_of.markdown);
    assert!(
        !told_of.is_good && told_of.words.contains("inventory/backends/api-1.yaml:3:7: error[unknown-site]"),
        "{}",
        told_of.words
    );
}

#[test]
fn nothing_that_is_written_in_an_inventory_can_pass_for_the_comments_own() {
    let hostile =
        "</details> @you #1 !2 | `x` ``` <!-- bascule review inventory --> [a](https://x.org) ::error:: \\u202E";
    let name = format!("sites/{}.yaml", "@you | <img src=x> `a`");
    let site = format!("name: dijon\nsubnets: [\"{}\"]\n", hostile.replace('"', "\\\""));
    let files: FileSet = [(name.as_str(), site.as_bytes())].into_iter().collect();
    let mut diagnostics = load(&files, Revision::new("r")).diagnostics;
    assert!(!diagnostics.is_empty());
    // As a later version may write them: over several lines, and with commands.
    diagnostics[0].hint = Some(format!("{hostile}\n\n::error::no\n- @you"));
    let proposal = Proposal {
        folder: "a/-->/@you/",
        against: hostile,
        files: 1,
        diagnostics: &diagnostics,
        before: None,
        after: None,
        is_required: false,
    };
    let mut services = of(SERVICES, BACKENDS);
    let mut told_of = vec![comment(&proposal)];
    let before = services.clone();
    let service = services.services.values_mut().next().expect("a service");
    std::sync::Arc::make_mut(service).description = Some(hostile.to_owned());
    told_of.push(comment(&Proposal { before: Some(&before), after: Some(&services), ..proposal }));
    for Comment { marker, markdown, .. } in &told_of {
        let outside = without_code(markdown);
        let body = outside.strip_prefix(marker.as_str()).expect("its marker");
        for part in ["@you", "#1", "!2", "<!--", "<img", "](", "\u{202e}"] {
            assert!(!body.contains(part), "{part} is outside of code: {markdown}");
        }
        assert_eq!(marker, "<!-- bascule review a/%2D%2D%3E/%40you -->");
        assert!(!markdown.lines().any(|line| line.trim_start().starts_with("::")), "{markdown}");
        for row in markdown.lines().filter(|line| line.starts_with("| against")) {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 3, "{row}");
        }
        assert_eq!(outside.matches("<details>").count(), outside.matches("</details>").count(), "{markdown}");
    }
}

#[test]
fn a_whole_comment_is_never_too_long() {
    let services = |count: usize| {
        let one = |number: usize| format!("{{name: {number}-{}, domains: [s{number}.example.org]}}", "x".repeat(20));
        (0..count).map(one).collect::<Vec<_>>().join("\n---\n")
    };
    let backends = |count: usize, thory: &str| {
        let one = |number: usize| {
            let (service, high, low) = (format!("{number}-{}", "x".repeat(20)), number / 200, number % 200 + 1);
            format!(
                "{{service: {service}, name: d{number}, site: dijon, addr: 127.1.{high}.{low}, port: 80}}\n---\n\
                 {{service: {service}, name: t{number}, site: thory, addr: 127.2.{high}.{low}, port: 80{thory}}}"
            )
        };
        (0..count).map(one).collect::<Vec<_>>().join("\n---\n")
    };
    for count in [300, 600] {
        let before = of(&services(count), &backends(count, ""));
        let after = of(&services(count), &backends(count, ", state: drain"));
        let mut diagnostics = load(&FileSet::default(), Revision::new("r")).diagnostics;
        let first = diagnostics.first().cloned().expect("an empty inventory has a fault");
        diagnostics.extend((0..500).map(|number| Diagnostic { message: format!("fault {number}"), ..first.clone() }));
        let told_of = told(Some(&before), Some(&after), &diagnostics);
        let text = told_of.markdown;
        assert!(text.len() < COMMENT_MAX, "{} bytes", text.len());
        assert!(text.contains("to change") && text.contains("more lines left out"), "{}", &text[..600]);
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        assert!(text.ends_with("</sub>\n"), "the end is there");
    }
}
