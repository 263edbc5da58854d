//! The part of a configuration that is bascule's, where the rest is somebody else's.

use serde_json::{Map, Value};

use super::compare::ADMIN;
use super::server::OWN_SERVERS;

/// Bascule's own servers of a configuration, and `admin`, which is never bascule's and in what is pushed all the same, as a
/// configuration by itself.
#[must_use]
pub fn own_part(config: &Value) -> Value {
    let servers = servers(config);
    let own: Map<_, _> = servers.into_iter().flatten().filter(|(name, _)| is_own(name)).map(cloned).collect();
    let mut part = Map::new();
    if let Some(admin) = config.get(ADMIN) {
        part.insert(ADMIN.to_owned(), admin.clone());
    }
    if !own.is_empty() {
        let servers = Value::Object(own);
        part.extend([("apps".to_owned(), serde_json::json!({ "http": { "servers": servers } }))]);
    }
    Value::Object(part)
}

/// A configuration with these own servers in the place of those that it had. Nothing else of it changes.
#[must_use]
pub fn with_own_part(config: Value, part: &Value) -> Value {
    let own = servers(part);
    let mut config = config;
    let mut at = &mut config;
    for key in ["apps", "http", "servers"] {
        at = object(at).entry(key).or_insert(Value::Null);
    }
    let servers = object(at);
    servers.retain(|name, _| !is_own(name));
    servers.extend(own.into_iter().flatten().map(cloned));
    config
}

/// Says which listener of bascule's is at the port of somebody else's. Caddy compares the addresses as they are written, and
/// takes `:80` beside `127.0.0.1:80`: the more exact one then gets the connections.
pub fn taken_port(config: &Value) -> Option<String> {
    let servers = servers(config)?;
    let listeners = |own: bool| {
        servers.iter().filter(move |(name, _)| is_own(name) == own).flat_map(|(name, server)| {
            let listen = server.get("listen").and_then(Value::as_array).into_iter().flatten();
            listen.filter_map(Value::as_str).map(move |address| (name, address))
        })
    };
    listeners(true).find_map(|(_, own)| {
        let (name, theirs) = listeners(false).find(|(_, theirs)| meet(own, theirs))?;
        Some(format!("listener address {own}: server {name} has {theirs}; listen on another port"))
    })
}

/// True for two addresses of which one takes connections that are meant for the other.
fn meet(one: &str, other: &str) -> bool {
    let parts = |address: &str| {
        let address = address.strip_prefix("tcp/").unwrap_or(address);
        address.rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned()))
    };
    let is_all = |host: &str| matches!(host, "" | "0.0.0.0" | "[::]");
    match (parts(one), parts(other)) {
        (Some((one, port)), Some((other, other_port))) => {
            port == other_port && (one == other || is_all(&one) || is_all(&other))
        }
        _ => false,
    }
}

/// The servers of a configuration by name; none where it has no such mapping.
pub(super) fn servers(config: &Value) -> Option<&Map<String, Value>> {
    config.pointer("/apps/http/servers").and_then(Value::as_object)
}

fn is_own(name: &str) -> bool {
    name.starts_with(OWN_SERVERS)
}

fn cloned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// The mapping that a value is. Anything else that stands in its place is none that Caddy would run.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(entries) => entries,
        _ => unreachable!("it has just been made one"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_own_servers_are_seen_and_replaced() {
        let config = json!({
            "admin": {"listen": ":2019"},
            "apps": {
                "http": {"grace_period": "3s", "servers": {"shop": {"listen": [":80"]}, "bascule-http": {"listen": [":81"]}}},
                "tls": {"automation": {}},
            },
            "logging": {"logs": {}},
        });
        let own = json!({"bascule-http": {"listen": [":81"]}});
        assert_eq!(own_part(&config), json!({"admin": {"listen": ":2019"}, "apps": {"http": {"servers": own}}}));
        let new =
            json!({"admin": {"listen": ":1"}, "apps": {"http": {"servers": {"bascule-relay": {"listen": [":82"]}}}}});
        let mut expected = config.clone();
        expected["apps"]["http"]["servers"] =
            json!({"shop": {"listen": [":80"]}, "bascule-relay": {"listen": [":82"]}});
        assert_eq!(with_own_part(config, &new), expected);
    }

    #[test]
    fn a_port_that_somebody_else_has_is_not_taken() {
        for (theirs, ours, is_taken) in [
            (":80", "127.0.0.1:80", true),
            ("127.0.0.1:80", ":80", true),
            ("tcp/0.0.0.0:80", "10.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "10.0.0.1:80", false),
            (":80", ":8080", false),
            ("unix//run/shop.sock", ":80", false),
        ] {
            let servers = json!({"shop": {"listen": [theirs]}, "bascule-http": {"listen": [ours]}});
            let said = taken_port(&json!({"apps": {"http": {"servers": servers}}}));
            assert_eq!(said.is_some(), is_taken, "{theirs} and {ours}: {said:?}");
        }
    }

    #[test]
    fn an_empty_caddy_gets_its_first_servers() {
        let part = json!({"apps": {"http": {"servers": {"bascule-http": {}}}}});
        for empty in [json!(null), json!({}), json!({"apps": null}), json!({"apps": {"http": {}}})] {
            assert_eq!(own_part(&empty), json!({}), "{empty}");
            assert_eq!(with_own_part(empty, &part), part);
        }
    }

    fn any_servers() -> impl Strategy<Value = Value> {
        let name = prop_oneof!["bascule-[a-b]", "[a-c]{1,3}"];
        prop::collection::btree_map(name, (0..9_u8).prop_map(Value::from), 0..4)
            .prop_map(|servers| json!({"apps": {"http": {"servers": servers, "x": 1}, "tls": {}}, "storage": {}}))
    }

    proptest! {
        #[test]
        fn what_is_put_in_is_seen_and_the_rest_stays(config in any_servers(), other in any_servers()) {
            let part = own_part(&other);
            let whole = with_own_part(config.clone(), &part);
            prop_assert_eq!(own_part(&whole), part);
            prop_assert_eq!(with_own_part(whole, &own_part(&config)), config);
        }
    }
}
