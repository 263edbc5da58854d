use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use super::world::PATIENCE;

/// How much of what a program printed is shown when it does not do as it should.
const SHOWN_BYTES: usize = 2000;

/// Starts a Caddy without a configuration, and waits until its admin API answers.
pub(super) async fn start(program: &Path, admin: SocketAddr, folder: &Path) -> anyhow::Result<Child> {
    let path = folder.join("caddy.log");
    let log = std::fs::File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
    let mut child = Command::new(program)
        .arg("run")
        .env("CADDY_ADMIN", admin.to_string())
        .env("XDG_CONFIG_HOME", folder.join("caddy-config"))
        .env("XDG_DATA_HOME", folder.join("caddy-data"))
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!(
                "cannot start Caddy as `{}`; name one with `--caddy` (README.md has how to get it)",
                program.display()
            )
        })?;
    let end = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(admin).await.is_err() {
        let fault = match child.try_wait()? {
            Some(status) => format!("ended at once ({status})"),
            None if Instant::now() > end => format!("does not answer at {admin} within {} s", PATIENCE.as_secs()),
            None => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        bail!(
            "`{} run` {fault}: is it a Caddy, 2.9 or newer? Name one with `--caddy`. {}",
            program.display(),
            printed(&path)
        );
    }
    Ok(child)
}

/// The end of what a program printed, in words.
fn printed(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let end = bytes.get(bytes.len().saturating_sub(SHOWN_BYTES)..).unwrap_or_default();
    match String::from_utf8_lossy(end).trim() {
        "" => "It printed nothing.".to_owned(),
        text => format!("It printed:\n{text}"),
    }
}
