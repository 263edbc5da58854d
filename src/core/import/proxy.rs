//! A `reverse_proxy` in the words of an inventory.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::claims::{UNKNOWN, list};
use super::evaluate::plain_dial;
use super::health::{self, Health};
use super::span;
use crate::core::inventory::Sticky;
use crate::core::model::{Hostname, TimeSpan};

/// What is known of a `reverse_proxy`. Equal ones may be one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Addresses with their weights, in Caddy's order.
    pub(super) upstreams: Vec<(SocketAddr, u64)>,
    /// The first one that is up gets everything.
    pub(super) is_ordered: bool,
    pub(super) sticky: Option<Sticky>,
    pub(super) health: Option<Health>,
    pub(super) tls: Option<Tls>,
    pub(super) is_fresh: bool,
    /// Keys of `timeouts`.
    pub(super) timeouts: BTreeMap<&'static str, TimeSpan>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) server_name: Option<Hostname>,
    pub(super) is_verified: bool,
}

/// What is not carried of a handler, by its JSON path.
pub(super) type Notes = Vec<(String, String)>;

/// Reads a handler; or says why it cannot be carried.
pub(super) fn read(handler: &Map<String, Value>, at: &str) -> Result<(Proxy, Notes), String> {
    let (mut proxy, mut notes) = (Proxy::default(), Notes::new());
    for (key, value) in handler {
        let mut note = |why: &str| notes.push((format!("{at}.{key}"), why.to_owned()));
        match key.as_str() {
            "handler" | "upstreams" | "@id" => {}
            "load_balancing" => balancing(value, &format!("{at}.{key}"), &mut proxy, &mut notes, handler)?,
            "health_checks" => {
                for (kind, checks) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.health_checks.{kind}");
                    if kind == "active" {
                        proxy.health = health::read(checks, &at, &mut notes);
                    } else {
                        notes.push((at, "edges get passive checks of Bascule's own".to_owned()));
                    }
                }
            }
            "transport" => transport(value, &format!("{at}.{key}"), &mut proxy, &mut notes)?,
            "stream_close_delay" => match span::read(value) {
                Some(span) => _ = proxy.timeouts.insert("stream_close", span),
                None => note("it is not a time that an inventory can say"),
            },
            "headers" if value.get("request").is_none() => note("an inventory has no headers; answers go without them"),
            "flush_interval" | "buffer_requests" | "buffer_responses" | "request_buffers" | "response_buffers"
            | "stream_timeout" | "stream_buffer_size" | "verbose_logs" => {
                note("an inventory has no such setting; Caddy's default holds");
            }
            "headers" => return Err("it changes the headers that backends get, and an inventory has none".to_owned()),
            _ => return Err(format!("it has `{key}`, and an inventory has nothing of the kind")),
        }
    }
    upstreams(handler, at, &mut proxy, &mut notes)?;
    Ok((proxy, notes))
}

fn upstreams(handler: &Map<String, Value>, at: &str, proxy: &mut Proxy, notes: &mut Notes) -> Result<(), String> {
    let weights = handler.get("load_balancing").and_then(|it| it.pointer("/selection_policy/weights"));
    let weights = list(weights);
    for (index, upstream) in list(handler.get("upstreams")).iter().enumerate() {
        let dial = upstream.get("dial").and_then(Value::as_str).unwrap_or_default();
        let plain = plain_dial(dial);
        let address: SocketAddr =
            plain.parse().ok().filter(|it: &SocketAddr| it.port() > 0).ok_or_else(|| {
                format!("its upstream `{dial}` is not an IP address with a port, and backends have one")
            })?;
        if dial.starts_with("localhost:") {
            notes.push((format!("{at}.upstreams[{index}].dial"), "`localhost` became 127.0.0.1".to_owned()));
        }
        for key in upstream.as_object().into_iter().flat_map(Map::keys).filter(|key| *key != "dial") {
            notes.push((format!("{at}.upstreams[{index}].{key}"), UNKNOWN.to_owned()));
        }
        let weight = weights.get(index).and_then(Value::as_u64).unwrap_or(1);
        match proxy.upstreams.iter_mut().find(|(known, _)| *known == address) {
            // Caddy takes turns by the list, so an address that stands there twice has two of them.
            Some((_, sum)) => *sum += weight,
            None => proxy.upstreams.push((address, weight)),
        }
    }
    if proxy.upstreams.is_empty() {
        return Err("it has no upstreams".to_owned());
    }
    if proxy.upstreams.iter().any(|(_, weight)| *weight > 1000) || proxy.upstreams.iter().all(|(_, it)| *it == 0) {
        return Err("its weights are not from 0 to 1000 with one above 0".to_owned());
    }
    Ok(())
}

fn balancing(
    value: &Value,
    at: &str,
    proxy: &mut Proxy,
    notes: &mut Notes,
    handler: &Map<String, Value>,
) -> Result<(), String> {
    for key in value.as_object().into_iter().flat_map(Map::keys).filter(|key| *key != "selection_policy") {
        notes.push((format!("{at}.{key}"), "Bascule says itself what is tried again".to_owned()));
    }
    let Some(policy) = value.get("selection_policy") else { return Ok(()) };
    let at = format!("{at}.selection_policy");
    let mut known = vec!["policy"];
    match policy.get("policy").and_then(Value::as_str).unwrap_or("random") {
        "random" | "round_robin" => {}
        "weighted_round_robin" => {
            known.push("weights");
            let (weights, upstreams) = (list(policy.get("weights")).len(), list(handler.get("upstreams")).len());
            if weights != upstreams {
                return Err(format!("it has {weights} weights for {upstreams} upstreams"));
            }
        }
        "first" => proxy.is_ordered = list(handler.get("upstreams")).len() > 1,
        "ip_hash" | "client_ip_hash" => proxy.sticky = Some(Sticky::ClientAddress),
        "cookie" => proxy.sticky = Some(Sticky::Cookie),
        "header" => {
            let field = policy.get("field").and_then(Value::as_str).unwrap_or_default();
            match format!("header:{field}").parse() {
                Ok(sticky) => (known.push("field"), proxy.sticky = Some(sticky)).1,
                Err(_) => notes.push((format!("{at}.field"), "an inventory takes no such header".to_owned())),
            }
        }
        other => {
            notes.push((at.clone(), format!("an inventory has no `{other}`; backends share the traffic by weight")));
        }
    }
    for key in policy.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(&key.as_str())) {
        notes.push((format!("{at}.{key}"), "an inventory has no such setting; Bascule has its own".to_owned()));
    }
    Ok(())
}

fn transport(value: &Value, at: &str, proxy: &mut Proxy, notes: &mut Notes) -> Result<(), String> {
    let protocol = value.get("protocol").and_then(Value::as_str).unwrap_or_default();
    if protocol != "http" {
        return Err(format!("it speaks `{protocol}` with its upstreams, and edges speak HTTP"));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let timeout = match key.as_str() {
            "protocol" => continue,
            "tls" => {
                proxy.tls = Some(tls(value)?);
                continue;
            }
            "keep_alive" => {
                proxy.is_fresh = value.get("enabled") == Some(&Value::Bool(false));
                if !proxy.is_fresh || value.as_object().is_some_and(|it| it.len() > 1) {
                    notes.push((format!("{at}.{key}"), "of kept connections an inventory says yes or no".to_owned()));
                }
                continue;
            }
            "dial_timeout" => Some("dial"),
            "response_header_timeout" => Some("response"),
            "compression"
            | "max_conns_per_host"
            | "max_response_header_size"
            | "read_buffer_size"
            | "read_timeout"
            | "write_buffer_size"
            | "write_timeout"
            | "expect_continue_timeout"
            | "dial_fallback_delay" => None,
            _ => return Err(format!("its transport has `{key}`, and an inventory has nothing of the kind")),
        };
        match (timeout, span::read(value)) {
            (Some(timeout), Some(span)) => _ = proxy.timeouts.insert(timeout, span),
            (Some(_), None) => notes.push((format!("{at}.{key}"), "it is no time from 1ms to 24h".to_owned())),
            (None, _) => notes.push((format!("{at}.{key}"), UNKNOWN.to_owned())),
        }
    }
    Ok(())
}

fn tls(value: &Value) -> Result<Tls, String> {
    let mut tls = Tls { server_name: None, is_verified: true };
    for (key, value) in value.as_object().into_iter().flatten() {
        match key.as_str() {
            "insecure_skip_verify" => tls.is_verified = value != &Value::Bool(true),
            "server_name" => {
                let name = value.as_str().unwrap_or_default();
                let name = name.parse().map_err(|_| format!("its `server_name` {name} is no host name"))?;
                tls.server_name = Some(name);
            }
            _ => return Err(format!("its TLS has `{key}`, and an inventory has nothing of the kind")),
        }
    }
    if tls.is_verified && tls.server_name.is_none() {
        return Err("it verifies certificates by the upstream's address, and an inventory by a name".to_owned());
    }
    Ok(tls)
}
