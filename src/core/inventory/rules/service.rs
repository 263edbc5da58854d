//! A service's settings fit each other, and ask for nothing that this version cannot do.

use crate::core::inventory::doc::{
    HealthTypeDoc, PolicyDoc, RoutingDoc, ServiceDoc, UpstreamProtocolDoc, WhenAllDownDoc,
};
use crate::core::inventory::document::{Documents, Entry};
use crate::core::inventory::{codes, resolve};
use crate::core::model::{Diagnostic, TimeSpan};

pub(super) fn check(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    for entry in &documents.services {
        health(entry, faults);
        upstream(entry, faults);
        if let Some(routing) = &entry.doc.routing {
            not_available(entry, routing, faults);
        }
    }
}

fn health(entry: &Entry<ServiceDoc>, faults: &mut Vec<Diagnostic>) {
    let Some(health) = &entry.doc.health else { return };
    if health.kind == HealthTypeDoc::Tcp {
        let given = [("path", health.path.is_some()), ("expect", health.expect.is_some())];
        for (key, _) in given.iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{key}` with `type: tcp`, which asks for nothing");
            let hint = format!("remove `{key}`, or write `type: http`");
            faults.push(entry.error(&format!("/health/{key}"), codes::HEALTH_WITH_TCP, message, hint));
        }
    }
    let interval = health.interval.map_or(resolve::INTERVAL, TimeSpan::get);
    if let Some(timeout) = health.timeout.filter(|timeout| timeout.get() > interval) {
        let shown = health
            .interval
            .map_or_else(|| "the default interval of 5s".to_owned(), |it| format!("the interval of {it}"));
        let message = format!("the timeout of {timeout} is longer than {shown}");
        let hint = "make the timeout shorter, or the interval longer";
        faults.push(entry.error("/health/timeout", codes::TIMEOUT_OVER_INTERVAL, message, hint));
    }
}

fn upstream(entry: &Entry<ServiceDoc>, faults: &mut Vec<Diagnostic>) {
    let Some(upstream) = &entry.doc.upstream else { return };
    if upstream.protocol == UpstreamProtocolDoc::Https {
        return;
    }
    let given = [("server_name", upstream.server_name.is_some()), ("verify", upstream.verify.is_some())];
    for (key, _) in given.iter().filter(|(_, is_given)| *is_given) {
        let message = format!("`{key}` with `protocol: http`, which has no certificates");
        let hint = format!("remove `{key}`, or write `protocol: https`");
        faults.push(entry.error(&format!("/upstream/{key}"), codes::UPSTREAM_TLS, message, hint));
    }
}

/// The schema knows more than this version can do, so that inventories need not change later. What cannot be done is
/// refused: a setting that is ignored is worse than one that is missing.
fn not_available(entry: &Entry<ServiceDoc>, routing: &RoutingDoc, faults: &mut Vec<Diagnostic>) {
    let RoutingDoc { policy, sites, failback, sticky, when_all_down } = routing;
    let mut refuse = |pointer: &str, what: &str, hint: &str| {
        let message = format!("{what} is not available in this version");
        faults.push(entry.error(pointer, codes::NOT_AVAILABLE, message, hint));
    };
    match policy {
        PolicyDoc::Spread => {}
        PolicyDoc::Priority => refuse("/routing/policy", "`policy: priority`", "use `policy: spread` with weights"),
        PolicyDoc::Single => refuse("/routing/policy", "`policy: single`", "declare one backend, or drain all but one"),
    }
    if failback.is_some() {
        refuse("/routing/failback", "`failback`", "remove it: traffic returns as soon as a backend is up again");
    }
    if sticky.is_some() {
        refuse("/routing/sticky", "`sticky`", "remove it: every request may go to any backend");
    }
    match when_all_down {
        WhenAllDownDoc::ServeAll => {}
        WhenAllDownDoc::Page => {
            refuse("/routing/when_all_down", "`when_all_down: page`", "use `when_all_down: serve_all`");
        }
    }
    if !sites.is_empty() && *policy == PolicyDoc::Spread {
        let message = "`routing.sites` is for `policy: priority`; `policy: spread` uses every site".to_owned();
        faults.push(entry.error("/routing/sites", codes::ROUTING_SITES, message, "remove `sites`"));
    }
}
