//! A real Caddy, private to one test.

use std::fs::{self, File};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bascule::core::caddy::compare::same;
use bascule::core::model::AdminAddress;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::port::ReservedPort;
use super::wait::{SOON, wait_for};

/// The oldest Caddy that bascule drives.
const VERSION_MIN: (u32, u32) = (2, 9);

/// How much of Caddy's log a failing test shows.
const LOG_SHOWN_BYTES: usize = 6000;

/// What a Caddy is started with.
#[derive(Debug, Clone, Default)]
pub struct Boot {
    /// The transport of its admin API.
    pub transport: Transport,
    /// The configuration in its config file, completed by the admin address. Without one Caddy starts with `null`, and
    /// again so at every restart.
    pub config: Option<Value>,
}

/// Over what an admin API is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// A port of 127.0.0.1.
    #[default]
    Tcp,
    /// A socket in Caddy's own folder.
    Unix,
}

/// A running Caddy with its own folders. Killed when dropped; its log is shown if the test panics.
pub struct Caddy {
    access: AdminAccess,
    child: Child,
    starts: u32,
    has_config: bool,
    dir: TempDir,
    _port: ReservedPort,
}

impl Caddy {
    /// Starts a Caddy without a configuration, its admin API on a free port.
    pub async fn start() -> Self {
        Self::start_with(Boot::default()).await
    }

    /// Starts a Caddy and waits until its admin API answers.
    pub async fn start_with(boot: Boot) -> Self {
        let dir = tempfile::tempdir().expect("a temp dir can be made");
        let port = ReservedPort::take();
        let address = match boot.transport {
            Transport::Tcp => AdminAddress::Tcp { host: "127.0.0.1".to_owned(), port: port.get() },
            Transport::Unix => AdminAddress::Unix(dir.path().join("admin.sock")),
        };
        let has_config = boot.config.is_some();
        let access = match boot.config {
            None => AdminAccess::new(address, None),
            Some(mut config) => {
                config["admin"]["listen"] = json!(caddy_listen(&address));
                fs::write(dir.path().join("caddy.json"), config.to_string()).expect("the temp dir is writable");
                AdminAccess::new(address, config.get("admin"))
            }
        };
        let child = spawn(dir.path(), access.address(), has_config);
        let mut caddy = Self { access, child, starts: 1, has_config, dir, _port: port };
        caddy.wait_ready().await;
        caddy
    }

    /// Where its admin API is.
    pub fn address(&self) -> &AdminAddress {
        self.access.address()
    }

    /// A way in for the test itself.
    pub fn access(&self) -> &AdminAccess {
        &self.access
    }

    /// Its folder, where its sockets may be.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGTERM) and starts it again as it was first started: what was pushed since is gone.
    pub async fn restart(&mut self) {
        self.signal("TERM");
        let child = &mut self.child;
        wait_for("Caddy to end", SOON, || ready(child.try_wait().expect("a child can be waited for"))).await;
        self.start_again().await;
    }

    /// Kills it (SIGKILL), as a crash would.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Starts it after [`Self::kill9`], as it was first started.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.dir.path(), self.access.address(), self.has_config);
        self.starts += 1;
        self.wait_ready().await;
    }

    /// Stops it in its tracks (SIGSTOP): connections are accepted by the kernel and never answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = fs::read(self.dir.path().join("caddy.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_SHOWN_BYTES)..]).into_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {} works", self.pid());
    }

    async fn wait_ready(&mut self) {
        wait_for("Caddy's admin API to answer", SOON, || {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("Caddy ended with {status}");
            }
            async { self.access.answers().await.then_some(()) }
        })
        .await;
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of Caddy {} (started {} times), its end:\n{}", self.address(), self.starts, self.log());
        }
    }
}

/// A test's own way into an admin API, past any front: as whoever wrote its `admin` section would go.
#[derive(Debug, Clone)]
pub struct AdminAccess {
    address: AdminAddress,
    client: reqwest::Client,
    host: String,
    origin: Option<String>,
}

impl AdminAccess {
    /// `admin` is the section that the Caddy has.
    pub fn new(address: AdminAddress, admin: Option<&Value>) -> Self {
        let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(SOON);
        let (builder, own_host) = match &address {
            AdminAddress::Tcp { host, port } => (builder, format!("{host}:{port}")),
            AdminAddress::Unix(path) => (builder.unix_socket(path.clone()), "localhost".to_owned()),
        };
        let first_origin = admin.and_then(|admin| admin["origins"][0].as_str());
        let host = first_origin.map_or(own_host, str::to_owned);
        let enforces = admin.is_some_and(|admin| admin["enforce_origin"] == json!(true));
        let origin = enforces.then(|| format!("http://{host}"));
        Self { address, client: builder.build().expect("a client can be made"), host, origin }
    }

    /// Where the admin API is.
    pub fn address(&self) -> &AdminAddress {
        &self.address
    }

    /// A `Host` that it accepts.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it runs.
    pub async fn config(&self) -> Value {
        serde_json::from_str(&self.get("/config/").await).expect("Caddy answers with JSON")
    }

    /// The bytes of a part of its configuration.
    pub async fn get(&self, path: &str) -> String {
        wait_for("Caddy to answer", SOON, || async {
            let response = self.request(reqwest::Method::GET, path).send().await.ok()?;
            assert_eq!(response.status(), 200, "GET {path}");
            response.text().await.ok()
        })
        .await
    }

    /// Replaces `apps`, as a second writer or a person would.
    pub async fn write_apps(&self, apps: &Value) {
        // Like everybody, a second writer may lose the answer while the admin server is replaced; so it looks.
        wait_for("a second writer's config", SOON, || async {
            let request =
                self.request(reqwest::Method::POST, "/config/apps").header("content-type", "application/json");
            if let Ok(response) = request.body(apps.to_string()).send().await {
                assert_eq!(response.status(), 200, "{}", response.text().await.unwrap_or_default());
            }
            same(&self.config().await["apps"], apps).then_some(())
        })
        .await;
    }

    async fn answers(&self) -> bool {
        self.request(reqwest::Method::GET, "/config/").timeout(Duration::from_secs(1)).send().await.is_ok()
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let base = match &self.address {
            AdminAddress::Tcp { host, port } => format!("http://{host}:{port}"),
            AdminAddress::Unix(_) => "http://localhost".to_owned(),
        };
        let request = self.client.request(method, base + path).header("host", &self.host);
        match &self.origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    }
}

/// The Caddy to test with: `BASCULE_CADDY`, else the one in `.tools/`, else one on `PATH` that is new enough.
pub fn caddy_program() -> PathBuf {
    if let Some(path) = std::env::var_os("BASCULE_CADDY").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/caddy");
    if local.is_file() {
        return local;
    }
    // In full, because the child has another PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(found) = std::env::split_paths(&path).map(|dir| dir.join("caddy")).find(|path| path.is_file()) else {
        panic!("no Caddy found; `make caddy` fetches one into .tools/, or set BASCULE_CADDY");
    };
    let output = Command::new(&found).arg("version").output().expect("a Caddy on PATH runs");
    match parse_version(&String::from_utf8_lossy(&output.stdout)) {
        Some(version) if version >= VERSION_MIN => found,
        version => panic!("{} is {version:?}, too old; `make caddy` fetches one into .tools/", found.display()),
    }
}

/// `v2.11.7 h1:…` is 2.11.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn caddy_listen(address: &AdminAddress) -> String {
    match address {
        AdminAddress::Tcp { host, port } => format!("{host}:{port}"),
        AdminAddress::Unix(path) => format!("unix/{}", path.display()),
    }
}

fn spawn(dir: &Path, address: &AdminAddress, has_config: bool) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("caddy.log")).expect("the temp dir is writable");
    let mut command = Command::new(caddy_program());
    command.arg("run");
    if has_config {
        command.arg("--config").arg(dir.join("caddy.json"));
    }
    command
        .current_dir(dir)
        .env_clear()
        // No program can be found from there, so Caddy's local authority cannot be put into the machine's trust store.
        .env("PATH", dir)
        .env("HOME", dir)
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .env("XDG_DATA_HOME", dir.join("data"))
        .env("CADDY_ADMIN", caddy_listen(address))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle can be doubled"))
        .stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{} starts: {error}", caddy_program().display()))
}
