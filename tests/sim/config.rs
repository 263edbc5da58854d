//! A configuration as Caddy would understand it: its routes as chains of links, and its relay.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

/// What a Caddy makes of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The first link of each service.
    pub(crate) services: BTreeMap<String, Link>,
    /// All proxies, to which links point.
    pub(crate) proxies: Vec<Proxy>,
    /// The relay.
    pub(crate) relay: Option<Relay>,
}

/// What takes a request.
#[derive(Debug)]
pub(crate) enum Link {
    /// A proxy, by its place.
    Proxy(usize),
    /// Something, and what takes the errors of it.
    Chain(Box<Link>, Vec<(Vec<Value>, Link)>),
    /// The first whose conditions hold.
    Choice(Vec<(Vec<Value>, Link)>),
    /// An answer of Caddy's own.
    Answer(u16),
    /// The error again.
    Raise,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) service: String,
    pub(crate) upstreams: Vec<SocketAddr>,
    pub(crate) retries: usize,
    pub(crate) retried: Vec<String>,
    /// How long a failure is held against an upstream.
    pub(crate) fail_duration: Option<Duration>,
    /// True where answers that say "not now" become errors for some requests.
    pub(crate) passes_on: bool,
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) active: Option<Active>,
    /// What checks have found of each upstream.
    pub(crate) found: Vec<Found>,
    /// Turns given so far.
    pub(crate) turn: usize,
}

/// What active checks have found of an upstream. Counts begin anew only when it changes sides, as in Caddy.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    pub(crate) is_unhealthy: bool,
    pub(crate) passes: u64,
    pub(crate) fails: u64,
}

#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) interval: Duration,
    pub(crate) passes: u64,
    pub(crate) fails: u64,
    pub(crate) expect: Option<u64>,
    pub(crate) headers: BTreeMap<String, String>,
    /// True where the relay is asked.
    pub(crate) is_relayed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Relay {
    /// True where the backend is asked when bascule does not answer.
    pub(crate) falls_back: bool,
}

/// Where a handler stands.
#[derive(Clone, Copy)]
struct Context<'j> {
    service: &'j str,
    /// The named routes of its server.
    named: &'j Value,
    /// The variables that were set last.
    vars: &'j Value,
}

impl Config {
    /// Reads a configuration; why Caddy would refuse it, or would stumble over it in a request.
    pub(crate) fn read(json: &Value) -> Result<Self, String> {
        let mut config = Self::default();
        let Some(servers) = json.pointer("/apps/http/servers").and_then(Value::as_object) else { return Ok(config) };
        for (name, server) in servers {
            let routes = list(&server["routes"]);
            if name == "bascule-relay" {
                let falls_back =
                    list(&server["errors"]["routes"]).iter().any(|it| it.to_string().contains("Bascule-Upstream}"));
                config.relay = Some(Relay { falls_back });
                continue;
            }
            for route in routes {
                let Some(service) = route["@id"].as_str().and_then(|id| id.strip_prefix("service-")) else { continue };
                let link =
                    config.link(&Context { service, named: &server["named_routes"], vars: &Value::Null }, route)?;
                if config.services.insert(service.to_owned(), link).is_some() {
                    return Err(format!("duplicate ID {service}"));
                }
            }
        }
        Ok(config)
    }

    /// What a route does with a request: what its only handler does, or the one after variables were set.
    fn link(&mut self, context: &Context<'_>, route: &Value) -> Result<Link, String> {
        // What says under which name a request is logged serves nobody.
        let is_log = |it: &&Value| it["handler"] == "log_append" || it.get("access_logger_names").is_some();
        let handlers: Vec<_> = list(&route["handle"]).iter().filter(|it| !is_log(it)).collect();
        let (context, handler) = match *handlers {
            [handler] => (*context, handler),
            [vars, handler] if vars["handler"] == "vars" => (Context { vars, ..*context }, handler),
            ref other => return Err(format!("unknown handlers {other:?}")),
        };
        match handler["handler"].as_str() {
            Some("reverse_proxy") => {
                self.proxies.push(Proxy::read(&context, handler)?);
                Ok(Link::Proxy(self.proxies.len() - 1))
            }
            Some("static_response") => {
                Ok(Link::Answer(handler["status_code"].as_u64().unwrap_or(200).try_into().unwrap_or(0)))
            }
            Some("error") => Ok(Link::Raise),
            Some("subroute") if handler.get("errors").is_none() => Ok(Link::Choice(self.links(&context, handler)?)),
            Some("subroute") => {
                let first = self.link(&context, &handler["routes"][0])?;
                Ok(Link::Chain(Box::new(first), self.links(&context, &handler["errors"])?))
            }
            Some("invoke") => {
                let name = handler["name"].as_str().unwrap_or_default();
                let route = context.named.get(name).ok_or_else(|| format!("invoke: route {name:?} not found"))?;
                self.link(&context, route)
            }
            other => Err(format!("unknown handler {other:?}")),
        }
    }

    /// Routes with their conditions.
    fn links(&mut self, context: &Context<'_>, json: &Value) -> Result<Vec<(Vec<Value>, Link)>, String> {
        let link = |route: &Value| Ok((list(&route["match"]).to_vec(), self.link(context, route)?));
        list(&json["routes"]).iter().map(link).collect()
    }

    /// Every address that a service may be sent to.
    pub(crate) fn upstreams(&self, service: &str) -> Vec<SocketAddr> {
        let mut found: Vec<SocketAddr> = self
            .proxies
            .iter()
            .filter(|proxy| proxy.service == service)
            .flat_map(|proxy| proxy.upstreams.clone())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Proxy {
    fn read(context: &Context<'_>, json: &Value) -> Result<Self, String> {
        let Context { service, named: _, vars } = *context;
        let mut upstreams = Vec::new();
        for upstream in list(&json["upstreams"]) {
            let dial = upstream["dial"].as_str().unwrap_or_default();
            let variable = dial.strip_prefix("{http.vars.").and_then(|dial| dial.strip_suffix('}'));
            let dial = variable.map_or(Some(dial), |variable| vars[variable].as_str()).unwrap_or_default();
            upstreams.push(dial.parse().map_err(|_| format!("bad dial {dial}"))?);
        }
        let balancing = &json["load_balancing"];
        let weights: Option<Vec<u64>> = balancing["selection_policy"]["weights"]
            .as_array()
            .map(|weights| weights.iter().filter_map(Value::as_u64).collect());
        if weights.as_ref().is_some_and(|weights| weights.len() != upstreams.len()) {
            return Err(format!("{service} has {weights:?} for {upstreams:?}: Caddy panics in requests"));
        }
        let checks = &json["health_checks"];
        let found = vec![Found::default(); upstreams.len()];
        Ok(Self {
            service: service.to_owned(),
            upstreams,
            retries: usize::try_from(balancing["retries"].as_u64().unwrap_or(0)).unwrap_or(0),
            retried: list(&balancing["retry_match"][0]["method"])
                .iter()
                .filter_map(|it| Some(it.as_str()?.to_owned()))
                .collect(),
            fail_duration: duration(&checks["passive"]["fail_duration"]),
            passes_on: !list(&json["handle_response"]).is_empty(),
            answer_timeout: duration(&json["transport"]["response_header_timeout"]),
            active: checks.get("active").map(Active::read),
            found,
            turn: 0,
        })
    }

    /// True for a link that believes what checks say: one of a tier.
    pub(crate) fn is_tier(&self) -> bool {
        self.fail_duration.is_some()
    }
}

impl Active {
    fn read(json: &Value) -> Self {
        let headers = json["headers"].as_object().into_iter().flatten();
        Self {
            interval: duration(&json["interval"]).unwrap_or(Duration::from_secs(30)),
            passes: json["passes"].as_u64().unwrap_or(1),
            fails: json["fails"].as_u64().unwrap_or(1),
            expect: json["expect_status"].as_u64(),
            headers: headers
                .map(|(name, values)| (name.clone(), values[0].as_str().unwrap_or_default().to_owned()))
                .collect(),
            is_relayed: json.get("upstream").is_some(),
        }
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A duration as Go reads it, as far as it is rendered: whole seconds or milliseconds.
fn duration(value: &Value) -> Option<Duration> {
    let text = value.as_str()?;
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(millis), _) => millis.parse().ok().map(Duration::from_millis),
        (None, Some(seconds)) => seconds.parse().ok().map(Duration::from_secs),
        (None, None) => None,
    }
}
