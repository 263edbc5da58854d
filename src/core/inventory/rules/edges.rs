use std::collections::BTreeMap;

use super::View;
use crate::core::inventory::doc::{EdgeDoc, ScopeDoc, TlsModeDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::model::{AdminAddress, DialAddress, HTTP_PORT, HTTPS_PORT, Listener, Scheme};

/// `admin-lockout`, `duplicate-admin`, `duplicate-listen`, `edge-scope`, `tls-email`, `tls-contradiction`, `acme-port`, `wildcard-acme`,
/// `relay-evidence`, `relay-listen`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = duplicate_admins(view);
    for edge in &view.documents.edges {
        findings.extend(admin_lockout(edge));
        findings.extend(duplicate_listeners(edge));
        findings.extend(tls_email(edge));
        findings.extend(tls_contradictions(edge));
        findings.extend(scope(edge));
        findings.extend(acme_port(edge));
        findings.extend(relay_listen(edge));
        findings.extend(relay_evidence(edge));
    }
    findings.extend(wildcard_acme(view));
    findings
}

fn duplicate_admins(view: &View<'_>) -> Vec<Finding> {
    let mut first: BTreeMap<&AdminAddress, &Declared<EdgeDoc>> = BTreeMap::new();
    let mut findings = Vec::new();
    for edge in &view.documents.edges {
        match first.get(&edge.doc.admin) {
            None => _ = first.insert(&edge.doc.admin, edge),
            // The same name twice is reported as that.
            Some(earlier) if earlier.doc.name == edge.doc.name => {}
            Some(earlier) => {
                let message = format!("edge `{}` has the admin address {} already", earlier.doc.name, edge.doc.admin);
                let finding = Finding::error("duplicate-admin", edge.at("/admin"), message)
                    .hint("an edge is one Caddy: two of them at one address would overwrite each other for ever")
                    .related(earlier.at("/admin"), "first declared here");
                findings.push(finding);
            }
        }
    }
    findings
}

/// Caddy's admin API and a listener cannot share a port; the push would fail, or succeed and lock bascule out.
fn admin_lockout(edge: &Declared<EdgeDoc>) -> Vec<Finding> {
    let finding = |(index, listener): (usize, &Listener)| {
        let message = format!("`{listener}` claims the port of this edge's own admin address");
        Finding::error("admin-lockout", edge.at(format!("/listen/{index}")), message)
            .hint("listen on another port, or move Caddy's admin API")
            .related(edge.at("/admin"), "the admin address")
    };
    edge.doc.listen.iter().enumerate().filter(|(_, listener)| listener.claims(&edge.doc.admin)).map(finding).collect()
}

fn duplicate_listeners(edge: &Declared<EdgeDoc>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, listener) in edge.doc.listen.iter().enumerate() {
        let clash = edge.doc.listen[..index].iter().position(|earlier| earlier.clashes(listener));
        let Some(earlier) = clash else { continue };
        let message = format!("`{listener}` claims the same address as `{}`", edge.doc.listen[earlier]);
        let finding = Finding::error("duplicate-listen", edge.at(format!("/listen/{index}")), message)
            .hint("remove one of them; an address without a host is every address of the machine")
            .related(edge.at(format!("/listen/{earlier}")), "first written here");
        findings.push(finding);
    }
    findings
}

fn tls_email(edge: &Declared<EdgeDoc>) -> Option<Finding> {
    let tls = &edge.doc.tls;
    match (tls.mode, &tls.email) {
        (TlsModeDoc::Acme, None) => {
            let message = "`mode: acme` needs an account address";
            let finding = Finding::error("tls-email", edge.at("/tls/mode"), message);
            Some(finding.hint("add `email: ops@acecinema.fr`, with an address that somebody reads"))
        }
        (TlsModeDoc::Internal | TlsModeDoc::Edge | TlsModeDoc::Off, Some(_)) => {
            let message = "`tls.email` means nothing without `mode: acme`";
            let finding = Finding::error("tls-email", edge.key("/tls/email"), message);
            Some(
                finding
                    .hint("remove it, or write `mode: acme`")
                    .related(edge.at("/tls/mode"), "no authority asks for it"),
            )
        }
        (TlsModeDoc::Acme, Some(_)) | (TlsModeDoc::Internal | TlsModeDoc::Edge | TlsModeDoc::Off, None) => None,
    }
}

fn tls_contradictions(edge: &Declared<EdgeDoc>) -> Vec<Finding> {
    let listen = &edge.doc.listen;
    if edge.doc.tls.mode == TlsModeDoc::Off {
        let finding = |(index, listener): (usize, &Listener)| {
            let message = format!("`{listener}` asks for TLS, and `tls.mode` is `off`");
            Finding::error("tls-contradiction", edge.at(format!("/listen/{index}")), message)
                .hint("remove `https://`, or write `mode: acme` or `mode: internal`")
                .related(edge.at("/tls/mode"), "plain HTTP on every listener")
        };
        return listen.iter().enumerate().filter(|(_, listener)| listener.demands_tls()).map(finding).collect();
    }
    if listen.iter().any(|listener| listener.scheme() == Scheme::Https) {
        return Vec::new();
    }
    let message = "the edge has certificates and no listener that speaks HTTPS";
    let finding = Finding::error("tls-contradiction", edge.at("/listen"), message)
        .hint("add `:443`, or write `mode: off`")
        .related(edge.at("/tls/mode"), "asks for certificates");
    vec![finding]
}

/// What all servers of a Caddy share is bascule's where all of them are.
fn scope(edge: &Declared<EdgeDoc>) -> Vec<Finding> {
    let EdgeDoc { scope, tls, grace, relay, .. } = &edge.doc;
    let mut findings = Vec::new();
    let mut fault = |at, message: &str, hint: &str, is_related: bool| {
        let finding = Finding::error("edge-scope", at, message).hint(hint);
        findings.push(if is_related {
            finding.related(edge.at("/scope"), "the rest is somebody else's")
        } else {
            finding
        });
    };
    match (scope, tls.mode) {
        (Some(ScopeDoc::Server), TlsModeDoc::Acme | TlsModeDoc::Internal) => {
            let message = "who issues certificates is said in the part of the configuration that is not bascule's";
            fault(edge.at("/tls/mode"), message, "write `mode: edge`, or `mode: off` for plain HTTP", true);
        }
        (None | Some(ScopeDoc::Config), TlsModeDoc::Edge) => {
            let message = "nothing but bascule says who issues certificates here";
            let hint =
                "write `mode: acme` or `mode: internal`, or `scope: server` where the rest of the configuration stays";
            fault(edge.at("/tls/mode"), message, hint, false);
        }
        _ => {}
    }
    if *scope == Some(ScopeDoc::Server) {
        if grace.is_some() {
            let message = "how long Caddy waits when it ends is one for all its servers";
            fault(edge.key("/grace"), message, "remove it", true);
        }
        if relay.as_ref().is_some_and(|relay| relay.evidence == Some(true)) {
            let message = "what Caddy logs, and where, is one for all its servers";
            fault(edge.at("/relay/evidence"), message, "remove it", true);
        }
    }
    findings
}

/// Public authorities prove a name by connecting to port 80 or 443 (RFC 8555, section 8.3; RFC 8737, section 3). Another
/// port works only where something in front forwards those.
fn acme_port(edge: &Declared<EdgeDoc>) -> Option<Finding> {
    let is_public = |listener: &Listener| matches!(listener.port().get(), HTTP_PORT | HTTPS_PORT);
    if edge.doc.tls.mode != TlsModeDoc::Acme || edge.doc.listen.iter().any(is_public) {
        return None;
    }
    let message = "a certificate authority connects to port 80 or 443, and this edge listens on neither";
    let finding = Finding::warning("acme-port", edge.at("/listen"), message)
        .hint("add `:443`, unless something in front of the edge forwards it here")
        .related(edge.at("/tls/mode"), "asks for certificates");
    Some(finding)
}

/// Whoever reaches the relay can have it ask any address, so it listens where only the edge's own Caddy is; and not where
/// something else does.
fn relay_listen(edge: &Declared<EdgeDoc>) -> Option<Finding> {
    let listen = edge.doc.relay.as_ref()?.listen.as_ref()?;
    let refuse = |message: String| Finding::error("relay-listen", edge.at("/relay/listen"), message);
    if listen.demands_tls() {
        return Some(refuse("the relay speaks plain HTTP".to_owned()).hint("remove `https://`"));
    }
    if !listen.host().is_some_and(|host| host.is_loopback()) {
        let message = format!("`{listen}` is open to other machines, and the relay is for the edge's own Caddy");
        return Some(refuse(message).hint("write a loopback address: `127.0.0.1:2020`"));
    }
    let is_admin = edge.doc.admin.port() == Some(listen.port().get()) && edge.doc.admin.is_loopback();
    let taken = edge.doc.listen.iter().position(|other| other.port() == listen.port());
    let (what, at) = match taken {
        _ if is_admin => ("the admin API", edge.at("/admin")),
        Some(index) => ("the public", edge.at(format!("/listen/{index}"))),
        None => return None,
    };
    let finding = refuse(format!("`{listen}` is taken on this edge")).hint("write another port");
    Some(finding.related(at, format!("for {what}")))
}

/// Caddy waits for the reader of a socket file, and a request would wait with it.
fn relay_evidence(edge: &Declared<EdgeDoc>) -> Option<Finding> {
    let relay = edge.doc.relay.as_ref()?;
    let Some(bascule @ DialAddress::Unix(_)) = relay.bascule.as_ref().filter(|_| relay.evidence == Some(true)) else {
        return None;
    };
    let message = format!("evidence goes by UDP, and bascule is at `{bascule}`");
    let finding = Finding::error("relay-evidence", edge.at("/relay/evidence"), message)
        .hint("remove `evidence`, or let bascule answer relays at a port: `127.0.0.1:7501`")
        .related(edge.at("/relay/bascule"), "a socket file");
    Some(finding)
}

/// A certificate for a wildcard is proved by a DNS record, which needs the keys of a DNS provider.
fn wildcard_acme(view: &View<'_>) -> Vec<Finding> {
    let Some(edge) = view.documents.edges.iter().find(|edge| edge.doc.tls.mode == TlsModeDoc::Acme) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for service in &view.documents.services {
        for (index, host) in service.doc.domains.iter().enumerate().filter(|(_, host)| host.is_wildcard()) {
            let message =
                format!("no certificate can be had for `{host}`: ACME proves a wildcard by a DNS record only");
            let finding = Finding::error("wildcard-acme", service.at(format!("/domains/{index}")), message)
                .hint("write the names out; DNS challenges are not available yet")
                .related(edge.at("/tls/mode"), "this edge uses ACME");
            findings.push(finding);
        }
    }
    findings
}
