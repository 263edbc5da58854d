//! See `src/core/import.rs`: configurations as people have them, what is made of each, and what is said of the rest.

mod program;
mod real_caddy;

use std::path::{Path, PathBuf};

use bascule::core::import::{Extent, Import, ImportError, Settings, import, text};
use bascule::core::inventory::{format, load};
use bascule::core::model::{FileSet, Revision, Severity};
use serde_json::{Value, json};

const CASES: [&str; 6] = ["adapted", "balancing", "guards", "path-routes", "several-sites", "tls"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/import/{name}.json"))
}

fn config(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).expect("a fixture")).expect("JSON")
}

fn imported(config: &Value) -> Import {
    import(config, &Settings::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Each becomes the inventory and the report in its snapshot; the inventory is good, and in the one style.
#[test]
fn configurations_become_inventories() {
    for name in CASES {
        let import = imported(&config(name));
        let files: FileSet = import.files.iter().map(|(path, text)| (path.clone(), text.as_bytes().to_vec())).collect();
        let loaded = load(&files, Revision::new("0123456789abcdef"));
        let errors: Vec<_> = loaded.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        for (path, written) in &import.files {
            assert_eq!(format(written).as_ref(), Ok(written), "{name}: {path}");
        }
        assert!(import.is_explained(), "{name}:\n{}", text(&import, Extent::Folded));
        let shown =
            import.files.iter().fold(String::new(), |shown, (path, text)| shown + "# " + path + "\n" + text + "\n");
        insta::with_settings!({ snapshot_path => "../fixtures/import", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, shown + &text(&import, Extent::Folded));
        });
    }
}

/// No secret of a configuration is told.
#[test]
fn secrets_are_not_told() {
    for (name, secret) in [("balancing", "not-told"), ("adapted", "$2a$14$")] {
        let import = imported(&config(name));
        assert!(config(name).to_string().contains(secret), "{name}");
        assert!(
            !text(&import, Extent::Folded).contains(secret) && !format!("{:?}", import.files).contains(secret),
            "{name}"
        );
    }
}

/// Caddy takes the first route that matches, an inventory the most exact: where that is not the same, it is said.
#[test]
fn an_order_that_an_inventory_cannot_say_is_a_difference() {
    let proxy = |dial: &str| json!([{"handler": "reverse_proxy", "upstreams": [{"dial": dial}]}]);
    let routes = json!([
        {"match": [{"host": ["*.example.org"], "path": ["/api/*", "/api"]}], "handle": proxy("10.0.0.1:80")},
        {"match": [{"host": ["a.example.org"]}], "handle": proxy("10.0.0.2:80")},
    ]);
    let server = json!({"listen": [":8080"], "automatic_https": {"disable": true}, "routes": routes});
    let import = imported(&json!({"apps": {"http": {"servers": {"web": server}}}}));
    assert!(!import.is_explained(), "{}", text(&import, Extent::Folded));
    let unexplained: Vec<_> = import.proof.differences.iter().filter(|it| it.reason.is_none()).collect();
    assert!(unexplained.iter().all(|it| it.request.host.eq_ignore_ascii_case("a.example.org")), "{unexplained:?}");
}

#[test]
fn an_edge_listens_once_at_an_address_and_never_at_its_admin_api() {
    let proxy = json!([{"handler": "reverse_proxy", "upstreams": [{"dial": "10.0.0.1:80"}]}]);
    let routes = json!([{"match": [{"host": ["a.example.org"]}], "handle": proxy}]);
    let listen = json!(["127.0.0.1:8080", ":8080", "127.0.0.1:8081", ":2019", "127.0.0.1:8081", ":8080"]);
    let server = json!({"listen": listen, "automatic_https": {"disable": true}, "routes": routes});
    let servers = json!({"http": {"servers": {"web": server}}});
    for (admin, expected) in
        [(":2019", "127.0.0.1:2020"), ("localhost:8081", "127.0.0.1:2020"), ("localhost:2021", "localhost:2021")]
    {
        let import = imported(&json!({"admin": {"listen": admin}, "apps": servers}));
        let edge = import.files.iter().find(|(path, _)| path.starts_with("edges/")).expect("an edge");
        assert!(edge.1.contains(&format!("admin: http://{expected}\n")), "{admin}: {}", edge.1);
        let told = text(&import, Extent::Whole);
        assert_eq!(told.contains("a server listens at"), expected != "localhost:2021", "{told}");
        assert_eq!(edge.1.matches("8080").count() + edge.1.matches("8081").count(), 2, "{}", edge.1);
    }
}

/// Caddy takes a list without an item for one that nothing is on.
#[test]
fn an_empty_list_of_hosts_or_paths_is_for_nobody() {
    let proxy = |dial: &str| json!([{"handler": "reverse_proxy", "upstreams": [{"dial": dial}]}]);
    let routes = json!([
        {"match": [{"host": []}], "handle": proxy("10.0.0.1:80")},
        {"match": [{"host": ["a.example.org"], "path": []}], "handle": proxy("10.0.0.2:80")},
        {"match": [{"host": ["a.example.org"]}], "handle": proxy("10.0.0.3:80")},
    ]);
    let server = json!({"listen": [":8080"], "automatic_https": {"disable": true}, "routes": routes});
    let import = imported(&json!({"apps": {"http": {"servers": {"web": server}}}}));
    assert!(import.is_explained(), "{}", text(&import, Extent::Whole));
    let backends: Vec<_> = import.files.iter().filter(|(path, _)| path.starts_with("backends/")).collect();
    assert!(backends.len() == 1 && backends[0].1.contains("10.0.0.3"), "{backends:?}");
    assert!(text(&import, Extent::Whole).contains("no request can match it here"), "{}", text(&import, Extent::Whole));
}

#[test]
fn all_backends_may_be_at_one_site() {
    let settings = Settings { site: Some("dijon".parse().expect("a name")), admin: None };
    let import = import(&config("several-sites"), &settings).expect("it can be imported");
    let sites: Vec<_> = import.files.iter().filter(|(path, _)| path.starts_with("sites/")).collect();
    assert_eq!(sites.len(), 1, "{sites:?}");
    assert!(sites[0].1.contains("10.200.2.0/24"), "{sites:?}");
}

#[test]
fn what_serves_nothing_is_refused() {
    assert_eq!(import(&Value::Null, &Settings::default()), Err(ImportError::NoServers));
    let empty = json!({"apps": {"http": {"servers": {"web": {"listen": [":80"]}}}}});
    assert!(matches!(import(&empty, &Settings::default()), Err(ImportError::Nothing(_))));
}

fn one_proxy(headers: &Value) -> Value {
    let active = json!({"uri": "/health", "headers": headers});
    let proxy = json!({"handler": "reverse_proxy", "upstreams": [{"dial": "10.0.0.1:80"}], "health_checks": {"active": active}});
    let route = json!({"match": [{"host": ["a.example.org"]}], "handle": [proxy]});
    let server = json!({"listen": [":8080"], "automatic_https": {"disable": true}, "routes": [route]});
    json!({"apps": {"http": {"servers": {"web": server}}}})
}

/// In whatever case it is written, a header is one, and a probe sends it once.
#[test]
fn one_header_under_two_names_is_one() {
    for (headers, kept, left_out) in [
        (json!({"X-Probe": ["a"], "x-probe": ["a"]}), "X-Probe: a", None),
        (json!({"X-Probe": ["a"], "x-probe": ["b"]}), "X-Probe: a", Some("headers.x-probe")),
        (json!({"X-Probe": ["a", "b"]}), "X-Probe: a", Some("headers.X-Probe")),
        (json!({"Host": ["b.example.org"], "host": ["c.example.org"]}), "host: b.example.org", Some("headers.host")),
    ] {
        let import = imported(&one_proxy(&headers));
        let service = import.files.iter().find(|(path, _)| path.starts_with("services/")).expect("a service").1;
        assert!(service.contains(kept), "{headers}: {service}");
        let told: Vec<_> = import.left_out.iter().filter(|(at, _)| at.contains(".headers.")).collect();
        match left_out {
            None => assert!(told.is_empty(), "{headers}: {told:?}"),
            Some(at) => assert!(told.len() == 1 && told[0].0.ends_with(at) && told[0].1.contains("once"), "{told:?}"),
        }
    }
}

#[test]
fn what_is_alike_is_folded_unless_all_is_asked_for() {
    let headers: serde_json::Map<_, _> = (1..=7).map(|number| (format!("X-{number}"), json!(["{env.A}"]))).collect();
    let import = imported(&one_proxy(&Value::Object(headers)));
    let line = |extent| text(&import, extent).lines().find(|line| line.contains("X-1")).map(str::to_owned);
    let (folded, whole) = (line(Extent::Folded).expect("a line"), line(Extent::Whole).expect("a line"));
    assert!(folded.contains(".headers.X-3 and 4 more: an inventory takes no such header"), "{folded}");
    assert!(!folded.contains("X-4") && whole.contains("X-7") && !whole.contains("more"), "{folded}\n{whole}");
}
