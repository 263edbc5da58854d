//! The layering, read from the sources: what may use what, and that no test file is forgotten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a folder of `src/` must not mention, with the reason that a failure shows.
struct Rule {
    /// Files whose path begins with one of these.
    within: &'static [&'static str],
    /// Texts that must not stand there.
    banned: &'static [&'static str],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        within: &["src/core"],
        banned: &[
            "tokio",
            "reqwest",
            "rusqlite",
            "git2",
            "notify::",
            "axum",
            "hyper",
            "tracing::",
            "fastrand",
            "rand::",
            "std::fs",
            "std::env",
            "std::process",
            "std::io",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "SystemTime::now",
            "Instant::now",
            "HashMap",
            "HashSet",
        ],
        reason: "the core is pure and ordered: values in, values out",
    },
    Rule {
        within: &["src/core"],
        banned: &[
            "crate::git",
            "crate::probe",
            "crate::edge",
            "crate::store",
            "crate::controller",
            "crate::api",
            "crate::cli",
            "crate::app",
        ],
        reason: "arrows point down: the core knows no adapter",
    },
    Rule {
        within: &["src/core/model"],
        banned: &["core::inventory", "core::health", "core::routing", "core::caddy", "core::status"],
        reason: "the vocabulary knows nobody",
    },
    Rule {
        within: &["src/core/inventory"],
        banned: &["core::health", "core::routing", "core::caddy", "core::status"],
        reason: "desired state does not know what is observed or served",
    },
    Rule {
        within: &["src/core/health"],
        banned: &["core::routing", "core::caddy", "core::status"],
        reason: "observed state does not know what is served",
    },
    Rule {
        within: &["src/core/routing"],
        banned: &["core::caddy", "core::status"],
        reason: "routing does not know how it is rendered or shown",
    },
    Rule {
        within: &["src/git"],
        banned: &[
            "crate::probe",
            "crate::edge",
            "crate::store",
            "crate::controller",
            "crate::api",
            "crate::cli",
            "crate::app",
        ],
        reason: "adapters do not know each other, nor what is above them",
    },
    Rule {
        within: &["src/probe"],
        banned: &[
            "crate::git",
            "crate::edge",
            "crate::store",
            "crate::controller",
            "crate::api",
            "crate::cli",
            "crate::app",
        ],
        reason: "adapters do not know each other, nor what is above them",
    },
    Rule {
        within: &["src/edge"],
        banned: &[
            "crate::git",
            "crate::probe",
            "crate::store",
            "crate::controller",
            "crate::api",
            "crate::cli",
            "crate::app",
        ],
        reason: "adapters do not know each other, nor what is above them",
    },
    Rule {
        within: &["src/store"],
        banned: &[
            "crate::git",
            "crate::probe",
            "crate::edge",
            "crate::controller",
            "crate::api",
            "crate::cli",
            "crate::app",
        ],
        reason: "adapters do not know each other, nor what is above them",
    },
    Rule {
        within: &["src/api"],
        banned: &[
            "crate::git",
            "crate::probe",
            "crate::edge",
            "crate::store",
            "crate::controller",
            "crate::cli",
            "crate::app",
        ],
        reason: "the API shows the view and nothing else",
    },
    Rule {
        within: &["src/controller"],
        banned: &["crate::api", "crate::cli", "crate::app"],
        reason: "the loops do not know who started them",
    },
    Rule {
        within: &["src/core", "src/git", "src/probe", "src/edge", "src/store", "src/controller", "src/api"],
        banned: &["anyhow"],
        reason: "errors are typed below the composition root",
    },
    Rule {
        within: &["src/controller", "src/api", "src/cli", "src/app.rs", "src/edge", "src/probe", "src/core"],
        banned: &["git2::", "rusqlite"],
        reason: "a blocking library stays behind its one door",
    },
    Rule {
        within: &["src"],
        banned: &["todo!(", "unimplemented!(", "#[allow(", "#![allow("],
        reason: "finished code, and exceptions with a reason (`#[expect(…, reason = …)]`)",
    },
    Rule {
        within: &["tests", "benches"],
        banned: &[concat!("#[", "ignore")],
        reason: "a test that never runs is none",
    },
];

/// The demonstration makes a repository of its own.
const EXCEPTIONS: &[(&str, &str)] = &[("src/cli/demo/world.rs", "git2::")];

/// Longest source file. A file that grows past it is two files.
const LINES_MAX: usize = 400;

/// What is wrong with one file, given its path and text.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let is_in =
        |folder: &str| path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(['/', '.']));
    for Rule { within, banned, reason } in RULES.iter().filter(|rule| rule.within.iter().any(|folder| is_in(folder))) {
        // Tests inside a file may use what its code may not: the wall is around the code.
        let code = if within.contains(&"src") || path.starts_with("tests") { text } else { before_tests(text) };
        for (number, line) in (1..).zip(code.lines()).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                if !EXCEPTIONS.contains(&(path, word)) {
                    faults.push(format!("{path}:{number}: `{word}`: {reason}"));
                }
            }
        }
    }
    let lines = text.lines().count();
    if path.starts_with("src") && lines > LINES_MAX {
        faults.push(format!("{path}: {lines} lines, and at most {LINES_MAX}: split it"));
    }
    faults
}

fn before_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

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
    let all: Vec<_> = ["src", "tests", "benches"]
        .into_iter()
        .flat_map(sources)
        .filter(|(path, _)| path != "tests/it/tidy.rs")
        .collect();
    assert!(all.len() > 100, "only {} files were read", all.len());
    let faults: Vec<_> = all.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn planted_faults_are_found() {
    for (path, text) in [
        ("src/core/routing/plan.rs", "use tokio::sync::watch;\n"),
        ("src/core/model/name.rs", "use crate::core::inventory::Desired;\n"),
        ("src/core.rs", "use std::fs;\n"),
        ("src/core/health/step.rs", "let now = Instant::now();\n"),
        ("src/git/tree.rs", "use crate::store::Store;\n"),
        ("src/store.rs", "use anyhow::Context;\n"),
        ("src/cli/run.rs", "#[allow(dead_code)]\n"),
        ("src/cli/run.rs", "let repository = git2::Repository::open(path);\n"),
        ("tests/it/git.rs", concat!("#[", "ignore]\n")),
    ] {
        assert_eq!(faults(path, text).len(), 1, "{path}: {text}");
    }
    assert_eq!(faults("src/app.rs", &"\n".repeat(LINES_MAX + 1)).len(), 1);
    for (path, text) in [
        ("src/core/routing/plan.rs", "use crate::core::health::Observed;\n// tokio is not used here\n"),
        ("src/core/model/name.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n"),
        ("src/cli/demo/world.rs", "let repository = git2::Repository::open(path);\n"),
    ] {
        assert_eq!(faults(path, text), Vec::<String>::new());
    }
}

#[test]
fn no_test_file_is_forgotten() {
    for path in sources("tests/it").keys().filter(|path| *path != "tests/it/main.rs") {
        let path = Path::new(path);
        let (folder, name) = (path.parent().expect("a folder"), path.file_stem().expect("a name").display());
        let parent = if folder == Path::new("tests/it") { folder.join("main.rs") } else { folder.with_extension("rs") };
        let text = std::fs::read_to_string(root().join(&parent)).expect("a parent module");
        let is_declared = text.lines().any(|line| line.trim_start_matches("pub ").trim() == format!("mod {name};"));
        assert!(is_declared, "{} is not declared in {}", path.display(), parent.display());
    }
}

/// Rendered bytes are canonical because `serde_json` orders its maps by key. A dependency that turns its
/// `preserve_order` feature on would change that for the whole program.
#[test]
fn json_objects_are_ordered_by_key() {
    let value: serde_json::Value = serde_json::from_str(r#"{"b": 1, "a": 2}"#).expect("JSON");
    assert_eq!(value.to_string(), r#"{"a":2,"b":1}"#);
}
