//! What a plan says about an edge.

use bascule::core::caddy::{compare, diff};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A service's route as rendered, in short.
fn route(service: &str, upstreams: &[&str]) -> Value {
    let dials: Vec<_> = upstreams.iter().map(|dial| json!({ "dial": dial })).collect();
    json!({
        "@id": format!("service-{service}"),
        "match": [{"host": [format!("{service}.example.org")]}],
        "handle": [{
            "handler": "reverse_proxy",
            "upstreams": dials,
            "load_balancing": {"selection_policy": {"policy": "round_robin"}, "retries": upstreams.len()},
        }],
    })
}

fn catch_all() -> Value {
    json!({"handle": [{"handler": "static_response", "status_code": 503}]})
}

fn config(routes: &[Value]) -> Value {
    json!({"apps": {"http": {"servers": {"bascule-http": {"listen": [":80"], "routes": routes}}}}})
}

#[track_caller]
fn check(actual: &Value, rendered: &Value, expected: &[&str]) {
    let changes: Vec<String> = diff(actual, rendered).iter().map(ToString::to_string).collect();
    assert_eq!(changes, expected, "{actual} against {rendered}");
    assert_eq!(changes.is_empty(), compare::same(actual, rendered));
}

#[test]
fn services_and_upstreams_have_words() {
    let www = route("www", &["127.1.0.1:80", "127.2.0.1:80"]);
    let before = config(&[www.clone(), catch_all()]);
    check(&before, &before, &[]);
    check(
        &before,
        &config(&[route("api", &["127.1.0.2:80"]), www.clone(), catch_all()]),
        &["+ service api -> 127.1.0.2:80"],
    );
    check(&before, &config(&[catch_all()]), &["- service www"]);
    check(
        &before,
        &config(&[route("www", &["127.2.0.1:80", "127.3.0.1:80"]), catch_all()]),
        &["~ service www: + upstream 127.3.0.1:80", "~ service www: - upstream 127.1.0.1:80"],
    );
    check(
        &before,
        &config(&[route("www", &["127.1.0.1:80"]), catch_all()]),
        &["~ service www: - upstream 127.2.0.1:80"],
    );
    let weighted = route("www", &["127.1.0.1:80", "127.1.0.1:80", "127.2.0.1:80", "127.1.0.1:80"]);
    let told = ["~ service www: weights 127.1.0.1:80 = 3, 127.2.0.1:80 = 1"];
    check(&before, &config(&[weighted.clone(), catch_all()]), &told);
    check(
        &config(&[weighted.clone(), catch_all()]),
        &before,
        &["~ service www: weights 127.1.0.1:80 = 1, 127.2.0.1:80 = 1"],
    );
    let mut both = weighted.clone();
    both["match"][0]["host"] = json!(["example.org"]);
    check(&before, &config(&[both, catch_all()]), &[told[0], "~ service www: settings"]);
    let mut foreign = weighted.clone();
    foreign["handle"][0]["load_balancing"]["selection_policy"] = json!({"policy": "random"});
    check(&before, &config(&[foreign, catch_all()]), &["~ service www: settings"]);
    // Whoever is left of two gets everything: no other weight.
    check(
        &config(&[weighted, catch_all()]),
        &config(&[route("www", &["127.1.0.1:80"]), catch_all()]),
        &["~ service www: - upstream 127.2.0.1:80"],
    );
    let mut renamed = route("www", &["127.1.0.1:80"]);
    renamed["match"][0]["host"] = json!(["example.org"]);
    check(
        &before,
        &config(&[renamed, catch_all()]),
        &["~ service www: - upstream 127.2.0.1:80", "~ service www: settings"],
    );
    let nothing = json!({"@id": "service-www", "handle": [{"handler": "static_response"}]});
    check(&config(&[catch_all()]), &config(&[nothing, catch_all()]), &["+ service www"]);
}

#[test]
fn servers_and_parts_have_words() {
    let before = config(&[route("www", &["127.1.0.1:80"]), catch_all()]);
    let changed = |pointer: &str, value: Value| {
        let mut after = before.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        after.pointer_mut(parent).expect("a place")[key] = value;
        after
    };
    let servers = "/apps/http/servers";
    check(&before, &changed(&format!("{servers}/bascule-http/listen"), json!([":81"])), &["~ server bascule-http"]);
    check(
        &before,
        &changed(&format!("{servers}/bascule-https"), json!({"listen": [":443"]})),
        &["+ server bascule-https"],
    );
    check(&changed(&format!("{servers}/bascule-https"), json!({})), &before, &["- server bascule-https"]);
    check(
        &changed(&format!("{servers}/srv0"), json!({})),
        &before,
        &["- server srv0, which is not from this inventory"],
    );
    check(&before, &changed("/apps/tls", json!({"automation": {}})), &["~ apps.tls"]);
    check(&before, &changed("/apps/http/https_port", json!(8443)), &["~ apps.http.https_port"]);
    check(&changed("/logging", json!({"logs": {}})), &before, &["~ logging"]);
    check(&changed("/admin", json!({"listen": ":1"})), &before, &[]);
    for nothing in [json!(null), json!({}), json!({"admin": {}}), json!({"apps": {}})] {
        check(
            &nothing,
            &before,
            &["the edge runs nothing yet", "+ server bascule-http", "+ service www -> 127.1.0.1:80"],
        );
    }
}

#[test]
fn the_order_of_routes_counts() {
    let (api, www) = (route("api", &["127.1.0.2:80"]), route("www", &["127.1.0.1:80"]));
    let rendered = config(&[api.clone(), www.clone(), catch_all()]);
    // Somebody's hand put the catch-all first: nothing is served any more.
    check(&config(&[catch_all(), api.clone(), www.clone()]), &rendered, &["~ server bascule-http"]);
    check(&config(&[www.clone(), api.clone(), catch_all()]), &rendered, &["~ server bascule-http"]);
    check(&config(&[api.clone(), www.clone(), catch_all(), catch_all()]), &rendered, &["~ server bascule-http"]);
    // A second route of the same service.
    check(&config(&[api.clone(), www.clone(), www.clone(), catch_all()]), &rendered, &["~ server bascule-http"]);
    // A service that comes or goes moves nobody.
    check(&config(&[www, catch_all()]), &rendered, &["+ service api -> 127.1.0.2:80"]);
}

#[test]
fn what_has_no_words_is_a_difference_all_the_same() {
    check(&json!({"apps": {"http": {}}}), &json!({"apps": {}}), &["~ apps"]);
    check(&json!(null), &json!({}), &["~ apps"]);
}

#[test]
fn a_spelling_of_caddys_is_none() {
    let rendered = config(&[json!({"@id": "service-a", "n": 200}), catch_all()]);
    let actual = config(&[json!({"@id": "service-a", "n": 200.0}), catch_all()]);
    check(&actual, &rendered, &[]);
    let both = config(&[json!({"@id": "service-a", "n": 200.0}), json!({"@id": "service-b"}), catch_all()]);
    check(&both, &rendered, &["- service b"]);
}

#[test]
fn a_service_that_moves_between_servers_changes() {
    let on = |server: &str| {
        let mut servers = json!({"bascule-http": {"routes": []}, "bascule-https": {"routes": []}});
        servers[server]["routes"] = json!([route("www", &["127.1.0.1:80"])]);
        json!({"apps": {"http": {"servers": servers}}})
    };
    check(&on("bascule-http"), &on("bascule-https"), &["~ service www: settings"]);
}

fn any_route() -> impl Strategy<Value = Value> {
    prop_oneof![
        (prop::sample::select(vec!["a", "b", "c"]), prop::sample::subsequence(vec!["1:1", "2:2"], 0..=2))
            .prop_map(|(service, dials)| route(service, &dials)),
        Just(catch_all()),
        prop_oneof![Just(json!({"@id": "service-a", "n": 1})), Just(json!({"@id": "service-a", "n": 1.0}))],
        prop_oneof![Just(json!(null)), Just(json!({"@id": 1})), Just(json!({"@id": "mine"}))],
    ]
}

fn any_config() -> impl Strategy<Value = Value> {
    let server = prop_oneof![
        4 => prop::collection::vec(any_route(), 0..4).prop_map(|routes| json!({"listen": [":80"], "routes": routes})),
        1 => prop_oneof![Just(json!({})), Just(json!(null)), Just(json!({"routes": null}))],
    ];
    let servers = prop::collection::btree_map("bascule-http|bascule-https|srv0", server, 0..3);
    let http = (servers, any::<bool>()).prop_map(|(servers, has_port)| {
        if has_port { json!({"servers": servers, "http_port": 81}) } else { json!({ "servers": servers }) }
    });
    prop_oneof![
        6 => http.prop_map(|http| json!({"admin": {"listen": ":1"}, "apps": {"http": http}})),
        1 => prop_oneof![
            Just(json!(null)), Just(json!({})), Just(json!([])), Just(json!({"admin": {}})), Just(json!({"apps": null})),
            Just(json!({"apps": {}})), Just(json!({"apps": {"http": {}}})), Just(json!({"apps": {"http": null}})),
        ],
    ]
}

proptest! {
    #[test]
    fn empty_exactly_where_both_are_the_same(actual in any_config(), rendered in any_config()) {
        for (actual, rendered) in [(&actual, &rendered), (&actual, &actual)] {
            let changes = diff(actual, rendered);
            prop_assert_eq!(changes.is_empty(), compare::same(actual, rendered), "{:?}", changes);
        }
    }
}
