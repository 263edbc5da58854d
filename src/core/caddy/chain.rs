//! The chain of links that takes the requests of a service. A request goes to the first link; it goes on to the next when
//! a link has nothing for it and nothing was lost by trying. So nobody gets an error while something might answer, be
//! bascule there or not.

use std::time::Duration;

use super::json::{
    Conditions, CopyResponse, ErrorRoutes, Handler, Matcher, Pattern, RaisedError, ResponseMatcher, ResponseRoute,
    Route, Subroute,
};
use crate::core::inventory::{Service, Timeouts};

/// Methods that a proxy may send again by itself: safe by RFC 9110, section 9.2.1. PUT and DELETE are idempotent too, but
/// they have bodies, and Caddy has no second copy of one.
pub(super) const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// Answers after which another backend is worth asking (RFC 9110, section 15.6): a fault of this one, or of what is behind
/// it. HAProxy's `all-retryable-errors` has the same.
const NOT_NOW: [u16; 4] = [500, 502, 503, 504];

/// Which requests of a service a chain takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Requests {
    /// All of them.
    All,
    /// Those that may be sent again.
    Safe,
    /// Those that may not.
    Unsafe,
}

impl Requests {
    /// Those of each chain of a service. It has one, unless answers to what cannot be sent again are waited for in another
    /// way: Caddy has one such time for all requests of a handler.
    pub(super) fn of(service: &Service) -> &'static [Self] {
        let Timeouts { response, response_unsafe, .. } = service.timeouts;
        if response == response_unsafe { &[Self::All] } else { &[Self::Safe, Self::Unsafe] }
    }

    /// What an answer may take to begin.
    pub(super) const fn patience(self, service: &Service) -> Duration {
        match self {
            Self::All | Self::Safe => service.timeouts.response,
            Self::Unsafe => service.timeouts.response_unsafe,
        }
    }
}

const ERROR_STATUS: &str = "{http.error.status_code}";
const ERROR_MESSAGE: &str = "{http.error.message}";
const ANSWER_STATUS: &str = "{http.reverse_proxy.status_code}";

/// Joins links: each takes what the one before has nothing for. None without links.
pub(super) fn join(links: Vec<Handler<'_>>) -> Option<Handler<'_>> {
    links.into_iter().rev().reduce(|next, link| before(link, onward(next)))
}

/// Sends what may be sent again through one chain, and the rest through another.
pub(super) fn split<'e>(again: Handler<'e>, once: Handler<'e>) -> Handler<'e> {
    let routes = vec![Route::of(vec![Matcher::Conditions(safe())], again), Route::of(Vec::new(), once)];
    Handler::Subroute(Box::new(Subroute { errors: None, handler: "subroute", routes }))
}

/// A link, with what takes its errors.
pub(super) fn before<'e>(link: Handler<'e>, errors: Vec<Route<'e>>) -> Handler<'e> {
    let routes = vec![Route { id: None, handle: vec![link], matchers: Vec::new(), terminal: false }];
    let errors = Some(ErrorRoutes { routes: errors });
    Handler::Subroute(Box::new(Subroute { errors, handler: "subroute", routes }))
}

/// Takes the errors of a link: to the next one go those that may.
pub(super) fn onward(next: Handler<'_>) -> Vec<Route<'_>> {
    // Without a last route that raises the error again, what matches none would be answered 200 and empty.
    vec![Route::of(may_go_on(), next), Route::of(Vec::new(), raise(ERROR_MESSAGE, ERROR_STATUS))]
}

/// When the next link may take a request: no upstream was available, or none could be dialed, so nothing has been sent of
/// it; or it is safe to send again. Anything else may have been acted on.
fn may_go_on() -> Vec<Matcher<'static>> {
    let status = |status: &'static [&'static str]| [(ERROR_STATUS, status)].into();
    let unavailable = Conditions { vars: status(&["503"]), ..Conditions::default() };
    let undialed = Conditions {
        vars: status(&["502"]),
        vars_regexp: [(ERROR_MESSAGE, Pattern { pattern: "^dial " })].into(),
        ..Conditions::default()
    };
    let safe = Conditions { vars: status(&["500", "502", "504"]), ..safe() };
    [unavailable, undialed, safe].map(Matcher::Conditions).into()
}

/// A request that may be sent again: a safe method, and no body that is consumed by now.
fn safe() -> Conditions {
    let has = |name| Conditions { header: [(name, ["*"])].into(), ..Conditions::default() };
    let not = vec![has("Content-Length"), has("Transfer-Encoding")];
    Conditions { method: &SAFE_METHODS, not, ..Conditions::default() }
}

/// Lets links pass requests on by the answers to them. Those that cannot be sent again have no use for it.
pub(super) fn passing_on<'l, 'e: 'l>(requests: Requests, links: impl Iterator<Item = &'l mut Handler<'e>>) {
    if requests == Requests::Unsafe {
        return;
    }
    for link in links {
        if let Handler::Proxy(proxy) = link {
            proxy.handle_response = pass_on_refusals();
        }
    }
}

/// Makes an error of an answer that says "not now" to a safe request, so that the next link takes it; other requests get
/// the answer as it is. The last link of a chain has none of it: what an application says itself, it says with its own
/// words and headers.
fn pass_on_refusals() -> Vec<ResponseRoute<'static>> {
    let refused = raise("upstream answered {http.reverse_proxy.status_code}", ANSWER_STATUS);
    let copy = Handler::Copy(CopyResponse { handler: "copy_response" });
    vec![ResponseRoute {
        matcher: ResponseMatcher { status_code: &NOT_NOW },
        routes: vec![Route::of(vec![Matcher::Conditions(safe())], refused), Route::of(Vec::new(), copy)],
    }]
}

fn raise(error: &'static str, status_code: &'static str) -> Handler<'static> {
    Handler::Error(RaisedError { error, handler: "error", status_code })
}
