//! The layering, read from the sources: what may use what, that no file is too long, and that no test is forgotten.

mod paths;
mod rules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::paths::{mentions, without_text};
use self::rules::{LINES_MAX, faults};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its path relative to the repository.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.insert(name, std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    found
}

#[test]
fn the_layering_holds() {
    let all: Vec<_> = ["src", "tests", "benches"].into_iter().flat_map(sources).collect();
    assert!(all.len() > 100, "only {} files were read", all.len());
    let faults: Vec<_> = all.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn planted_faults_are_found() {
    for (path, text) in [
        // Down only, however it is written.
        ("src/core/model/name.rs", "use crate::core::inventory::Desired;"),
        ("src/core/inventory/load.rs", "use crate::core::{\n    model::Name,\n    health::Observed,\n};"),
        ("src/core/health/step.rs", "use super::super::routing::Plan;"),
        ("src/core/routing/plan.rs", "fn f() { crate::core::caddy::render() }"),
        ("src/core/caddy/diff.rs", "use crate::core::status::StatusDto;"),
        ("src/core/status/view.rs", "use crate::core::caddy::render;"),
        ("src/core/routing.rs", "use crate::store::Store;"),
        ("src/git/tree.rs", "use crate::store::Store;"),
        ("src/git.rs", "use super::probe::Prober;"),
        ("src/probe/dial.rs", "use crate::{core::model::Port, edge::AdminClient};"),
        ("src/edge.rs", "pub use crate::controller::Kick;"),
        ("src/store/apply.rs", "let app: crate::app::Settings = 0;"),
        ("src/forge/client.rs", "use crate::git::Location;"),
        ("src/api/server.rs", "use crate::controller::Snapshot;"),
        ("src/controller/observer.rs", "use crate::api::Api;"),
        ("src/app.rs", "use crate::cli::run;"),
        ("src/agent/report.rs", ""),
        // The core is pure.
        ("src/core/routing/plan.rs", "use tokio::sync::watch;"),
        ("src/core/routing/plan.rs", "use std::{fmt, fs};"),
        ("src/core/health/step.rs", "let now = std::time::Instant::now();"),
        ("src/core/health/step.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse tokio::sync::watch;"),
        ("src/core/health/step.rs", "let now = SystemTime::now();"),
        ("src/core/health/step.rs", "use std::collections::{BTreeMap, HashMap};"),
        ("src/core/model/address.rs", "use std::net::{IpAddr, ToSocketAddrs};"),
        ("src/core/model/address.rs", "use std::net;"),
        ("src/core/caddy/render.rs", "tracing::info!(\"rendered\");"),
        ("src/core/caddy/render.rs", "use fastrand::Rng;"),
        ("src/core/inventory/load.rs", "let home = std::env::var(\"HOME\");"),
        // One door each.
        ("src/store.rs", "use anyhow::Context;"),
        ("src/core/model/name.rs", "fn f() -> anyhow::Result<()> {}"),
        ("src/cli/run.rs", "let repository = git2::Repository::open(path);"),
        ("src/controller/reconciler.rs", "use rusqlite::Connection;"),
        ("src/probe/http.rs", "use reqwest::Client;"),
        ("src/core/caddy/diff.rs", "use hyper::Uri;"),
        ("src/controller/observer.rs", "use axum::Router;"),
        // Finished code.
        ("src/cli/run.rs", "#[allow(dead_code)]"),
        ("src/lib.rs", "#![allow(dead_code)]"),
        ("src/cli/run.rs", "fn f() { todo!() }"),
        ("tests/it/git.rs", "#[ignore]"),
        ("tests/it/git.rs", "#[ignore = \"slow\"]"),
    ] {
        assert_eq!(faults(path, text).len(), 1, "{path}: {text}: {:?}", faults(path, text));
    }
    assert_eq!(faults("src/app.rs", &"\n".repeat(LINES_MAX + 1)).len(), 1);
}

#[test]
fn what_is_allowed_is_no_fault() {
    for (path, text) in [
        ("src/core/routing/plan.rs", "use crate::core::health::Observed;\n// tokio is not used here\n"),
        ("src/core/routing/plan.rs", "let words = \"std::fs and #[allow(x)]\"; let raw = r#\"\"todo!\"#;"),
        ("src/core/model/name.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n"),
        ("src/core/model/address.rs", "use std::net::{IpAddr, SocketAddr};\nlet a = std::net::IpAddr::V4(b);"),
        ("src/core/health/step.rs", "use super::{Observed, sample::Sample as S};\nuse std::time::Duration;"),
        ("src/cli/demo/world.rs", "let repository = git2::Repository::open(path);"),
        ("src/controller/edge_worker.rs", "use crate::{edge::AdminClient, store::Store};"),
        ("src/cli/run.rs", "fn f<'a>(quote: &'a char) -> bool { *quote == '\"' || tokio::spawn(x) }"),
        ("src/core/caddy/handler.rs", "/* use std::fs; */ let random = domains.rand::<u8>();"),
    ] {
        assert_eq!(faults(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let code = without_text(
        "use std::{fmt, io::{self, Read as R}};\nuse super::{super::b::C, D};\nlet x = self::e(\"f::g\", 'h', &'i j);",
    );
    let found: Vec<_> = mentions(&code, "m::n").into_iter().map(|it| (it.line, it.path)).collect();
    let expected = [
        (1, "std::fmt"),
        (1, "std::io::self"),
        (1, "std::io::Read"),
        (2, "crate::b::C"),
        (2, "crate::m::D"),
        (3, "crate::m::n::e"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn no_test_file_is_forgotten() {
    for root_folder in ["tests/it", "tests/lab", "tests/sim"] {
        let main = format!("{root_folder}/main.rs");
        for path in sources(root_folder).keys().filter(|path| **path != main) {
            let path = Path::new(path);
            let (folder, name) = (path.parent().expect("a folder"), path.file_stem().expect("a name").display());
            let is_top = folder == Path::new(root_folder);
            let parent = if is_top { folder.join("main.rs") } else { folder.with_extension("rs") };
            let text = std::fs::read_to_string(root().join(&parent)).expect("a parent module");
            let is_declared = text.lines().any(|line| declared(line).is_some_and(|it| it == name.to_string()));
            assert!(is_declared, "{} is not declared in {}", path.display(), parent.display());
        }
    }
}

/// The module that a line declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    line.trim().strip_prefix("mod ")?.strip_suffix(';')
}

/// Rendered bytes are canonical because `serde_json` orders its maps by key. A dependency that turns its
/// `preserve_order` feature on would change that for the whole program.
#[test]
fn json_objects_are_ordered_by_key() {
    let value: serde_json::Value = serde_json::from_str(r#"{"b": 1, "a": 2}"#).expect("JSON");
    assert_eq!(value.to_string(), r#"{"a":2,"b":1}"#);
}
