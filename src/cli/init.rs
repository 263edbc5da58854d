use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::print;
use crate::core::inventory::starter;

/// The folder that `run` reads in a repository unless it is told otherwise.
const FOLDER: &str = "inventory";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Your repository's root, or a new folder. The inventory is written to its folder `inventory`, where `run` reads it; a
    /// folder that is itself named `inventory` gets it directly. The schemas for editors go to `.bascule/schemas` in there.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(super) fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { dir } = args;
    let root = match &dir {
        dir if dir.ends_with(FOLDER) => dir.clone(),
        dir if dir == Path::new(".") => PathBuf::from(FOLDER),
        dir => dir.join(FOLDER),
    };
    if let Some(file) = root.ancestors().find(|path| path.exists() && !path.is_dir()) {
        bail!("`{}` is a file; name a folder: your repository's root, or a new one", file.display());
    }
    let files = starter();
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
    eprintln!("Next: edit the addresses, then `bascule check {}`.", dir.display());
    Ok(ExitCode::SUCCESS)
}
