use super::View;
use crate::core::inventory::doc::{PolicyDoc, RoutingDoc, ServiceDoc, WhenAllDownDoc};
use crate::core::inventory::finding::{At, Declared, Finding};

/// `not-available`: what the schema has and this version cannot do is refused. To ignore it would serve something other
/// than what was reviewed.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let routed = |service: &'_ Declared<ServiceDoc>| service.doc.routing.is_some();
    view.documents.services.iter().filter(|service| routed(service)).flat_map(check_service).collect()
}

fn check_service(service: &Declared<ServiceDoc>) -> Vec<Finding> {
    let Some(RoutingDoc { policy, sites, failback, sticky, when_all_down }) = &service.doc.routing else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut refuse = |at: At, what: &str, instead: &str| {
        let message = format!("{what} is not available yet");
        findings.push(Finding::error("not-available", at, message).hint(instead));
    };
    let spread = "write `policy: spread`: all backends that are not down share the traffic by weight";
    match policy {
        PolicyDoc::Priority => refuse(service.at("/routing/policy"), "`policy: priority`", spread),
        PolicyDoc::Single => refuse(service.at("/routing/policy"), "`policy: single`", spread),
        PolicyDoc::Spread if !sites.is_empty() => {
            let what = "an order of sites belongs to `policy: priority`, which";
            refuse(service.key("/routing/sites"), what, "remove `sites`: with `policy: spread` all sites are equal");
        }
        PolicyDoc::Spread => {}
    }
    if failback.is_some() {
        let instead = "remove it: a backend that has recovered takes its share again at once";
        refuse(service.key("/routing/failback"), "`failback`", instead);
    }
    if sticky.is_some() {
        refuse(service.key("/routing/sticky"), "`sticky`", "remove it: each request goes to any backend");
    }
    if *when_all_down == WhenAllDownDoc::Page {
        let instead = "write `when_all_down: serve_all`: all backends are tried";
        refuse(service.at("/routing/when_all_down"), "`when_all_down: page`", instead);
    }
    findings
}
