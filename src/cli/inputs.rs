use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::core::inventory::report::{self, Style};
use crate::core::inventory::{Desired, Edge, Loaded, load};
use crate::core::model::{Diagnostic, EdgeName, FileSet, Limits, Severity};
use crate::git::{self, Credentials, Location, Snapshot, Source, SourceError, SourceSettings};

/// The folders of an inventory: a folder that has one of them is an inventory.
const KINDS: [&str; 4] = ["sites", "services", "backends", "edges"];

/// An inventory read from a folder.
pub(super) struct Inventory {
    /// Where its files are, for people.
    pub(super) prefix: String,
    /// Where its files are, seen from the root of the repository that they are in.
    pub(super) prefix_in_repository: String,
    /// Its files.
    pub(super) files: FileSet,
    /// What it declares; none when it has errors.
    pub(super) desired: Option<Desired>,
    /// What is wrong with it.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// How a source on this machine is read.
fn settings(location: Location, path: &str) -> SourceSettings {
    SourceSettings {
        location,
        branch: String::new(),
        path: path.to_owned(),
        credentials: Credentials::default(),
        allowed_signers: None,
        allowed_pgp_keys: None,
        limits: Limits::default(),
        cache: PathBuf::new(),
        timeout: Duration::from_secs(30),
    }
}

/// Reads and checks the inventory at `path` as it was at a revision of the repository that it is in.
pub(super) async fn read_revision(path: &Path, revision: &str) -> anyhow::Result<Inventory> {
    let folder = find(path)?;
    let Some((root, below)) = in_repository(&folder) else {
        bail!(
            "`{}` is in no git repository, so there is no revision `{revision}` and no folder of that name",
            folder.display()
        )
    };
    let settings = settings(Location::Local(root), below.trim_end_matches('/'));
    let wanted = revision.to_owned();
    let snapshot = tokio::task::spawn_blocking(move || git::read_revision(settings, &wanted)).await??;
    checked(snapshot, format!("{revision}:{below}"), below)
}

/// Reads and checks the inventory at `path`: the folder itself, or its `inventory` sub-folder.
pub(super) async fn read(path: &Path) -> anyhow::Result<Inventory> {
    let folder = find(path)?;
    let settings = settings(Location::Directory(folder.clone()), "");
    let snapshot = Source::open(settings)?.fetch(None).await?;
    checked(snapshot, format!("{}/", folder.display()), prefix_in_repository(&folder))
}

/// True where a revision can be read and has no inventory yet.
pub(super) fn has_no_inventory(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(SourceError::PathMissing { .. } | SourceError::NoYaml { .. }))
}

fn checked(snapshot: Snapshot, prefix: String, prefix_in_repository: String) -> anyhow::Result<Inventory> {
    let files = snapshot.files.context("a first read always has files")?;
    let Loaded { desired, diagnostics } = load(&files, snapshot.info.id);
    Ok(Inventory { prefix, prefix_in_repository, files, desired, diagnostics })
}

/// The folder from the root of its repository's work tree, as forges name files; from the current folder where there is no
/// repository. Empty for the root itself.
fn prefix_in_repository(folder: &Path) -> String {
    if let Some((_, below)) = in_repository(folder) {
        return below;
    }
    let Ok(real) = folder.canonicalize() else { return format!("{}/", folder.display()) };
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    match here.as_deref().and_then(|here| real.strip_prefix(here).ok()) {
        Some(below) => with_slash(below),
        None => format!("{}/", real.display()),
    }
}

/// The root of the work tree that a folder is in, and the folder from there.
fn in_repository(folder: &Path) -> Option<(PathBuf, String)> {
    let real = folder.canonicalize().ok()?;
    let root = real.ancestors().find(|above| above.join(".git").exists())?;
    Some((root.to_owned(), with_slash(real.strip_prefix(root).ok()?)))
}

/// A folder's path with a slash at its end; empty for the root itself.
fn with_slash(below: &Path) -> String {
    if below.as_os_str().is_empty() { String::new() } else { format!("{}/", below.display()) }
}

/// The inventory's folder at `path`: the folder itself, or its `inventory` sub-folder.
pub(super) fn find(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        bail!("`{}` is not a folder", path.display());
    }
    let is_inventory = |folder: &Path| KINDS.iter().any(|kind| folder.join(kind).is_dir());
    let inner = path.join("inventory");
    if is_inventory(path) {
        return Ok(path.to_owned());
    }
    if is_inventory(&inner) {
        return Ok(if path == Path::new(".") { PathBuf::from("inventory") } else { inner });
    }
    bail!(
        "no inventory in `{}`: it has none of the folders {} (start one with `bascule init`)",
        path.display(),
        KINDS.join(", ")
    )
}

impl Inventory {
    /// The desired state, or the diagnostics on stderr and an error.
    pub(super) fn desired(&self) -> anyhow::Result<&Desired> {
        if !self.diagnostics.is_empty() {
            eprint!("{}", report::text(&self.diagnostics, &self.files, &self.prefix, Style::Plain));
        }
        self.desired.as_ref().ok_or(Invalid).map_err(Into::into)
    }

    /// True when some diagnostic is an error.
    pub(super) fn is_invalid(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// The inventory has errors, which have been shown. Ends the program with its own exit code.
#[derive(Debug, thiserror::Error)]
#[error("the inventory is invalid")]
pub(super) struct Invalid;

/// The edges that a command is about: the one that is named, or all.
pub(super) fn edges<'a>(desired: &'a Desired, name: Option<&EdgeName>) -> anyhow::Result<Vec<&'a Edge>> {
    let Some(name) = name else {
        if desired.edges.is_empty() {
            bail!("the inventory declares no edge");
        }
        return Ok(desired.edges.values().map(AsRef::as_ref).collect());
    };
    let names: Vec<_> = desired.edges.keys().map(EdgeName::as_str).collect();
    let edge = desired.edges.get(name);
    Ok(vec![edge.with_context(|| format!("no edge is named `{name}`; there is {}", names.join(", ")))?.as_ref()])
}
