//! The chain of links that takes the requests of a service. A request goes to the first link; it goes on to the next when
//! a link has nothing for it and nothing was lost by trying. So nobody gets an error while something might answer, be
//! bascule there or not.

use super::json::{
    Conditions, CopyResponse, ErrorRoutes, Handler, Matcher, Pattern, RaisedError, ResponseMatcher, ResponseRoute,
    Route, Subroute,
};

/// Methods that a proxy may send again by itself: safe by RFC 9110, section 9.2.1. PUT and DELETE are idempotent too, but
/// they have bodies, and Caddy has no second copy of one.
pub(super) const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// Answers after which another backend is worth asking (RFC 9110, section 15.6): a fault of this one, or of what is behind
/// it. HAProxy's `all-retryable-errors` has the same.
const NOT_NOW: [u16; 4] = [500, 502, 503, 504];

const ERROR_STATUS: &str = "{http.error.status_code}";
const ERROR_MESSAGE: &str = "{http.error.message}";
const ANSWER_STATUS: &str = "{http.reverse_proxy.status_code}";

/// Joins links: each takes what the one before has nothing for. None without links.
pub(super) fn join(links: Vec<Handler<'_>>) -> Option<Handler<'_>> {
    links.into_iter().rev().reduce(|next, link| before(link, onward(next)))
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

/// Lets links pass requests on.
pub(super) fn passing_on<'l, 'e: 'l>(links: impl Iterator<Item = &'l mut Handler<'e>>) {
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
