use std::collections::BTreeMap;

use super::View;
use crate::core::inventory::doc::{BackendDoc, FailbackDoc, PolicyDoc, RoutingDoc, ServiceDoc, StateDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::inventory::suggest::listed;
use crate::core::model::{SiteName, Tag};

/// `no-tiers`, `duplicate-tier`, `empty-tier`, `backend-without-tier`, `min-healthy-unreachable`, `routing-contradiction`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in &view.documents.services {
        let Some(routing) = &service.doc.routing else { continue };
        findings.extend(contradictions(service, routing));
        findings.extend(duplicate_tiers(service, routing));
        if routing.policy == PolicyDoc::Priority && routing.sites.is_empty() && routing.tags.is_empty() {
            let finding =
                Finding::error("no-tiers", service.at("/routing/policy"), "`policy: priority` needs an order");
            findings
                .push(finding.hint("add `sites: [dijon, thory]`, or `tags` of backends, with the preferred one first"));
        }
        // What broken backends are of is not known before they are mended.
        if !view.documents.broken.may_serve(service.doc.name.as_str()) {
            findings.extend(coverage(view, service, routing));
        }
    }
    findings
}

/// A key that the policy does not use: to ignore it would serve something other than what was reviewed.
fn contradictions(service: &Declared<ServiceDoc>, routing: &RoutingDoc) -> Vec<Finding> {
    let RoutingDoc {
        policy,
        sites,
        tags,
        min_healthy,
        confirm,
        failback,
        sticky,
        slow_start,
        guard,
        when_all_down: _,
        page: _,
    } = routing;
    let mut findings = Vec::new();
    let mut refuse = |key: &str, message: String, hint: &str| {
        let finding =
            Finding::error("routing-contradiction", service.key(format!("/routing/{key}")), message).hint(hint);
        findings.push(finding.related(service.at("/routing/policy"), "the policy"));
    };
    let (is_spread, is_single) = (*policy == PolicyDoc::Spread, *policy == PolicyDoc::Single);
    let order = "remove it, or write `policy: priority`: with `policy: spread` all backends are equal";
    for (key, is_there) in [("sites", !sites.is_empty()), ("tags", !tags.is_empty())] {
        if is_spread && is_there {
            refuse(key, format!("an order of {key} means nothing with `policy: spread`"), order);
        }
    }
    if !sites.is_empty() && !tags.is_empty() {
        refuse("tags", "tiers are sites or tags, not both".to_owned(), "remove one of the two lists");
    }
    if *policy != PolicyDoc::Priority && min_healthy.is_some() {
        let hint = "remove it, or write `policy: priority`";
        refuse("min_healthy", "`min_healthy` means nothing without tiers to choose from".to_owned(), hint);
    }
    if !is_single && confirm.is_some() {
        let hint = "remove it: `fall` of `health` says how many failures take a backend down";
        refuse("confirm", "`confirm` means nothing without `policy: single`".to_owned(), hint);
    }
    if is_single && sticky.is_some() {
        refuse("sticky", "with `policy: single` there is one backend to go to".to_owned(), "remove `sticky`");
    }
    if is_single && guard.is_some() {
        let hint = "remove `guard`: the one backend stays until another is up and `confirm` has passed";
        refuse("guard", "`guard` means nothing with `policy: single`".to_owned(), hint);
    }
    if is_single && slow_start.is_some() {
        let hint = "remove `slow_start`: there is no other backend that could take a part of the traffic";
        refuse("slow_start", "`slow_start` means nothing with `policy: single`".to_owned(), hint);
    }
    match failback {
        Some(FailbackDoc { ramp: Some(_), .. }) if is_spread => {
            refuse("failback", "`ramp` means nothing with `policy: spread`".to_owned(), "write `slow_start`");
        }
        Some(FailbackDoc { ramp: Some(_), .. }) if is_single => {
            refuse("failback", "`ramp` means nothing with `policy: single`".to_owned(), "remove `ramp`");
        }
        Some(FailbackDoc { ramp: Some(_), manual: Some(true), .. }) => {
            let hint = "remove `ramp`, or write `after` in place of `manual`";
            refuse("failback", "traffic that returns by hand returns at once".to_owned(), hint);
        }
        Some(FailbackDoc { after: Some(_), manual: Some(true), .. }) => {
            refuse("failback", "traffic returns by itself or by hand, not both".to_owned(), "keep `after` or `manual`");
        }
        Some(FailbackDoc { after: None, manual: None | Some(false), ramp: None }) => {
            refuse("failback", "`failback` says nothing".to_owned(), "write `{ after: 60s }` or `{ manual: true }`");
        }
        Some(FailbackDoc { manual: Some(true), .. }) if is_spread => {
            let hint = "write `{ after: 60s }`, or another policy";
            refuse("failback", "with `policy: spread` a recovered backend returns by itself".to_owned(), hint);
        }
        Some(_) | None => {}
    }
    findings
}

fn duplicate_tiers(service: &Declared<ServiceDoc>, routing: &RoutingDoc) -> Vec<Finding> {
    let sites = routing.sites.iter().map(SiteName::as_str).enumerate().map(|(at, name)| ("sites", at, name));
    let tags = routing.tags.iter().map(Tag::as_str).enumerate().map(|(at, name)| ("tags", at, name));
    let mut first: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (key, index, name) in sites.chain(tags) {
        match first.get(&(key, name)) {
            None => _ = first.insert((key, name), index),
            Some(earlier) => {
                let at = |index| service.at(format!("/routing/{key}/{index}"));
                let finding = Finding::error("duplicate-tier", at(index), format!("`{name}` is a tier already"))
                    .hint("remove it")
                    .related(at(*earlier), "first written here");
                findings.push(finding);
            }
        }
    }
    findings
}

/// Every active backend belongs to a tier, and every tier can serve.
fn coverage(view: &View<'_>, service: &Declared<ServiceDoc>, routing: &RoutingDoc) -> Vec<Finding> {
    let RoutingDoc { policy, sites, tags, min_healthy, .. } = routing;
    let (key, tiers): (_, Vec<&str>) = match (sites.is_empty(), tags.is_empty()) {
        (false, true) => ("sites", sites.iter().map(SiteName::as_str).collect()),
        (true, false) => ("tags", tags.iter().map(Tag::as_str).collect()),
        _ => return Vec::new(),
    };
    if *policy == PolicyDoc::Spread {
        return Vec::new();
    }
    let tier_of = |backend: &BackendDoc| {
        tiers.iter().position(|tier| match key {
            "sites" => backend.site.as_str() == *tier,
            _ => backend.tags.iter().any(|tag| tag.as_str() == *tier),
        })
    };
    let mut sizes = vec![0_u32; tiers.len()];
    let mut findings = Vec::new();
    let active = |backend: &&&Declared<BackendDoc>| backend.doc.state == StateDoc::Active && backend.doc.weight > 0;
    for backend in view.backends_of(&service.doc.name).iter().filter(active) {
        if let Some(tier) = tier_of(&backend.doc) {
            sizes[tier] += 1;
            continue;
        }
        let (place, names) = (if key == "sites" { "/site" } else { "/name" }, listed(tiers.iter().copied()));
        let message = format!("backend `{}` is in no tier of service `{}`", backend.doc.name, service.doc.name);
        let finding = Finding::error("backend-without-tier", backend.at(place), message)
            .hint(format!("the tiers are the {key} {names}: add one for it, or set its `state: disabled`"))
            .related(service.key(format!("/routing/{key}")), "the tiers");
        findings.push(finding);
    }
    for (index, (tier, size)) in tiers.iter().zip(sizes).enumerate() {
        let at = service.at(format!("/routing/{key}/{index}"));
        let need = min_healthy.unwrap_or(1);
        if size == 0 && !tiers[..index].contains(tier) {
            let message = format!("tier `{tier}` has no backend that takes traffic");
            findings.push(Finding::warning("empty-tier", at, message).hint("add one, or remove the tier"));
        } else if (1..need).contains(&size) && *policy == PolicyDoc::Priority {
            let message = format!("tier `{tier}` never serves: it has {size} of the {need} backends of `min_healthy`");
            let finding = Finding::error("min-healthy-unreachable", at, message);
            findings.push(
                finding
                    .hint("lower `min_healthy`, or add backends")
                    .related(service.at("/routing/min_healthy"), "asks for more"),
            );
        }
    }
    findings
}
