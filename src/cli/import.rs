use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::{EXIT_OTHER_REQUESTS, print};
use crate::core::import::{Extent, Import, Settings, import, text};
use crate::core::model::{AdminAddress, SiteName};
use crate::edge::{Admin as _, AdminSettings, CaddyAdmin};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// From a Caddy's JSON configuration. Exits 0 where each request that is asked about reaches the upstreams that it reached,
    /// and 6 where an inventory was made and some do not: the report lists them.
    Caddy(CaddyArgs),
}

#[derive(Debug, clap::Args)]
struct CaddyArgs {
    /// A file such as `caddy adapt` prints, a Caddy's admin API (`http://HOST:PORT` or `unix//PATH`), or `-` for stdin.
    #[arg(value_name = "FILE|URL|-")]
    source: String,
    /// The inventory's folder, to write the files to. Files that are there are not overwritten. Without it they are printed.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// The one site of all backends. Without it, backends whose addresses share a /24 (IPv6: a /64) are one site.
    #[arg(long, value_name = "NAME")]
    site: Option<SiteName>,
    /// Names all that was left out and all that differs. Without it, of what is alike the first few are named.
    #[arg(long)]
    verbose: bool,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let From::Caddy(CaddyArgs { source, write, site, verbose }) = args.from;
    let (config, admin) = read(&source).await?;
    let imported = import(&config, &Settings { site, admin })?;
    match write {
        Some(folder) => write_all(&folder, &imported.files)?,
        None => print(shown(&imported.files))?,
    }
    print(text(&imported, if verbose { Extent::Whole } else { Extent::Folded }))?;
    Ok(exit_code(&imported))
}

fn exit_code(imported: &Import) -> ExitCode {
    if imported.is_proved() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_OTHER_REQUESTS) }
}

/// The configuration, with the admin API that it came from.
async fn read(source: &str) -> anyhow::Result<(Value, Option<AdminAddress>)> {
    if source.contains("://") || source.starts_with("unix/") {
        let address: AdminAddress = source.parse().with_context(|| {
            format!(
                "`{source}`: give the admin API itself, such as `http://127.0.0.1:2019` or `unix//run/caddy/admin.sock`"
            )
        })?;
        let actual = CaddyAdmin::new(address.clone(), AdminSettings::default())?.read().await?;
        return Ok((actual.config, Some(address)));
    }
    let bytes = if source == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read stdin")?;
        bytes
    } else {
        std::fs::read(source).with_context(|| format!("cannot read `{source}`"))?
    };
    let config = serde_json::from_slice(&bytes).with_context(|| {
        format!("`{source}` is not JSON; `caddy adapt --config Caddyfile` makes JSON of a Caddyfile")
    })?;
    Ok((config, None))
}

fn shown(files: &BTreeMap<String, String>) -> String {
    files.iter().fold(String::new(), |shown, (path, text)| shown + "# " + path + "\n" + text + "\n")
}

fn write_all(folder: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    // Before the first is written, so that nothing is left half done.
    if let Some(path) = files.keys().map(|path| folder.join(path)).find(|path| path.symlink_metadata().is_ok()) {
        bail!(
            "`{}` is there already, and nothing was written: move it away, or write to another folder",
            path.display()
        );
    }
    for (path, text) in files {
        let path = folder.join(path);
        let attempt = || -> std::io::Result<()> {
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::File::create_new(&path)?.write_all(text.as_bytes())
        };
        attempt().with_context(|| format!("cannot write `{}`", path.display()))?;
        print(format!("{}\n", path.display()))?;
    }
    Ok(())
}
