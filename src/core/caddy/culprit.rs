//! Which service a refusal of Caddy's is of.

use serde_json::Value;

use super::render::service_of_route_id;
use super::scope::servers;
use super::sweep;
use crate::core::model::ServiceName;

/// The one service that Caddy refuses a configuration for, by the words of its refusal (as 2.11.7 has them); none where it is
/// of something else, or of more than one.
///
/// Caddy counts routes: `server bascule-http: setting up route handlers: route 3: loading handler modules: …`. The first
/// number is that of a route of a server; those after it are of routes inside. Of a sweep it says the name.
pub fn culprit(message: &str, config: &Value) -> Option<ServiceName> {
    by_number(message, config).or_else(|| by_sweep(message, config))
}

fn by_number(message: &str, config: &Value) -> Option<ServiceName> {
    let (server, rest) = message.split_once("server ")?.1.split_once(": setting up route ")?;
    let number = rest.split_once(": route ")?.1.split(':').next()?;
    let routes = &servers(config)?.get(server)?["routes"];
    service_of(&routes[number.parse::<usize>().ok()?])
}

/// A sweep may stand for several services.
fn by_sweep(message: &str, config: &Value) -> Option<ServiceName> {
    let name = message.split([' ', ':', '\'', '"']).find(|word| sweep::is_name(word))?;
    let called = format!("\"{name}\"");
    let routes = servers(config)?.values().flat_map(|server| server["routes"].as_array().into_iter().flatten());
    let mut callers = routes.filter(|route| route["handle"].to_string().contains(&called));
    let first = service_of(callers.next()?)?;
    callers.all(|route| service_of(route).as_ref() == Some(&first)).then_some(first)
}

fn service_of(route: &Value) -> Option<ServiceName> {
    service_of_route_id(route["@id"].as_str()?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_of_the_service_whose_route_it_counts() {
        let sweep = |name: &str| json!([{"handler": "subroute", "errors": {"routes": [{"handle": [{"name": name}]}]}}]);
        let routes = json!([
            {"@id": "service-api", "handle": sweep("sweep-1")},
            {"@id": "service-www", "handle": sweep("sweep-2")},
            {"@id": "service-cron", "handle": sweep("sweep-2")},
            {"handle": []},
        ]);
        let config = json!({"apps": {"http": {"servers": {"bascule-http": {"routes": routes}}}}});
        let start = "loading new config: loading http app module: provision http: server";
        let nested = "loading module 'subroute': setting up subroutes: route 0: unknown module: http.handlers.nomod";
        for (message, expected) in [
            (format!("{start} bascule-http: setting up route handlers: route 1: {nested}"), Some("www")),
            (format!("{start} bascule-http: setting up route matchers: route 0: loading matcher modules"), Some("api")),
            (format!("{start} bascule-http: setting up route handlers: route 3: {nested}"), None),
            (format!("{start} bascule-http: setting up route handlers: route 9: {nested}"), None),
            (format!("{start} other: setting up route handlers: route 1: {nested}"), None),
            (format!("{start} sweep-1: setting up named route 'bascule-http' handlers: {nested}"), Some("api")),
            (format!("{start} sweep-2: setting up named route 'bascule-http' handlers: {nested}"), None),
            ("loading new config: http app module: start: listening on :80: address already in use".to_owned(), None),
        ] {
            assert_eq!(culprit(&message, &config).as_ref().map(ServiceName::as_str), expected, "{message}");
        }
    }
}
