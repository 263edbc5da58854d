use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bascule::core::status::StatusDto;
use tempfile::TempDir;

use super::program::{Ran, program};
use crate::support::caddy::Caddy;
use crate::support::http::HttpBackend;
use crate::support::port::ReservedPort;
use crate::support::wait::wait_for;

/// For what the whole program does on two cores that other tests share.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The public name of the service that tests look at.
pub(super) const DOMAIN: &str = "api.acecinema.fr";

/// A repository, an edge and a controller. Everything ends with it.
pub(super) struct World {
    pub(super) caddy: Caddy,
    dir: TempDir,
    edge: ReservedPort,
    api: ReservedPort,
    /// Where the controller answers the relay, and where the relay listens inside Caddy.
    relay: [ReservedPort; 2],
    controller: Option<Child>,
    client: reqwest::Client,
}

impl World {
    /// A Caddy, and a repository with two sites and an edge. No service, no controller yet.
    pub(super) async fn new() -> Self {
        Self::beside(Caddy::start().await)
    }

    /// The same with this Caddy.
    pub(super) fn beside(caddy: Caddy) -> Self {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let (edge, api) = (ReservedPort::take(), ReservedPort::take());
        let relay = [ReservedPort::take(), ReservedPort::take()];
        let world = Self { caddy, dir, edge, api, relay, controller: None, client };
        git(world.dir.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "remote.git"]);
        git(world.dir.path(), &["clone", "--quiet", "remote.git", "work"]);
        git(&world.work(), &["checkout", "--quiet", "-B", "main"]);
        world.write("sites/dijon.yaml", "name: dijon\nsubnets: [127.0.1.0/24]\n");
        world.write("sites/thory.yaml", "name: thory\nsubnets: [127.0.2.0/24]\n");
        world.write_edge(world.edge.get());
        world
    }

    pub(super) fn write_edge(&self, port: u16) {
        let admin = self.caddy.address();
        let text = format!("name: ovh\nadmin: {admin}\nlisten: [\"127.0.0.1:{port}\"]\ntls: {{ mode: \"off\" }}\n");
        self.write("edges/ovh.yaml", &format!("{text}{}", self.relay_line()));
    }

    /// The edge's `relay`, with ports of this world.
    pub(super) fn relay_line(&self) -> String {
        let [bascule, caddy] = self.relay.each_ref().map(ReservedPort::get);
        format!("relay: {{ bascule: \"127.0.0.1:{bascule}\", listen: \"127.0.0.1:{caddy}\" }}\n")
    }

    /// Where the controller answers the relay, and is told of what clients meet.
    pub(super) fn relay_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.relay[0].get()).into()
    }

    pub(super) fn edge_port(&self) -> u16 {
        self.edge.get()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Writes a file of the inventory in the work tree.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.work().join("inventory").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        std::fs::write(path, text).expect("a file is written");
    }

    pub(super) fn remove(&self, path: &str) {
        std::fs::remove_file(self.work().join("inventory").join(path)).expect("a file is removed");
    }

    pub(super) fn write_service(&self, name: &str, domain: &str) {
        let health = "health: { path: /health, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }";
        self.write(&format!("services/{name}.yaml"), &format!("name: {name}\ndomains: [{domain}]\n{health}\n"));
    }

    pub(super) fn write_backend(&self, service: &str, backend: &HttpBackend) {
        self.write_backend_at(service, backend.name(), backend.address());
    }

    pub(super) fn write_backend_at(&self, service: &str, name: &str, address: SocketAddr) {
        let site = if address.ip().to_string().starts_with("127.0.1.") { "dijon" } else { "thory" };
        let text = format!(
            "service: {service}\nname: {name}\nsite: {site}\naddr: {}\nport: {}\n",
            address.ip(),
            address.port()
        );
        self.write(&format!("backends/{name}.yaml"), &text);
    }

    /// Commits everything; returns the commit's id.
    pub(super) fn commit(&self, message: &str) -> String {
        git(&self.work(), &["add", "--all"]);
        git(&self.work(), &["commit", "--quiet", "--allow-empty", "-m", message]);
        git(&self.work(), &["rev-parse", "HEAD"])
    }

    pub(super) fn push(&self) {
        git(&self.work(), &["push", "--quiet", "--force", "origin", "main"]);
    }

    pub(super) fn commit_and_push(&self, message: &str) -> String {
        let id = self.commit(message);
        self.push();
        id
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        git(&self.work(), args)
    }

    /// Starts the controller over the bare repository, as a local path.
    pub(super) fn start(&mut self) {
        let repository = self.path("remote.git");
        self.start_on(&repository.display().to_string(), "30s");
    }

    pub(super) fn start_on(&mut self, repository: &str, poll: &str) {
        self.start_with(repository, poll, &["--log", "info,bascule=debug", "--resync", "1s"]);
    }

    /// Starts the controller in the work tree, with more arguments.
    pub(super) fn start_with(&mut self, repository: &str, poll: &str, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.path("bascule.log")).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_bascule"))
            .current_dir(self.work())
            .args(["--log-format", "json", "run", "--repo", repository, "--poll", poll])
            .args(arguments)
            .arg("--state")
            .arg(self.path("bascule.db"))
            .args(["--listen", &format!("127.0.0.1:{}", self.api.get())])
            .args(["--relay", &format!("127.0.0.1:{}", self.relay[0].get())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("bascule starts");
        self.controller = Some(child);
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.controller.take() {
            child.kill().expect("bascule is killed");
            child.wait().expect("bascule has ended");
        }
    }

    /// Sends a signal to the controller, by its name.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.controller.as_ref().expect("bascule runs").id();
        let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// SIGTERM; returns whether it ended with success.
    pub(super) async fn terminate(&mut self) -> bool {
        let mut child = self.controller.take().expect("bascule runs");
        let status = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
        assert!(status.success());
        let status =
            wait_for("bascule to end", PATIENCE, || std::future::ready(child.try_wait().expect("a child"))).await;
        status.success()
    }

    pub(super) async fn status(&self) -> Option<StatusDto> {
        let url = self.api_url("/v1/status");
        let body = self.client.get(url).send().await.ok()?.text().await.ok()?;
        Some(serde_json::from_str(&body).expect("a status"))
    }

    /// `bascule status`: whether it succeeds, and what it prints.
    pub(super) fn status_text(&self) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_bascule"))
            .args(["status", "--server", &self.api_url("")])
            .output()
            .expect("bascule runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the program against this world's controller, as anna.
    pub(super) fn run(&self, args: &[&str]) -> Ran {
        let server = self.api_url("");
        let output = program(self.dir.path())
            .envs([("BASCULE_SERVER", server.as_str()), ("USER", "anna")])
            .args(args)
            .output()
            .expect("bascule runs");
        output.into()
    }

    /// Runs the program with no controller to ask.
    pub(super) fn run_alone(&self, args: &[&str]) -> Ran {
        program(self.dir.path()).args(args).output().expect("bascule runs").into()
    }

    pub(super) fn api_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.api.get())
    }

    pub(super) async fn api(&self, path: &str) -> Option<u16> {
        let url = self.api_url(path);
        Some(self.client.get(url).send().await.ok()?.status().as_u16())
    }

    pub(super) async fn wait_for(&self, what: &str, is_so: impl Fn(&StatusDto) -> bool) -> StatusDto {
        wait_for(what, PATIENCE, || async { self.status().await.filter(|status| is_so(status)) }).await
    }

    /// Waits until a revision is served and the edge runs what was rendered from it.
    pub(super) async fn wait_for_revision(&self, id: &str) -> StatusDto {
        let is_so = |status: &StatusDto| {
            let is_served = status.revision.as_ref().is_some_and(|revision| revision.id == id);
            let edge = status.edges.first();
            let is_applied = edge.is_some_and(|edge| {
                edge.applied
                    .as_ref()
                    .is_some_and(|applied| applied.revision == id && Some(&applied.digest) == edge.rendered.as_ref())
            });
            is_served && is_applied
        };
        self.wait_for(&format!("revision {id}"), is_so).await
    }

    /// One request to the public domain: who answered.
    pub(super) async fn ask(&self) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{}/", self.edge.get());
        super::client::ask(&self.client, &url, DOMAIN).await.map(|answer| answer.body)
    }

    pub(super) async fn wait_for_answer(&self, name: &str) {
        wait_for(&format!("an answer of {name}"), PATIENCE, || async {
            (self.ask().await.ok()? == name).then_some(())
        })
        .await;
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.path("bascule.log")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(6000);
            eprintln!("bascule's log ends with:\n{}", log.get(from..).unwrap_or(&log));
        }
    }
}

/// Runs git with an identity of its own, apart from whatever the machine has configured.
fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A backend at a site, by its number there.
pub(super) async fn backend(name: &str, site: u8, number: u8) -> HttpBackend {
    HttpBackend::start_on(name, Ipv4Addr::new(127, 0, site, number)).await
}
