use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::{inputs, print};
use crate::core::inventory::{schemas, schemas_for};

#[derive(Debug, clap::Args)]
// A group of its own: the one that clap derives from the struct has `dir` in it too, and would exclude it.
#[command(group = clap::ArgGroup::new("task").required(true).args(["write", "check"]))]
pub(super) struct Args {
    /// Write the schemas.
    #[arg(long)]
    write: bool,
    /// Exit 1 when a schema there differs from this bascule's.
    #[arg(long)]
    check: bool,
    /// Let editors offer the sites and services that this inventory declares (it, or a folder that has one in `inventory`).
    #[arg(long, value_name = "INVENTORY")]
    names: Option<PathBuf>,
    /// The folder of the schemas.
    #[arg(default_value = "schemas")]
    dir: PathBuf,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { write, check: _, names, dir } = args;
    let (schemas, flag) = match &names {
        None => (schemas(), String::new()),
        Some(path) => (schemas_for(inputs::read(path).await?.desired()?), format!(" --names {}", path.display())),
    };
    let cure = format!("`bascule schema --write{flag} {}`", dir.display());
    let mut code = ExitCode::SUCCESS;
    for (kind, text) in schemas {
        let path = dir.join(format!("{kind}.json"));
        if write {
            std::fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
            std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
            print(format!("{}\n", path.display()))?;
            continue;
        }
        let found = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`; write it with {cure}", path.display()))?;
        if found != text {
            eprintln!("{} differs; mend it with {cure}", path.display());
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
