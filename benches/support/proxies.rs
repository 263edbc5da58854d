//! Those that check: a real Caddy and a real HAProxy, each as long as its value lives.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bascule::core::model::AdminAddress;
use bascule::edge::{Admin as _, AdminSettings, ApplySettings, CaddyAdmin, Order, Outcome, apply};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::fleet::{Doors, Fleet};
use super::process::{Fault, end};

/// Longest wait for a program to listen.
const START_MAX: Duration = Duration::from_secs(20);
const START_PAUSE: Duration = Duration::from_millis(20);
/// For a load and for the read after it, which waits for the load. Far more than bascule's own limits, since more is loaded
/// here than bascule would.
const LOAD_MAX: Duration = Duration::from_mins(10);

pub(crate) struct Caddy {
    child: Child,
    admin: CaddyAdmin,
    _dir: TempDir,
}

impl Caddy {
    /// Starts one without a configuration.
    pub(crate) async fn start(doors: Doors) -> Result<Self, Fault> {
        let dir = tempfile::tempdir()?;
        let log = File::create(dir.path().join("caddy.log"))?;
        let mut command = Command::new(program());
        command
            .arg("run")
            .current_dir(dir.path())
            .env_clear()
            .env("HOME", dir.path())
            .env("CADDY_ADMIN", format!("127.0.0.1:{}", doors.admin))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().map_err(|error| format!("{} does not start: {error}", program().display()))?;
        let address = AdminAddress::Tcp { host: "127.0.0.1".to_owned(), port: doors.admin };
        let admin = CaddyAdmin::new(
            address,
            AdminSettings { load_timeout: LOAD_MAX, read_timeout: LOAD_MAX, ..AdminSettings::default() },
        )?;
        let caddy = Self { child, admin, _dir: dir };
        let begun = Instant::now();
        while let Err(error) = caddy.admin.read().await {
            if begun.elapsed() > START_MAX {
                return Err(error.into());
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        Ok(caddy)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Pushes as bascule does, and says how long it took.
    pub(crate) async fn push(&self, config: &Value) -> Result<Duration, Fault> {
        let order = Order { rendered: config, instead: None, own: &[] };
        let report = apply(&self.admin, order, &ApplySettings::default(), bascule::app::now).await;
        match report.outcome {
            Outcome::Applied => Ok(report.took),
            outcome => Err(format!("the push came to nothing: {outcome:?}").into()),
        }
    }

    /// Its version.
    pub(crate) fn version() -> Result<String, Fault> {
        let output = Command::new(program()).arg("version").output();
        let output = output
            .map_err(|error| format!("{} does not run ({error}); `make caddy` obtains one", program().display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap_or("?").to_owned())
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// `BASCULE_CADDY`, else the one in `.tools/`, else the one on `PATH`.
fn program() -> PathBuf {
    let named = std::env::var_os("BASCULE_CADDY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/caddy");
    named.or_else(|| local.is_file().then_some(local)).unwrap_or_else(|| "caddy".into())
}

pub(crate) struct Haproxy {
    child: Child,
    dir: TempDir,
}

impl Haproxy {
    /// Its version; none where it is not installed. Debian has it in a folder that only root's `PATH` names.
    pub(crate) fn version() -> Result<Option<String>, Fault> {
        match haproxy().arg("-v").output() {
            Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().nth(2).map(str::to_owned)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn start(fleet: &Fleet) -> Result<Self, Fault> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("haproxy.cfg");
        std::fs::write(&path, fleet.haproxy()?)?;
        let log = File::create(dir.path().join("haproxy.log"))?;
        let mut command = haproxy();
        command.arg("-db").arg("-f").arg(&path).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut haproxy = Self { child: command.spawn()?, dir };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", fleet.doors.public)).await.is_err() {
            if haproxy.child.try_wait()?.is_some() || begun.elapsed() > START_MAX {
                let log = std::fs::read_to_string(haproxy.dir.path().join("haproxy.log"))?;
                return Err(format!("HAProxy does not listen: {log}").into());
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        Ok(haproxy)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn haproxy() -> Command {
    let debian = Path::new("/usr/sbin/haproxy");
    Command::new(if debian.is_file() { debian } else { Path::new("haproxy") })
}
