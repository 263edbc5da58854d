use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::json;

use super::super::print;
use crate::core::inventory::Kind;

/// What stands for the inventory's folder in the files.
const INVENTORY: &str = "@INVENTORY@";
const GITLAB: &str = ".gitlab-ci.yml";
const GITLAB_INCLUDED: &str = ".gitlab/bascule.yml";
const SETTINGS: &str = ".vscode/settings.json";
/// What GitLab's file is known by.
const GITLAB_JOB: &str = ".bascule:";

/// Whose workflow is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Forge {
    /// `.github/workflows/bascule.yml`.
    Github,
    /// `.gitlab-ci.yml`, or `.gitlab/bascule.yml` where there is one.
    Gitlab,
    /// `.forgejo/workflows/bascule.yml`.
    Forgejo,
}

/// A file to write.
struct Planned {
    path: &'static str,
    text: String,
    mode: u32,
}

/// Writes what checks the inventory: at the forge, before a commit and in the editor. Leaves what is there.
pub(super) fn write(forge: Forge, inventory: &Path) -> anyhow::Result<()> {
    let inventory = inventory.canonicalize().with_context(|| format!("cannot find `{}`", inventory.display()))?;
    let root = root_of(&inventory)?;
    let below = inventory.strip_prefix(root)?.to_str().context("the path of the inventory is not UTF-8")?;
    ensure!(
        !below.chars().any(char::is_control),
        "the path of the inventory has line ends or other control characters, which no workflow can name"
    );
    let shown = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    let shown = shown.and_then(|here| Some(root.strip_prefix(here).ok()?.to_owned())).unwrap_or(root.to_owned());
    for Planned { path, text, mode } in files(forge, root, below) {
        let (place, shown) = (root.join(path), shown.join(path).display().to_string());
        if write_new(&place, &text, mode).with_context(|| format!("cannot write `{shown}`"))? {
            print(format!("{shown}\n"))?;
        } else {
            eprintln!("`{shown}` is already there: it is left as it is");
        }
        if path == GITLAB_INCLUDED {
            eprintln!("Add to `{GITLAB}`: include: [{{ local: {GITLAB_INCLUDED} }}]");
        }
    }
    Ok(())
}

/// The root of the repository, which forges and editors look at; without one, the folder that the inventory is in.
fn root_of(inventory: &Path) -> anyhow::Result<&Path> {
    let repository = inventory.ancestors().find(|above| above.join(".git").exists());
    repository.or(inventory.parent()).context("the inventory is in no folder")
}

fn files(forge: Forge, root: &Path, inventory: &str) -> Vec<Planned> {
    // In YAML, a JSON text is a text; an inventory that is the repository itself is `.`.
    let inventory = if inventory.is_empty() { "." } else { inventory };
    let quoted = json!(inventory).to_string();
    let file = |path, text: &str| Planned { path, text: text.replace(INVENTORY, &quoted), mode: 0o644 };
    let workflow = match forge {
        Forge::Github => file(".github/workflows/bascule.yml", include_str!("ci/github.yml")),
        Forge::Forgejo => file(".forgejo/workflows/bascule.yml", include_str!("ci/forgejo.yml")),
        Forge::Gitlab => file(gitlab_place(root), include_str!("ci/gitlab.yml")),
    };
    let shell = format!("'{}'", inventory.replace('\'', r"'\''"));
    let hook = include_str!("ci/pre-commit.sh").replace(INVENTORY, &shell);
    let mut files = vec![
        workflow,
        file(".pre-commit-config.yaml", include_str!("ci/pre-commit.yaml")),
        Planned { path: ".githooks/pre-commit", text: hook, mode: 0o755 },
    ];
    match editor(inventory) {
        Some(text) => files.push(Planned { path: SETTINGS, text, mode: 0o644 }),
        None => eprintln!(
            "No `{SETTINGS}` is written: it can name letters and digits of ASCII, spaces and `_-@.`, and `{inventory}` has \
             more. The line at the top of a file, as in the starter, leads editors to its schema without it."
        ),
    }
    files
}

/// Somebody else's pipeline stays as it is; one that has these jobs needs no second file.
fn gitlab_place(root: &Path) -> &'static str {
    match std::fs::read(root.join(GITLAB)) {
        Ok(theirs) if !String::from_utf8_lossy(&theirs).contains(GITLAB_JOB) => GITLAB_INCLUDED,
        Ok(_) | Err(_) => GITLAB,
    }
}

/// Settings of Visual Studio Code, for files without a line that names their schema. None for a folder that these cannot
/// name: yaml-language-server takes what has any other character for an address, not for a path.
fn editor(inventory: &str) -> Option<String> {
    let prefix = if inventory == "." { String::new() } else { format!("{inventory}/") };
    if !prefix.chars().all(|c| c.is_ascii_alphanumeric() || "_-@. /".contains(c)) {
        return None;
    }
    // Patterns are held against the address of a file, where these are `%20` and `%40`.
    let pattern = prefix.replace([' ', '@'], "*");
    let schema = |kind: Kind| {
        let folder = kind.folder();
        let globs = ["yaml", "yml"].map(|ending| format!("{pattern}{folder}/**/*.{ending}"));
        (format!("./{prefix}.bascule/schemas/{kind}.json"), json!(globs))
    };
    let schemas: serde_json::Map<_, _> = Kind::ALL.into_iter().map(schema).collect();
    Some(format!("{:#}\n", json!({ "yaml.schemas": schemas })))
}

/// Writes a file that is not there yet; false for one that is.
fn write_new(path: &PathBuf, text: &str, mode: u32) -> std::io::Result<bool> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
