use super::View;
use crate::core::inventory::Kind;
use crate::core::inventory::finding::{At, Finding};
use crate::core::inventory::suggest::{closest, listed};

/// Unknown names that get a "did you mean": after so many, the cause is one thing and not a typing error in each, and
/// comparing 30,000 names with 10,000 others would take minutes.
const SUGGESTIONS_MAX: usize = 100;

/// Names that are listed where none is close.
const LISTED_MAX: usize = 8;

/// `unknown-site` and `unknown-service`: every name that is referred to is declared.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let sites: Vec<&str> = view.sites.keys().map(|name| name.as_str()).collect();
    let services: Vec<&str> = view.services.keys().map(|name| name.as_str()).collect();
    let mut references = References { view, findings: Vec::new() };
    for service in &view.documents.services {
        let preferred = service.doc.routing.iter().flat_map(|routing| &routing.sites);
        for (index, site) in preferred.enumerate() {
            references.check(Kind::Site, site.as_str(), &sites, || service.at(format!("/routing/sites/{index}")));
        }
    }
    for backend in &view.documents.backends {
        references.check(Kind::Site, backend.doc.site.as_str(), &sites, || backend.at("/site"));
        references.check(Kind::Service, backend.doc.service.as_str(), &services, || backend.at("/service"));
    }
    references.findings
}

struct References<'v, 'd> {
    view: &'v View<'d>,
    findings: Vec<Finding>,
}

impl References<'_, '_> {
    /// Holds one reference against the declared names, which are sorted.
    fn check(&mut self, kind: Kind, name: &str, declared: &[&str], at: impl FnOnce() -> At) {
        let is_known = declared.binary_search(&name).is_ok() || self.view.documents.broken.may_declare(kind, name);
        if is_known {
            return;
        }
        let near = if self.findings.len() < SUGGESTIONS_MAX { closest(name, declared.iter().copied()) } else { None };
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if declared.is_empty() => format!("declare it in {}/{name}.yaml", kind.folder()),
            None if declared.len() <= LISTED_MAX => {
                format!(
                    "declare it in {}/{name}.yaml, or use one of {}",
                    kind.folder(),
                    listed(declared.iter().copied())
                )
            }
            None => format!("declare it in {}/{name}.yaml, or use one that exists", kind.folder()),
        };
        let code = if kind == Kind::Site { "unknown-site" } else { "unknown-service" };
        self.findings.push(Finding::error(code, at(), format!("no {kind} is named `{name}`")).hint(hint));
    }
}
