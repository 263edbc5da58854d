//! The stable codes of diagnostics, with what each means. A code never changes its meaning and is never used again.

macro_rules! codes {
    ($($name:ident = $code:literal: $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// Every code with its meaning, in the order of this file.
        pub const ALL: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    NOT_UTF8 = "not-utf8": "A file is not UTF-8.";
    SYNTAX = "yaml-syntax": "A file is not YAML.";
    TAG = "yaml-tag": "A value carries a YAML tag.";
    MERGE_KEY = "yaml-merge-key": "A mapping uses the merge key `<<`.";
    KEY_NOT_TEXT = "yaml-key": "A mapping's key is not a text.";
    DUPLICATE_KEY = "duplicate-key": "A mapping has the same key twice.";
    ALIAS_LIMIT = "alias-limit": "Aliases stand for more values than any inventory needs.";
    DEPTH_LIMIT = "depth-limit": "A document is nested deeper than any inventory needs.";
    EMPTY_DOCUMENT = "empty-document": "A document declares nothing.";
    UNKNOWN_FOLDER = "unknown-folder": "A YAML file is in no folder that an inventory has. Warning.";
    NO_INVENTORY = "no-inventory": "There is no inventory file at all.";
    UNKNOWN_KEY = "unknown-key": "A document has a key that its kind does not have.";
    MISSING_KEY = "missing-key": "A document lacks a key that its kind needs.";
    WRONG_TYPE = "wrong-type": "A value is of the wrong type.";
    NOT_ONE_OF = "not-one-of": "A value is none of those that its key takes.";
    OUT_OF_RANGE = "out-of-range": "A number or a list is too small or too large.";
    BAD_VALUE = "bad-value": "A value is not of the form that its key takes.";
    PLACEHOLDER = "caddy-placeholder": "A value contains braces, which Caddy would expand as a placeholder.";
    DUPLICATE_NAME = "duplicate-name": "Two documents of one kind have the same name.";
    DUPLICATE_ADDRESS = "duplicate-address": "Two backends have the same address and port.";
    DUPLICATE_DOMAIN = "duplicate-domain": "The same host and path are claimed twice.";
    DOMAIN_SHADOWED = "domain-shadowed": "An exact host name takes requests from another service's wildcard. Warning.";
    UNKNOWN_SITE = "unknown-site": "A backend names a site that nobody declares.";
    UNKNOWN_SERVICE = "unknown-service": "A backend names a service that nobody declares.";
    OVERLAPPING_SUBNETS = "overlapping-subnets": "Subnets of two sites overlap.";
    OUTSIDE_SUBNETS = "outside-subnets": "A backend's address is in none of its site's subnets.";
    HEALTH_URL = "health-url": "A backend's health URL is not at the backend's own address, port and protocol.";
    HEALTH_WITH_TCP = "health-with-tcp": "A TCP probe is given something that only an HTTP probe can use.";
    TIMEOUT_OVER_INTERVAL = "timeout-over-interval": "A probe may take longer than the time between two probes.";
    NO_BACKENDS = "service-without-backends": "A service has no backend.";
    NO_ACTIVE_BACKEND = "no-active-backend": "Every backend of a service is drained or disabled. Warning.";
    SINGLE_SITE = "single-site": "All backends of a service are at one site. Warning.";
    WEIGHTS_ALL_ZERO = "weights-all-zero": "Every active backend of a service has weight 0.";
    MIXED_HEALTH = "mixed-health-path": "Backends of one service are probed differently, so an edge cannot check them by itself. Warning.";
    ADMIN_LOCKOUT = "admin-lockout": "An edge would listen on the port of its own admin API.";
    DUPLICATE_LISTEN = "duplicate-listen": "An edge listens on the same port twice.";
    DUPLICATE_ADMIN = "duplicate-admin": "Two edges have the same admin address.";
    TLS_EMAIL = "tls-email": "An edge's `tls.email` is missing, or of no use.";
    WILDCARD_ACME = "wildcard-acme": "A wildcard domain on an edge with `tls.mode: acme`, which cannot get its certificate.";
    LISTENER_SCHEME = "listener-scheme": "An edge's listeners contradict its `tls.mode`.";
    UPSTREAM_TLS = "upstream-tls": "TLS settings towards backends that are spoken to in plain HTTP.";
    NOT_AVAILABLE = "not-available": "The schema knows it, and this version cannot do it yet.";
    ROUTING_SITES = "routing-sites": "`routing.sites` without the policy that uses it.";
}
