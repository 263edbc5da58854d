//! The way of a request through the links of a route, as Caddy 2.11 takes it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::time::Instant;

use super::config::{Config, Link, Proxy, list};
use super::truth::{Condition, Truth, Vantage};

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// May be sent again.
    Get,
    /// Has a body, and must not be sent twice.
    Post,
}

/// How a request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// An answer of a backend.
    Served(SocketAddr),
    /// Caddy's own answer: the page.
    Page(u16),
    /// An error, with its status and Caddy's words.
    Error(u16, String),
    /// A backend's own error, passed on as it came.
    Refused(SocketAddr),
    /// No answer, ever.
    Hung(SocketAddr),
    /// 200 and nothing in it, which no client can tell from an answer.
    Empty,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Request<'w> {
    pub(crate) kind: Kind,
    pub(crate) truth: &'w Truth,
    /// When a failure of each upstream is forgotten.
    pub(crate) failed_until: &'w mut BTreeMap<SocketAddr, Instant>,
    /// Who has seen the request.
    pub(crate) sent_to: Vec<SocketAddr>,
    /// The last error, by status and message.
    pub(crate) error: (u16, String),
}

impl Request<'_> {
    /// Goes through the route of a service.
    pub(crate) fn run(&mut self, config: &mut Config, service: &str) -> End {
        let Config { services, proxies, .. } = config;
        match services.get(service) {
            Some(link) => self.link(link, proxies),
            None => End::Error(503, "No service answers here.".to_owned()),
        }
    }

    fn link(&mut self, link: &Link, proxies: &mut [Proxy]) -> End {
        match link {
            Link::Answer(status) => End::Page(*status),
            Link::Raise => End::Error(self.error.0, self.error.1.clone()),
            Link::Proxy(index) => self.proxy(&mut proxies[*index]),
            Link::Chain(first, onward) => {
                match self.link(first, proxies) {
                    End::Error(status, message) => self.error = (status, message),
                    end => return end,
                }
                self.first_of(onward, proxies)
            }
            Link::Choice(routes) => self.first_of(routes, proxies),
        }
    }

    /// Goes through the first route whose conditions hold.
    fn first_of(&mut self, routes: &[(Vec<Value>, Link)], proxies: &mut [Proxy]) -> End {
        match routes.iter().find(|(matchers, _)| self.matches(matchers)) {
            // What Caddy does where no route takes a request or an error.
            None => End::Empty,
            Some((_, link)) => self.link(link, proxies),
        }
    }

    fn proxy(&mut self, proxy: &mut Proxy) -> End {
        let mut error = End::Error(503, "no upstreams available".to_owned());
        for _ in 0..=proxy.retries {
            let Some(upstream) = self.choose(proxy) else { continue };
            let condition = self.truth.of(upstream, Vantage::Edge);
            let is_undialed = matches!(condition, Condition::Refusing | Condition::Vanished);
            if !is_undialed {
                self.sent_to.push(upstream);
            }
            error = match condition {
                Condition::Well => return End::Served(upstream),
                Condition::Erring if proxy.passes_on && self.kind == Kind::Get => {
                    return End::Error(503, "upstream answered 503".to_owned());
                }
                Condition::Erring => return End::Refused(upstream),
                Condition::Hanging if proxy.answer_timeout.is_none() => return End::Hung(upstream),
                Condition::Hanging => End::Error(504, "timeout awaiting response headers".to_owned()),
                Condition::Refusing | Condition::Vanished => End::Error(502, format!("dial tcp {upstream}")),
            };
            if let Some(fail_duration) = proxy.fail_duration {
                self.failed_until.insert(upstream, Instant::now() + fail_duration);
            }
            let method = if self.kind == Kind::Get { "GET" } else { "POST" };
            if !is_undialed && !proxy.retried.iter().any(|it| it == method) {
                return error;
            }
        }
        error
    }

    /// The next upstream in turn that is available. Those that are not take their turns too, as in Caddy.
    fn choose(&self, proxy: &mut Proxy) -> Option<SocketAddr> {
        let now = Instant::now();
        let count = proxy.upstreams.len();
        for _ in 0..count {
            proxy.turn += 1;
            let index = proxy.turn % count;
            let upstream = proxy.upstreams[index];
            let has_failed = self.failed_until.get(&upstream).is_some_and(|until| *until > now);
            if !(proxy.found[index].is_unhealthy || has_failed && proxy.fail_duration.is_some()) {
                return Some(upstream);
            }
        }
        None
    }

    /// True where one of some matchers holds for the last error; without any, always.
    fn matches(&self, matchers: &[Value]) -> bool {
        matchers.is_empty() || matchers.iter().any(|matcher| self.matches_one(matcher))
    }

    fn matches_one(&self, matcher: &Value) -> bool {
        let (status, message) = &self.error;
        let method = if self.kind == Kind::Get { "GET" } else { "POST" };
        matcher.as_object().into_iter().flatten().all(|(key, value)| match key.as_str() {
            "method" => list(value).iter().any(|it| it == method),
            "not" => !list(value).iter().any(|it| self.matches_one(it)),
            "header" => self.kind == Kind::Post && value.get("Content-Length").is_some(),
            "vars" => value.as_object().into_iter().flatten().all(|(variable, wanted)| {
                let status = Value::from(status.to_string());
                variable == "{http.error.status_code}" && list(wanted).contains(&status)
            }),
            "vars_regexp" => value.as_object().into_iter().flatten().all(|(variable, wanted)| {
                variable == "{http.error.message}"
                    && wanted["pattern"].as_str().is_some_and(|it| message.starts_with(it.trim_start_matches('^')))
            }),
            _ => false,
        })
    }
}
