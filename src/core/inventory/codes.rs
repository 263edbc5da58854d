use super::suggest::closest;

/// Makes the table of codes, and embeds the page of each, `docs/codes/CODE.md`: a code without a page does not compile.
macro_rules! codes {
    ($(($code:literal, $meaning:literal)),* $(,)?) => {
        /// Every code that a diagnostic of an inventory may carry, with its meaning in one line, in alphabetical order.
        ///
        /// Codes are stable: people search for them and scripts match them. A test holds that each has a fixture.
        pub const CODES: &[(&str, &str)] = &[$(($code, $meaning)),*];

        /// The page of each code, in the order of the codes.
        const PAGES: &[&str] = &[$(include_str!(concat!("../../../docs/codes/", $code, ".md"))),*];
    };
}

/// Where the pages are published.
const PAGES_URL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/codes");

/// The page that explains a code, in Markdown: what it means, an example, what is said of it, the cure.
pub fn page(code: &str) -> Option<&'static str> {
    PAGES.get(place(code)?).copied()
}

/// A code's meaning in one line.
pub(super) fn meaning(code: &str) -> Option<&'static str> {
    CODES.get(place(code)?).map(|(_, meaning)| *meaning)
}

fn place(code: &str) -> Option<usize> {
    CODES.binary_search_by_key(&code, |(known, _)| known).ok()
}

/// Where a code's page is published.
pub(super) fn page_url(code: &str) -> String {
    format!("{PAGES_URL}/{code}.md")
}

/// The code that a text which is none was most likely meant to be.
pub fn closest_code(text: &str) -> Option<&'static str> {
    closest(text, CODES.iter().map(|(code, _)| *code))
}

codes![
    ("acme-port", "An edge gets certificates by ACME and listens on neither port 80 nor 443."),
    ("admin-lockout", "An edge listens on the port of its own admin address."),
    ("alias-limit", "The YAML anchors and aliases of a file stand for too many values."),
    ("backend-without-tier", "An active backend is in no tier of its service."),
    ("bad-value", "A text is not what its key takes."),
    ("body-expectation", "A body is judged in no way, in several, or in one that cannot be followed."),
    ("byte-order-mark", "A file begins with a byte order mark."),
    ("caddy-placeholder", "A value has braces that Caddy would replace."),
    ("depth-limit", "Lists and mappings are nested too deep."),
    ("domain-shadowed", "A service has a name under another service's wildcard."),
    ("duplicate-address", "Two backends have one address and port."),
    ("duplicate-admin", "Two edges have one admin address."),
    ("duplicate-domain", "Two services, or one twice, claim a host name with the same path prefix."),
    ("duplicate-key", "A key stands twice in one mapping."),
    ("duplicate-listen", "Two listeners of an edge claim one address."),
    ("duplicate-name", "Two documents of one kind have one name."),
    ("duplicate-path", "A path prefix stands twice in one service."),
    ("duplicate-peer", "Two sites are one WireGuard peer."),
    ("duplicate-tier", "A tier stands twice in one service."),
    ("edge-scope", "An edge of which a part is somebody else's would set what all of it shares."),
    ("empty-file", "A file declares nothing."),
    ("empty-list", "A list that needs an item has none."),
    ("empty-tier", "No backend that takes traffic is in a tier."),
    ("empty-tunnel", "A tunnel says neither its WireGuard peer nor a gateway."),
    ("fast-interval", "Backends in doubt would be asked less often than others."),
    ("gateway-elsewhere", "The gateway of a site lies in another site's subnets."),
    ("guard-over-site", "The guard of a service would hold backends of a site that is lost."),
    ("guard-unreachable", "The guard of a service asks for more backends than there are."),
    ("health-header", "A probe's header that cannot be sent, or that is not the inventory's to say."),
    ("health-host", "A probe's host is a wildcard."),
    ("health-tls", "Something is asked of certificates where backends speak plain HTTP."),
    ("health-url", "A backend's health URL is not at the backend itself."),
    ("health-with-grpc", "A gRPC probe has a path, a method or an expected answer."),
    ("health-with-head", "A probe by HEAD expects a body."),
    ("health-with-http", "A probe by HTTP names a gRPC service."),
    ("health-with-tcp", "A TCP probe has a path or anything else of a request or an answer."),
    ("latency-over-timeout", "A probe times out before its answer could be too slow."),
    ("lfs-pointer", "A file is a pointer of Git LFS in place of what it points to."),
    ("literal-secret", "A probe's header has a secret written out in the repository."),
    ("min-healthy-unreachable", "A tier has fewer backends than it needs to serve."),
    ("missing-key", "A key that must be there is not."),
    ("missing-value", "A key has no value."),
    ("mixed-health-path", "Backends of one service are probed at different paths, which a Caddy on its own cannot do."),
    ("no-active-backend", "Every backend of a service is drained or disabled."),
    ("no-edge", "Services are declared and no edge that would serve them."),
    ("no-inventory", "Nothing is declared at all."),
    ("no-tiers", "Priorities without an order."),
    ("not-utf8", "A file is not UTF-8 text."),
    ("out-of-range", "A number is too small or too large."),
    ("outside-subnets", "A backend's address is in none of its site's subnets."),
    ("overlapping-subnets", "Networks of two sites overlap."),
    ("relay-evidence", "An edge would tell of evidence by a socket file."),
    ("relay-listen", "The relay of an edge would listen where it must not."),
    ("routing-contradiction", "A routing key that means nothing beside the others."),
    ("secret-reference", "A probe's header names a secret in a way that says nothing."),
    ("server-name-wildcard", "The name that backends' certificates must carry is a wildcard."),
    ("service-without-backends", "No backend belongs to a service."),
    ("several-probes", "What is tried is said twice: in a list, and beside it."),
    ("single-site", "All backends of a service that take traffic are at one site."),
    ("size-limit", "A document has too many values."),
    ("timeout-over-interval", "A probe may take longer than the time between two probes."),
    ("tls-contradiction", "An edge's listeners and its TLS mode contradict each other."),
    ("tls-email", "An ACME account address is missing, or has no use."),
    ("too-many-faults", "A file has more faults than are shown."),
    ("unknown-choice", "A value is none of those that its key takes."),
    ("unknown-folder", "YAML outside the folders of an inventory."),
    ("unknown-key", "A key that no document of this kind has."),
    ("unknown-service", "A service is referred to and not declared."),
    ("unknown-site", "A site is referred to and not declared."),
    ("upstream-tls", "TLS settings for backends that speak plain HTTP."),
    ("weights-all-zero", "Every active backend of a service has weight 0."),
    ("wildcard-acme", "A wildcard domain on an edge whose ACME cannot prove one."),
    ("wrong-type", "A value has the wrong type."),
    ("yaml-key", "A key is not text."),
    ("yaml-merge-key", "A YAML merge key."),
    ("yaml-syntax", "A file is not YAML."),
    ("yaml-tag", "A YAML tag."),
];
