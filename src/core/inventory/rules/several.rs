//! Several things that are tried in place of one.

use crate::core::inventory::doc::{HealthDoc, HealthTypeDoc, ServiceDoc};
use crate::core::inventory::finding::{Declared, Finding};

/// The list of what is tried, where that is not one thing.
pub(super) fn list(health: &HealthDoc) -> Option<&'static str> {
    let HealthDoc { all, any, .. } = health;
    if all.is_empty() { (!any.is_empty()).then_some("any") } else { Some("all") }
}

/// `several-probes`, and `health-with-tcp` where nothing answers that could report. With the list that there is.
pub(super) fn check(service: &Declared<ServiceDoc>, health: &HealthDoc, list: &str) -> Vec<Finding> {
    let HealthDoc { kind, service: grpc, path, method, host, headers, expect, tls, report, all, any, .. } = health;
    let here = service.key(format!("/health/{list}"));
    let mut findings = Vec::new();
    if !all.is_empty() && !any.is_empty() {
        let message = "`health` has both `all` and `any`";
        let finding = Finding::error("several-probes", service.key("/health/any"), message);
        findings.push(finding.hint("keep one of them").related(here.clone(), "the other"));
    }
    let keys = [
        ("type", kind.is_some()),
        ("service", grpc.is_some()),
        ("path", path.is_some()),
        ("method", method.is_some()),
        ("host", host.is_some()),
        ("headers", !headers.is_empty()),
        ("expect", expect.is_some()),
        ("tls", tls.is_some()),
    ];
    findings.extend(keys.into_iter().filter(|(_, is_there)| *is_there).map(|(key, _)| {
        let message = format!("`health.{key}` means nothing beside `{list}`");
        Finding::error("several-probes", service.key(format!("/health/{key}")), message)
            .hint(format!("write it in each item of `{list}` that it is for"))
            .related(here.clone(), "says what is tried")
    }));
    let answers = all.iter().chain(any).any(|one| one.kind != Some(HealthTypeDoc::Tcp));
    if *report && !answers {
        let message = "`health.report` means nothing where each item is `type: tcp`";
        let finding = Finding::error("health-with-tcp", service.key("/health/report"), message);
        findings.push(finding.hint("remove it, or add an item with `type: http`").related(here, "only connect"));
    }
    findings
}
