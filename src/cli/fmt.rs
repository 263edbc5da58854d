use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::inputs::{self, Inventory};
use super::{EXIT_INVALID, print};
use crate::core::inventory::{Kind, Unformatted, format};
use crate::core::model::counted;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Write nothing: name the files that are not in the one style, and exit 1 when there are any.
    #[arg(long)]
    check: bool,
}

/// What became of the files.
#[derive(Debug, Default)]
struct Outcome {
    changed: usize,
    faulty: usize,
    unsure: usize,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, check } = args;
    let folder = inputs::find(&path)?;
    let Inventory { files, prefix, .. } = inputs::read(&folder).await?;
    let mut outcome = Outcome::default();
    for (file, bytes) in files.iter() {
        // What is elsewhere belongs to other tools, which have habits of their own.
        if file.split_once('/').and_then(|(kind, _)| Kind::of_folder(kind)).is_none() {
            continue;
        }
        let written = std::str::from_utf8(bytes).map_err(|_| Unformatted::Faulty).and_then(format);
        match written {
            Ok(written) if written.as_bytes() == &**bytes => {}
            Ok(written) => {
                if !check {
                    replace(&folder.join(file), &written)?;
                }
                outcome.changed += 1;
                print(format!("{prefix}{file}\n"))?;
            }
            Err(Unformatted::Faulty) => {
                eprintln!("{prefix}{file}: left as it is, since it cannot be read; `bascule check` says why");
                outcome.faulty += 1;
            }
            Err(Unformatted::Unsure) => {
                eprintln!("{prefix}{file}: left as it is: no way was found to write it that says the same");
                outcome.unsure += 1;
            }
        }
    }
    if check && outcome.changed > 0 {
        let count = counted(outcome.changed, "file");
        eprintln!("{count} not in the one style; mend with `bascule fmt {}`", path.display());
    }
    Ok(match outcome {
        Outcome { faulty: 1.., .. } => ExitCode::from(EXIT_INVALID),
        Outcome { unsure: 1.., .. } => ExitCode::FAILURE,
        Outcome { changed: 1.., .. } if check => ExitCode::FAILURE,
        Outcome { .. } => ExitCode::SUCCESS,
    })
}

/// Replaces a file as a whole, so that nobody reads half of it. A symbolic link stays one.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let attempt = || -> std::io::Result<()> {
        let real = path.canonicalize()?;
        let mut file = NamedTempFile::new_in(real.parent().unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(real.metadata()?.permissions())?;
        file.persist(&real)?;
        Ok(())
    };
    attempt().with_context(|| format!("cannot write `{}`", path.display()))
}
