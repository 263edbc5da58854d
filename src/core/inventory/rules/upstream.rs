use super::View;
use crate::core::inventory::doc::UpstreamProtocolDoc;
use crate::core::inventory::finding::Finding;
use crate::core::model::Hostname;

/// `upstream-tls`: TLS settings need a protocol with TLS. `server-name-wildcard`: a server name is one name.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in &view.documents.services {
        let Some(upstream) = &service.doc.upstream else { continue };
        let keys = [("server_name", upstream.server_name.is_some()), ("verify", upstream.verify.is_some())];
        for (key, _) in
            keys.into_iter().filter(|(_, is_there)| *is_there && upstream.protocol == UpstreamProtocolDoc::Http)
        {
            let message = format!("`upstream.{key}` means nothing with `protocol: http`");
            let finding = Finding::error("upstream-tls", service.key(format!("/upstream/{key}")), message)
                .hint("remove it, or write `protocol: https`")
                .related(service.at("/upstream/protocol"), "plain HTTP");
            findings.push(finding);
        }
        if upstream.server_name.as_ref().is_some_and(Hostname::is_wildcard) {
            let message = "a server name cannot be a wildcard: it is the one name that edges ask for";
            let finding = Finding::error("server-name-wildcard", service.at("/upstream/server_name"), message);
            findings.push(finding.hint("write a name that the backends' certificates carry"));
        }
    }
    findings
}
