use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::core::inventory::starter;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder: a new one, or your repository's root.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(super) fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { dir } = args;
    let files = starter();
    // All or nothing: no file of yours is overwritten, and none is left half started.
    let taken: Vec<_> = files.iter().map(|(path, _)| dir.join(path)).filter(|path| path.exists()).collect();
    if let Some(first) = taken.first() {
        bail!("`{}` is already there; nothing was written", first.display());
    }
    for (path, text) in files {
        let path = dir.join(path);
        let folder = path.parent().context("a starter file is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        println!("{}", path.display());
    }
    eprintln!("Next: edit the addresses, then `bascule check {}`.", dir.display());
    Ok(ExitCode::SUCCESS)
}
