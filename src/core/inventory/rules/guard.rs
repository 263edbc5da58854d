use std::collections::BTreeMap;

use super::View;
use crate::core::inventory::doc::{BackendDoc, GuardDoc, Minimum, PolicyDoc, ServiceDoc, StateDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::model::SiteName;

/// `guard-unreachable`, `guard-over-site`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    view.documents.services.iter().filter_map(|service| check_service(view, service)).collect()
}

fn check_service(view: &View<'_>, service: &Declared<ServiceDoc>) -> Option<Finding> {
    let routing = service.doc.routing.as_ref().filter(|routing| routing.policy != PolicyDoc::Single)?;
    let GuardDoc { min_healthy } = routing.guard.as_ref()?;
    if view.documents.broken.may_serve(service.doc.name.as_str()) {
        return None; // Nobody can tell before the broken backend is mended.
    }
    let takes_traffic = |backend: &BackendDoc| backend.state == StateDoc::Active && backend.weight > 0;
    let mut sites: BTreeMap<&SiteName, usize> = BTreeMap::new();
    for backend in view.backends_of(&service.doc.name).iter().filter(|backend| takes_traffic(&backend.doc)) {
        *sites.entry(&backend.doc.site).or_default() += 1;
    }
    let total: usize = sites.values().sum();
    let at = service.at("/routing/guard/min_healthy");
    if let Minimum::Count(count) = *min_healthy
        && total > 0
        && count as usize > total
    {
        let message = format!("`guard` asks for {count} backends, and {total} are declared to take traffic");
        return Some(Finding::error("guard-unreachable", at, message).hint("lower `min_healthy`, or add backends"));
    }
    let need = min_healthy.of(total);
    let (site, largest) = sites.iter().max_by_key(|(_, size)| **size)?;
    let left = total - largest;
    if sites.len() < 2 || left >= need {
        return None;
    }
    let message = format!(
        "with site `{site}` lost, {} of its backends would be held in rotation: `guard` asks for {need} of {total}, and \
         {left} are elsewhere",
        need - left
    );
    let finding = Finding::warning("guard-over-site", at, message);
    Some(finding.hint(format!("write `min_healthy: {left}` or less, or add backends at other sites")))
}
