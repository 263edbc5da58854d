//! An edge can be configured, and stays within reach.

use std::collections::BTreeMap;

use crate::core::inventory::codes;
use crate::core::inventory::doc::{EdgeDoc, TlsModeDoc};
use crate::core::inventory::document::{Documents, Entry};
use crate::core::model::{AdminAddress, Diagnostic, HTTP_PORT, Listener, Scheme};

pub(super) fn check(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    let mut first_by_admin: BTreeMap<&AdminAddress, &Entry<EdgeDoc>> = BTreeMap::new();
    for entry in &documents.edges {
        if let Some(first) = first_by_admin.get(&entry.doc.admin) {
            let message = format!("edge `{}` has the same admin address", first.doc.name);
            let hint = "two edges at one Caddy would overwrite each other; keep one, with the listeners of both";
            let mut fault = entry.error("/admin", codes::DUPLICATE_ADMIN, message, hint);
            fault.related.push(first.related("/admin", "first declared here"));
            faults.push(fault);
        } else {
            first_by_admin.insert(&entry.doc.admin, entry);
        }
        listeners(entry, faults);
        tls(entry, faults);
    }
    wildcards(documents, faults);
}

fn listeners(entry: &Entry<EdgeDoc>, faults: &mut Vec<Diagnostic>) {
    for (index, listener) in entry.doc.listen.iter().enumerate() {
        let pointer = format!("/listen/{index}");
        if entry.doc.admin.port() == Some(listener.port().get()) {
            let message = format!("`{listener}` is the port of this edge's admin API, {}", entry.doc.admin);
            let hint = "listen on another port: with this one, either the push fails or bascule is locked out";
            faults.push(entry.error(&pointer, codes::ADMIN_LOCKOUT, message, hint));
        }
        let earlier = entry.doc.listen[..index].iter().position(|earlier| clash(earlier, listener));
        if let Some(first) = earlier {
            let message = format!("`{listener}` and `{}` are the same port", entry.doc.listen[first]);
            let mut fault = entry.error(&pointer, codes::DUPLICATE_LISTEN, message, "keep one of the two");
            fault.related.push(entry.related(&format!("/listen/{first}"), "first written here"));
            faults.push(fault);
        }
    }
}

/// Every address of the machine includes each single one.
fn clash(a: &Listener, b: &Listener) -> bool {
    a.port() == b.port() && (a.host() == b.host() || a.host().is_none() || b.host().is_none())
}

fn tls(entry: &Entry<EdgeDoc>, faults: &mut Vec<Diagnostic>) {
    let tls = &entry.doc.tls;
    match (tls.mode, &tls.email) {
        (TlsModeDoc::Acme, None) => {
            let message = "`mode: acme` needs an `email`".to_owned();
            let hint = "add `email:`; the authority writes there when a certificate cannot be renewed";
            faults.push(entry.error("/tls", codes::TLS_EMAIL, message, hint));
        }
        (TlsModeDoc::Internal | TlsModeDoc::Off, Some(_)) => {
            let message = "`email` is only for `mode: acme`".to_owned();
            faults.push(entry.error("/tls/email", codes::TLS_EMAIL, message, "remove `email`, or write `mode: acme`"));
        }
        (TlsModeDoc::Acme, Some(_)) | (TlsModeDoc::Internal | TlsModeDoc::Off, None) => {}
    }
    let is_off = tls.mode == TlsModeDoc::Off;
    for (index, listener) in entry.doc.listen.iter().enumerate() {
        let pointer = format!("/listen/{index}");
        if is_off && listener.demands_tls() {
            let message = format!("`{listener}` wants TLS, and `tls.mode` is `off`");
            let hint = "write `http://`, or choose another `tls.mode`";
            faults.push(entry.error(&pointer, codes::LISTENER_SCHEME, message, hint));
        }
        if !is_off && listener.scheme() == Scheme::Https && listener.port().get() == HTTP_PORT {
            let message = format!("`{listener}` wants TLS on port 80, which Caddy keeps for plain HTTP");
            faults.push(entry.error(&pointer, codes::LISTENER_SCHEME, message, "choose another port"));
        }
    }
    if !is_off && entry.doc.listen.iter().all(|listener| listener.scheme() == Scheme::Http) {
        let message = "no listener speaks HTTPS, and `tls.mode` is not `off`".to_owned();
        let hint = "add a listener such as `:443`, or write `mode: \"off\"`";
        faults.push(entry.error("/listen", codes::LISTENER_SCHEME, message, hint));
    }
}

/// A public authority gives a wildcard certificate only for the DNS challenge (RFC 8555, section 7.1.3, and the policy of
/// the authorities), for which bascule configures no provider.
fn wildcards(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    let Some(edge) = documents.edges.iter().find(|entry| entry.doc.tls.mode == TlsModeDoc::Acme) else { return };
    for entry in &documents.services {
        for (index, host) in entry.doc.domains.iter().enumerate().filter(|(_, host)| host.is_wildcard()) {
            let message = format!("edge `{}` cannot get a certificate for `{host}`", edge.doc.name);
            let hint =
                "list the exact names; a wildcard certificate needs a DNS challenge, which bascule does not configure";
            let mut fault = entry.error(&format!("/domains/{index}"), codes::WILDCARD_ACME, message, hint);
            fault.related.push(edge.related("/tls/mode", "the edge's certificates"));
            faults.push(fault);
        }
    }
}
