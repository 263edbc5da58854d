use std::fmt::Display;

use crate::core::inventory::{Edge, Policy, Probe, Routing, Service, Timeouts};

/// What of a service's own settings differs, by its keys in the inventory; what comes and goes is named: `domains (+
/// b.example.org)`.
pub(super) fn differences(before: &Service, after: &Service) -> Vec<String> {
    let Service {
        name: _,
        description,
        domains,
        paths,
        probe,
        routing,
        maintenance,
        upstream,
        connections,
        timeouts,
        critical,
        tags,
    } = before;
    let mut found: Vec<String> = Vec::new();
    found.extend(list("domains", domains, &after.domains));
    found.extend(list("paths", paths, &after.paths));
    found.extend(of_probe(probe, &after.probe));
    found.extend(of_routing(routing, &after.routing));
    found.extend(of_timeouts(timeouts, &after.timeouts));
    found.extend(flag("maintenance", *maintenance, after.maintenance));
    found.extend(flag("critical", *critical, after.critical));
    found.extend(key("upstream", upstream != &after.upstream));
    found.extend(key("connections", connections != &after.connections));
    found.extend(key("description", description != &after.description));
    found.extend(key("tags", tags != &after.tags));
    found
}

/// What of an edge's settings differs, by its keys in the inventory.
pub fn edge_differences(before: &Edge, after: &Edge) -> Vec<String> {
    let Edge { name: _, admin, scope, listen, tls, relay, grace } = before;
    let keys = [
        key("admin", *admin != after.admin),
        key("scope", *scope != after.scope),
        list("listen", listen, &after.listen),
        key("tls", *tls != after.tls),
        key("relay", *relay != after.relay),
        key("grace", *grace != after.grace),
    ];
    keys.into_iter().flatten().collect()
}

fn of_probe(before: &Probe, after: &Probe) -> Vec<String> {
    // The time of confirmation follows from the two intervals.
    let Probe {
        tries,
        interval,
        fast_interval,
        confirm_interval: _,
        timeout,
        latency,
        grace,
        certificate_days,
        report,
        rise,
        fall,
    } = before;
    let keys = [
        key("health: what is asked", *tries != after.tries),
        key("health.interval", *interval != after.interval),
        key("health.fast_interval", *fast_interval != after.fast_interval),
        key("health.timeout", *timeout != after.timeout),
        key("health.latency", *latency != after.latency),
        key("health.grace", *grace != after.grace),
        key("health.certificate_days", *certificate_days != after.certificate_days),
        flag("health.report", *report, after.report),
        key("health.rise", *rise != after.rise),
        key("health.fall", *fall != after.fall),
    ];
    keys.into_iter().flatten().collect()
}

fn of_routing(before: &Routing, after: &Routing) -> Vec<String> {
    let Routing { policy, failback, ramp, slow_start, sticky, guard, when_all_down, page } = before;
    let policies = (policy_name(policy), policy_name(&after.policy));
    let policy = if policies.0 == policies.1 {
        key("routing: tiers or their conditions", *policy != after.policy)
    } else {
        Some(format!("routing.policy (from {} to {})", policies.0, policies.1))
    };
    let keys = [
        policy,
        key("routing.failback", *failback != after.failback || *ramp != after.ramp),
        key("routing.slow_start", *slow_start != after.slow_start),
        key("routing.sticky", *sticky != after.sticky),
        key("routing.guard", *guard != after.guard),
        key("routing.when_all_down", *when_all_down != after.when_all_down),
        key("routing.page", *page != after.page),
    ];
    keys.into_iter().flatten().collect()
}

fn of_timeouts(before: &Timeouts, after: &Timeouts) -> Vec<String> {
    let Timeouts { dial, response, response_unsafe, stream_close, drain } = before;
    let keys = [
        key("timeouts.dial", *dial != after.dial),
        key("timeouts.response", *response != after.response),
        key("timeouts.response_unsafe", *response_unsafe != after.response_unsafe),
        key("timeouts.stream_close", *stream_close != after.stream_close),
        key("timeouts.drain", *drain != after.drain),
    ];
    keys.into_iter().flatten().collect()
}

const fn policy_name(policy: &Policy) -> &'static str {
    match policy {
        Policy::Spread => "spread",
        Policy::Priority { .. } => "priority",
        Policy::Single { .. } => "single",
    }
}

fn key(name: &str, differs: bool) -> Option<String> {
    differs.then(|| name.to_owned())
}

fn flag(name: &str, before: bool, after: bool) -> Option<String> {
    (before != after).then(|| format!("{name} ({})", if after { "now on" } else { "no longer" }))
}

fn list<T: PartialEq + Display>(name: &str, before: &[T], after: &[T]) -> Option<String> {
    let gone = before.iter().filter(|it| !after.contains(it)).map(|it| format!("- {it}"));
    let new = after.iter().filter(|it| !before.contains(it)).map(|it| format!("+ {it}"));
    let parts: Vec<_> = gone.chain(new).collect();
    (!parts.is_empty()).then(|| format!("{name} ({})", parts.join(", ")))
}
