//! Bascule as it is run on a hub: a git server, a Caddy that resumes, and the controller.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use bascule::core::status::{EdgeState, StatusDto};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;

use super::load::DOMAIN;
use super::process::{Program, run};
use super::world::{EDGE, World};

pub(crate) const ADMIN_PORT: u16 = 2019;
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7500);
const FORGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3080);

/// The checks of every contender: interval, timeout, and how many in a row change a verdict.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);
pub(crate) const RISE: u32 = 2;
pub(crate) const FALL: u32 = 2;

/// What an operator of this service would declare: its pages take 50 ms, so this long without an answer is a fault, and worth
/// asking another backend. What can be asked of no other is better waited for.
const SERVICE: &str = "\
health: { path: /health, interval: 1s, timeout: 500ms, rise: 2, fall: 2 }
timeouts: { dial: 250ms, response: 750ms, response_unsafe: 8s }
";

/// How Bascule is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// The service, but for its name and domain.
    pub(crate) service: &'static str,
    /// More arguments of `bascule run`.
    pub(crate) arguments: &'static [&'static str],
}

/// As the lab has it.
const USUAL: Setup = Setup { service: SERVICE, arguments: &[] };

/// The three programs. They end with it.
pub(crate) struct Bascule {
    folder: PathBuf,
    arguments: &'static [&'static str],
    controller: Option<Program>,
    pub(crate) caddy: Program,
    pub(crate) forge: Program,
}

impl Bascule {
    /// Starts everything; the edge serves a little later.
    pub(crate) fn begin(world: &World, folder: &Path) -> Self {
        Self::begin_as(USUAL, world, folder)
    }

    /// Starts everything in another way than the usual one.
    pub(crate) fn begin_as(setup: Setup, world: &World, folder: &Path) -> Self {
        let Setup { service, arguments } = setup;
        commit(service, world, folder);
        let this = std::env::current_exe().expect("the path of this program");
        let mut command = world.hub.command(&this);
        let forge = Program::start(command.args(["forge", &FORGE.to_string()]).arg(folder), folder, "forge");
        let caddy = start_caddy(world, folder);
        let mut bascule = Self { folder: folder.to_owned(), arguments, controller: None, caddy, forge };
        bascule.start(world);
        bascule
    }

    /// Starts the controller.
    pub(crate) fn start(&mut self, world: &World) {
        let mut command = world.hub.command(Path::new(env!("CARGO_BIN_EXE_bascule")));
        command
            .args(["--log-format", "json", "run", "--poll", "2s", "--fetch-timeout", "5s"])
            .args(["--repo", &format!("http://{FORGE}/remote.git")])
            .args(["--listen", &API.to_string()])
            .args(self.arguments)
            .arg("--state")
            .arg(self.folder.join("bascule.db"))
            .current_dir(&self.folder);
        self.controller = Some(Program::start(&mut command, &self.folder, "bascule"));
    }

    pub(crate) fn kill(&mut self) {
        self.controller = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.controller.as_ref().expect("it runs").signal(signal);
    }

    pub(crate) fn remove_state(&self) {
        for name in ["bascule.db", "bascule.db-wal", "bascule.db-shm"] {
            // Not all of them are there at any time.
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    pub(crate) fn restart_caddy(&mut self, world: &World) {
        self.caddy.terminate();
        self.caddy = start_caddy(world, &self.folder);
    }

    pub(crate) fn status(world: &World) -> Option<StatusDto> {
        let (status, body) = world.hub.get(API, "/v1/status", Duration::from_secs(1))?;
        (status == 200).then(|| serde_json::from_str(&body).expect("a status"))
    }

    /// True once the controller has seen every backend, and the edge runs what it should.
    pub(crate) fn is_settled(world: &World) -> bool {
        Self::status(world).is_some_and(|status| {
            let edge = status.edges.first();
            let is_in_sync = edge.is_some_and(|edge| {
                edge.state == EdgeState::InSync
                    && edge.applied.as_ref().map(|applied| &applied.digest) == edge.rendered.as_ref()
            });
            let mut backends = status.services.iter().flat_map(|service| &service.backends);
            status.ready && is_in_sync && backends.all(|backend| backend.verdict == "up" && backend.in_rotation)
        })
    }

    /// How often Caddy was given a configuration so far.
    pub(crate) fn reloads(&self) -> usize {
        let log = self.caddy.log();
        let is_write = |line: &&str| line.contains(r#""logger":"admin.api""#) && line.contains(r#""method":"POST""#);
        log.lines().filter(is_write).count()
    }

    /// The end of what the controller said.
    pub(crate) fn log_end(&self) -> String {
        fs::read_to_string(self.folder.join("bascule.log"))
            .unwrap_or_default()
            .lines()
            .rev()
            .take(15)
            .fold(String::new(), |later, line| format!("{line}\n{later}"))
    }
}

fn start_caddy(world: &World, folder: &Path) -> Program {
    let mut command = world.hub.command(&caddy_program());
    command
        .args(["run", "--resume"])
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("CADDY_ADMIN", format!("127.0.0.1:{ADMIN_PORT}"));
    Program::start(&mut command, folder, "caddy")
}

/// `make` says which; else the one that it has obtained.
pub(crate) fn caddy_program() -> PathBuf {
    let named = std::env::var_os("BASCULE_CADDY").filter(|path| !path.is_empty());
    named.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/caddy"), PathBuf::from)
}

/// Writes the inventory, and commits it to a bare repository `remote.git`.
fn commit(service: &str, world: &World, folder: &Path) {
    let work = folder.join("work");
    let write = |path: &str, text: &str| {
        let path = work.join("inventory").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the run's folder is writable");
        fs::write(path, text).expect("the run's folder is writable");
    };
    write("services/www.yaml", &format!("name: www\ndomains: [{DOMAIN}]\n{service}"));
    write(
        "edges/hub.yaml",
        &format!("name: hub\nadmin: http://127.0.0.1:{ADMIN_PORT}\nlisten: [\"{EDGE}\"]\ntls: {{ mode: \"off\" }}\n"),
    );
    for (number, site) in (1..).zip(&world.sites) {
        let (name, interface, peer) = (site.name, world.hub_interface(), &site.peer);
        let wireguard = format!("wireguard: {{ interface: {interface}, peer: {peer} }}");
        let tunnel = format!("tunnel:\n  {wireguard}\n  gateway: 10.200.{number}.1\n");
        write(&format!("sites/{name}.yaml"), &format!("name: {name}\nsubnets: [10.200.{number}.0/24]\n{tunnel}"));
    }
    for backend in world.backends() {
        let (name, site, address) = (&backend.name, backend.site, backend.address);
        let text =
            format!("service: www\nname: {name}\nsite: {site}\naddr: {}\nport: {}\n", address.ip(), address.port());
        write(&format!("backends/{name}.yaml"), &text);
    }
    let git = |folder: &Path, arguments: &[&str]| {
        run(git_command()
            .current_dir(folder)
            .args(["-c", "user.name=Lab", "-c", "user.email=lab@example.org", "-c", "commit.gpgsign=false"])
            .args(arguments));
    };
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", "remote.git"]);
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "-m", "Declare three sites"]);
    git(&work, &["push", "--quiet", "../remote.git", "main"]);
}

/// git, apart from whatever the machine has configured.
fn git_command() -> Command {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// The process of the git server: `git http-backend` over the repositories of a folder.
pub(crate) fn serve_git(address: &str, root: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the port is free in the namespace");
        let router = Router::new().fallback(answer_git).with_state(root.to_owned());
        axum::serve(listener, router).await.expect("serving does not end");
    });
    ExitCode::SUCCESS
}

async fn answer_git(
    State(root): State<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, Infallible> {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = tokio::process::Command::from(git_command())
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", kind)
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("git can be run");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Bodies of a fetch are shorter than a pipe's buffer, so nobody waits for anybody.
    let _ = stdin.write_all(&body).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("git ends").stdout;
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").expect("a CGI answer has a head");
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..split]).lines() {
        let (name, value) = line.split_once(": ").expect("a header has a value");
        response = if name == "Status" { response.status(&value[..3]) } else { response.header(name, value) };
    }
    Ok(response.body(Body::from(output[split + 4..].to_vec())).expect("an answer"))
}
