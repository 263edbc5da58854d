//! The layering as tables, and the check of one file against them: path and text in, faults out.

use super::paths::{Mention, mentions, without_text};

/// Every unit of `src/` with the units it may use besides itself. Arrows point down this list.
///
/// The core's own order is model → inventory → health → routing → caddy, and status beside caddy: a view is made of what
/// is planned, not of how it is rendered.
const UNITS: &[(&str, &[&str])] = &[
    ("core::model", &[]),
    ("core::trust", &["core::model"]),
    ("core::inventory", &["core::model"]),
    ("core::health", &["core::model", "core::inventory"]),
    ("core::routing", &["core::model", "core::inventory", "core::health"]),
    ("core::caddy", &["core::model", "core::inventory", "core::routing"]),
    ("core::steering", &["core::model", "core::routing"]),
    ("core::status", &["core::model", "core::inventory", "core::health", "core::routing", "core::steering"]),
    ("core::simulate", &["core::model", "core::inventory", "core::health", "core::routing", "core::caddy"]),
    (
        "core::review",
        &["core::model", "core::inventory", "core::health", "core::routing", "core::caddy", "core::simulate"],
    ),
    ("core::import", &["core::model", "core::inventory", "core::routing", "core::caddy"]),
    ("git", &["core"]),
    ("probe", &["core"]),
    ("edge", &["core"]),
    ("forge", &["core"]),
    ("store", &["core"]),
    ("sever", &["core"]),
    ("api", &["core"]),
    ("controller", &["core", "git", "probe", "edge", "forge", "store", "sever"]),
    ("app", &["core", "git", "probe", "edge", "forge", "store", "sever", "api", "controller"]),
    ("cli", &["core", "git", "probe", "edge", "forge", "store", "sever", "api", "controller", "app"]),
];

/// Files that only declare modules, and the binary.
const ROOTS: &[&str] = &["src/lib.rs", "src/main.rs", "src/core.rs"];

/// Crates with the files that may use them; everything else in `src/` may not.
const CRATES: &[(&str, &[&str])] = &[
    ("anyhow", &["src/app.rs", "src/app", "src/cli", "src/main.rs"]),
    ("axum", &["src/api", "src/cli/sample.rs"]),
    ("clap", &["src/cli"]),
    // The demonstration makes a repository of its own.
    ("git2", &["src/git", "src/cli/demo/world.rs"]),
    ("h2", &["src/probe/grpc.rs"]),
    ("hyper", &["src/probe", "src/edge/relay.rs"]),
    ("hyper_util", &["src/probe", "src/edge/relay.rs"]),
    ("notify", &["src/git"]),
    ("openssl", &["src/probe", "src/git/signature.rs"]),
    ("pgp", &["src/core/trust/openpgp.rs", "src/core/trust/openpgp"]),
    ("reqwest", &["src/edge", "src/forge", "src/cli"]),
    ("rusqlite", &["src/store"]),
];

/// What the core may not use, by path: it and everything below it.
const IMPURE: &[&str] = &[
    "fastrand",
    "getrandom",
    "http_body_util",
    "rand",
    "rustix",
    "std::env",
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "tempfile",
    "tokio",
    "tokio_native_tls",
    "tokio_util",
    "tracing",
    "tracing_subscriber",
];

/// What the core may not use, by the end of a path: clocks, and maps without an order.
const IMPURE_ENDS: &[&str] =
    &["HashMap", "HashSet", "Instant::now", "RandomState", "SystemTime::now", "TcpListener", "TcpStream", "UdpSocket"];

/// The whole of `std::net` that the core may use: addresses, which are values.
const NET: &[&str] =
    &["AddrParseError", "IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"];

/// Texts that stand nowhere: finished code, exceptions with a reason (`#[expect(…, reason = …)]`), tests that run.
const NOWHERE: &[&str] = &["todo!", "unimplemented!", "#[allow(", "#![allow(", "#[ignore"];

/// Longest source file. A file that grows past it is two files.
pub(super) const LINES_MAX: usize = 400;

/// What is wrong with one file of the repository.
pub(super) fn faults(path: &str, text: &str) -> Vec<String> {
    let code = without_text(text);
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let banned = NOWHERE.iter().filter(|word| line.contains(**word));
        faults.extend(
            banned.map(|word| {
                format!("{path}:{number}: `{word}`: finished code, exceptions with a reason, tests that run")
            }),
        );
    }
    let lines = text.lines().count();
    if path.starts_with("src/") {
        if lines > LINES_MAX {
            faults.push(format!("{path}: {lines} lines, and at most {LINES_MAX}: split it"));
        }
        faults.extend(layering(path, &code));
    }
    faults
}

fn layering(path: &str, code: &str) -> Vec<String> {
    let module = module_of(path);
    let Some((unit, allowed)) = UNITS.iter().find(|(unit, _)| is_at_or_below(&module, unit)) else {
        let is_root = ROOTS.contains(&path);
        return if is_root { Vec::new() } else { vec![format!("{path}: belongs to no unit of the layering")] };
    };
    let mut faults = Vec::new();
    // Tests inside a file may use what its code may not: the wall is around the code.
    for Mention { line, path: mentioned } in mentions(&without_tests(code), &module) {
        let mut fault = |reason: &str| faults.push(format!("{path}:{line}: `{mentioned}`: {reason}"));
        if let Some(inside) = mentioned.strip_prefix("crate::") {
            let other = UNITS.iter().map(|(name, _)| *name).find(|name| is_at_or_below(inside, name));
            let is_allowed = |other| other == *unit || allowed.iter().any(|name| is_at_or_below(other, name));
            if other.is_some_and(|other| !is_allowed(other)) {
                fault(&format!("{unit} may use {allowed:?} of this crate"));
            }
            continue;
        }
        let owned = CRATES.iter().find(|(name, _)| is_at_or_below(&mentioned, name));
        if owned.is_some_and(|(_, places)| !places.iter().any(|place| is_within(path, place))) {
            fault("a library stays behind its one door");
        }
        if unit.starts_with("core::") && is_impure(&mentioned) {
            fault("the core is pure and ordered: values in, values out");
        }
    }
    faults
}

fn is_impure(mentioned: &str) -> bool {
    let is_socket = mentioned
        .strip_prefix("std::net::")
        .is_some_and(|rest| !NET.contains(&rest.split("::").next().unwrap_or_default()));
    let ends_badly = |end: &&&str| {
        mentioned == **end || mentioned.contains(&format!("::{end}")) || mentioned.starts_with(&format!("{end}::"))
    };
    is_socket
        || mentioned == "std::net"
        || IMPURE.iter().any(|name| is_at_or_below(mentioned, name))
        || IMPURE_ENDS.iter().any(|end| ends_badly(&end))
}

/// `src/core/routing/plan.rs` is `core::routing::plan`.
fn module_of(path: &str) -> String {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.strip_suffix(".rs").unwrap_or(inner).replace('/', "::")
}

fn is_at_or_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `src/git` is the file `src/git.rs` and the folder.
fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

/// The code without its tests, which leave their lines empty.
fn without_tests(code: &str) -> String {
    let Some((before, rest)) = code.split_once("#[cfg(test)]\nmod tests {") else { return code.to_owned() };
    let (tests, after) = rest.split_once("\n}\n").unwrap_or((rest, ""));
    // The two lines at which it was cut, and the one that ends it.
    let lines = tests.matches('\n').count() + 3;
    format!("{before}{}{after}", "\n".repeat(lines))
}
