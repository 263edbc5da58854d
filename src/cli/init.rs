mod ci;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use self::ci::Forge;
use super::{inputs, print};
use crate::core::inventory::{Kind, schemas, schemas_for, starter};

/// The folder that `run` reads in a repository unless it is told otherwise.
const FOLDER: &str = "inventory";
/// Where the schemas are in the inventory's folder. What is hidden is not read as inventory.
const SCHEMAS: &str = ".bascule/schemas";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Your repository's root, or a new folder. The inventory is written to its folder `inventory`, where `run` reads it; a
    /// folder that is itself named `inventory` gets it directly. The schemas for editors go to `.bascule/schemas` in there.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Write the workflow of a forge that checks the inventory too, hooks that do so before a commit, and the settings of an
    /// editor, all at the repository's root. An inventory that is there already, and every other file, stays as it is.
    #[arg(long, value_enum, value_name = "FORGE")]
    ci: Option<Forge>,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { dir, ci } = args;
    let root = match &dir {
        dir if dir.ends_with(FOLDER) => dir.clone(),
        dir if dir == Path::new(".") => PathBuf::from(FOLDER),
        dir => dir.join(FOLDER),
    };
    if let Some(file) = root.ancestors().find(|path| path.exists() && !path.is_dir()) {
        bail!("`{}` is a file; name a folder: your repository's root, or a new one", file.display());
    }
    let is_there = ci.is_some() && Kind::ALL.iter().any(|kind| root.join(kind.folder()).is_dir());
    let files = if is_there { Vec::new() } else { starter() };
    let mut missing = Kind::ALL.map(schema_of).to_vec();
    if is_there {
        eprintln!("`{}` is already there: it is left as it is", root.display());
        // Only what editors need, where it is missing.
        missing.retain(|path| !root.join(path).exists());
    }
    // All or nothing: no file of yours is overwritten, and none is left half started.
    let planned = files.iter().map(|(path, _)| *path).chain(missing.iter().map(String::as_str));
    if let Some(first) = planned.map(|path| root.join(path)).find(|path| path.exists()) {
        bail!(
            "`{}` is already there; nothing was written. Edit what is there, or name another folder",
            first.display()
        );
    }
    for (path, text) in files {
        write(&root.join(path), text)?;
    }
    // The names of the inventory as it is now; one that cannot be read, or has errors, is offered none of its own.
    let desired = inputs::read(&root).await.ok().and_then(|inventory| inventory.desired);
    for (kind, text) in desired.as_ref().map_or_else(schemas, schemas_for) {
        let path = schema_of(kind);
        if missing.contains(&path) {
            write(&root.join(path), &text)?;
        }
    }
    if let Some(forge) = ci {
        ci::write(forge, &root)?;
        eprintln!(
            "Next: say in the workflow where your runners find bascule, and `git config core.hooksPath .githooks`."
        );
    }
    if !is_there {
        eprintln!("Next: edit the addresses, then `bascule check {}`.", dir.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the schema of a kind is in the inventory's folder.
fn schema_of(kind: Kind) -> String {
    format!("{SCHEMAS}/{kind}.json")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a starter file is in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    print(format!("{}\n", path.display()))
}
