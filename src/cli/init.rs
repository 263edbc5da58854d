mod ci;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use self::ci::Forge;
use super::print;
use crate::core::inventory::{Kind, starter};

/// The folder that `run` reads in a repository unless it is told otherwise.
const FOLDER: &str = "inventory";
/// What bascule's own files begin with.
const OWN: &str = ".bascule/";

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

pub(super) fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { dir, ci } = args;
    let root = match &dir {
        dir if dir.ends_with(FOLDER) => dir.clone(),
        dir if dir == Path::new(".") => PathBuf::from(FOLDER),
        dir => dir.join(FOLDER),
    };
    if let Some(file) = root.ancestors().find(|path| path.exists() && !path.is_dir()) {
        bail!("`{}` is a file; name a folder: your repository's root, or a new one", file.display());
    }
    let mut files = starter();
    let is_there = ci.is_some() && Kind::ALL.iter().any(|kind| root.join(kind.folder()).is_dir());
    if is_there {
        eprintln!("`{}` is already there: it is left as it is", root.display());
        // Only what editors need, where it is missing.
        files.retain(|(path, _)| path.starts_with(OWN) && !root.join(path).exists());
    }
    // All or nothing: no file of yours is overwritten, and none is left half started.
    let taken: Vec<_> = files.iter().map(|(path, _)| root.join(path)).filter(|path| path.exists()).collect();
    if let Some(first) = taken.first() {
        bail!(
            "`{}` is already there; nothing was written. Edit what is there, or name another folder",
            first.display()
        );
    }
    for (path, text) in files {
        let path = root.join(path);
        let folder = path.parent().context("a starter file is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        print(format!("{}\n", path.display()))?;
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
