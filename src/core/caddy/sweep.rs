//! The sweep: the last links of a chain, in which every backend is asked once, whatever is believed of it.
//!
//! It is needed seldom and would be most of a configuration. So it stands once in a server, as a named route, for all
//! services that it is alike for, and each of them says in variables whom to dial. With 100 services a push costs Caddy half
//! of what it does with a sweep in each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::{self, Requests};
use super::handler::link;
use super::json::{Handler, Invoke, Route, Subroute, Upstream, Vars};
use super::pool::Shares;
use crate::core::inventory::{Backend, Service};
use crate::core::model::{Digest, ServiceName};

/// Links that each try one backend, at most; what is left shares the last one.
const LINKS_MAX: usize = 4;
/// How the names of sweeps begin.
const PREFIX: &str = "sweep-";
/// Digits of a digest that make a name: of ten thousand sweeps, no two have the same.
const NAME_DIGITS: usize = 12;

/// The sweeps of the services of an edge.
#[derive(Default)]
pub(super) struct Sweeps {
    /// By name. Each takes what the links before have an error for.
    routes: BTreeMap<String, Route<'static>>,
    services: BTreeMap<(ServiceName, Requests), Sweep>,
}

/// How one service uses a sweep.
pub(super) struct Sweep {
    name: String,
    /// Whom to dial.
    vars: BTreeMap<String, String>,
}

/// True for the name of a sweep.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

impl Sweeps {
    /// Adds that of a service over these backends, for some of its requests; none without any backend.
    pub(super) fn add(&mut self, service: &Service, requests: Requests, backends: &[&Arc<Backend>]) {
        let mut vars = BTreeMap::new();
        let mut links: Vec<Handler<'static>> = Vec::new();
        for backends in parts(backends) {
            let mut upstreams = Shares::even(backends).upstreams();
            for Upstream { dial } in &mut upstreams {
                // Two digits, so that they stand in their order.
                let variable = format!("sweep{:02}", vars.len());
                let address = std::mem::replace(dial, format!("{{http.vars.{variable}}}"));
                vars.insert(variable, address);
            }
            // Nobody is kept for a client: what has just failed must not be asked at every try.
            links.push(link(service, requests, backends.len(), upstreams, None, None));
        }
        let last = links.len().saturating_sub(1);
        chain::passing_on(requests, links.iter_mut().take(last));
        let Some(joined) = chain::join(links) else { return };
        let routes = chain::onward(joined);
        let route = Route {
            id: None,
            handle: vec![Handler::Subroute(Box::new(Subroute { errors: None, handler: "subroute", routes }))],
            matchers: Vec::new(),
            terminal: false,
        };
        // By what it is: a name never comes to mean something else, and no service that comes or goes changes another's.
        let bytes = serde_json::to_vec(&route).expect("keys are texts, and memory takes every byte");
        let name = format!("{PREFIX}{}", &Digest::of(&bytes).as_str()[..NAME_DIGITS]);
        self.routes.insert(name.clone(), route);
        self.services.insert((service.name.clone(), requests), Sweep { name, vars });
    }

    /// That for some requests of a service; none where it has none.
    pub(super) fn of(&self, service: &ServiceName, requests: Requests) -> Option<&Sweep> {
        self.services.get(&(service.clone(), requests))
    }

    /// The named routes; none where there are none.
    pub(super) fn routes(&self) -> Option<&BTreeMap<String, Route<'static>>> {
        Some(&self.routes).filter(|routes| !routes.is_empty())
    }
}

impl Sweep {
    /// What takes the errors of the link before.
    pub(super) fn errors<'e>(&self) -> Vec<Route<'e>> {
        let vars = Handler::Vars(Vars { handler: "vars", vars: self.vars.clone() });
        let invoke = Handler::Invoke(Invoke { handler: "invoke", name: self.name.clone() });
        vec![Route { id: None, handle: vec![vars, invoke], matchers: Vec::new(), terminal: true }]
    }
}

/// One backend a link, and in the last one all that are left.
fn parts<'s, 'e>(backends: &'s [&'e Arc<Backend>]) -> impl Iterator<Item = &'s [&'e Arc<Backend>]> {
    let alone = backends.len().min(LINKS_MAX - usize::from(backends.len() > LINKS_MAX));
    let (alone, rest) = backends.split_at(alone);
    alone.chunks(1).chain(Some(rest).filter(|rest| !rest.is_empty()))
}
