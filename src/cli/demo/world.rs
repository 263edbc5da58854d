use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use git2::{Repository, RepositoryInitOptions, Signature};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::caddy;
use super::places::{Places, SITES, backend_name};
use crate::api::ApiSecrets;
use crate::app::{self, Settings, Sever};
use crate::controller::{EdgeSettings, OnFault};
use crate::core::inventory::RevisionGuard;
use crate::core::model::Limits;
use crate::core::routing::InventoryGuard;
use crate::core::status::StatusDto;
use crate::git::{Credentials, Location, SourceSettings};

/// The demonstration's public host name.
pub(super) const DOMAIN: &str = "api.acecinema.fr";
/// How long starting a program, or a change to arrive, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Two sites on loopback with a real git repository, a real Caddy and a controller. Everything ends with it.
pub(super) struct World {
    pub(super) places: Places,
    client: reqwest::Client,
    backends: BTreeMap<(String, u8), Child>,
    caddy: Child,
    controller: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    /// Last: it is removed when nobody writes to it any more.
    folder: TempDir,
}

impl World {
    pub(super) async fn start(program: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("bascule-demo-").tempdir()?;
        let places = Places::find(port)?;
        let caddy = caddy::start(program, places.admin, folder.path()).await?;
        write_inventory(&folder.path().join("work"), &places)?;
        init_repository(folder.path())?;

        let shutdown = CancellationToken::new();
        let settings = Settings {
            source: SourceSettings {
                location: Location::Local(folder.path().join("remote.git")),
                branch: "main".to_owned(),
                path: "inventory".to_owned(),
                credentials: Credentials::default(),
                allowed_signers: None,
                allowed_pgp_keys: None,
                limits: Limits::default(),
                cache: folder.path().join("cache.git"),
                timeout: PATIENCE,
            },
            state: folder.path().join("bascule.db"),
            poll: Duration::from_secs(30),
            revision_guard: Some(RevisionGuard::default()),
            on_fault: OnFault::Quarantine,
            listen: places.api,
            secrets: ApiSecrets::default(),
            relay: Some(places.relay.to_string().parse()?),
            guard: Some(InventoryGuard::default()),
            edge: EdgeSettings::default(),
            sever: Sever::Off,
            forge: None,
            prober: super::super::run::prober(),
        };
        let controller = tokio::spawn(app::run(settings, shutdown.clone()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let mut world = Self { places, client, backends: BTreeMap::new(), caddy, controller, shutdown, folder };
        for (site, _) in SITES {
            world.start_backend(site, 1).await?;
        }
        Ok(world)
    }

    /// The work tree that a person edits.
    pub(super) fn work_tree(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Starts a backend, and waits until it answers.
    pub(super) async fn start_backend(&mut self, site: &str, number: u8) -> anyhow::Result<()> {
        let name = backend_name(site, number);
        let address = self.places.backend(site, number)?;
        let program = std::env::current_exe().context("this program's own path is not known")?;
        let mut child = Command::new(program)
            .args(["sample", "--name", &name, "--site", site, "--listen", &address.to_string()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the sample backend {name}"))?;
        let end = Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("the sample backend {name} ended at once ({status}); it said why above");
            }
            if Instant::now() > end {
                bail!("the sample backend {name} does not answer at {address} within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.backends.insert((site.to_owned(), number), child);
        Ok(())
    }

    /// Kills every backend of a site, without warning.
    pub(super) async fn cut(&mut self, site: &str) -> anyhow::Result<()> {
        for (_, child) in self.backends.iter_mut().filter(|((at, _), _)| at == site) {
            child.kill().await?;
        }
        Ok(())
    }

    /// Starts a site's backends again.
    pub(super) async fn heal(&mut self, site: &str) -> anyhow::Result<()> {
        let keys: Vec<_> = self.backends.keys().filter(|(at, _)| at == site).cloned().collect();
        for (_, number) in keys {
            if let Some(mut child) = self.backends.remove(&(site.to_owned(), number)) {
                child.kill().await?;
            }
            self.start_backend(site, number).await?;
        }
        Ok(())
    }

    /// One request of a client to the public domain: the name of the backend that answered.
    pub(super) async fn ask(&self) -> anyhow::Result<String> {
        ask(&self.client, self.places.edge).await
    }

    pub(super) fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    pub(super) async fn status(&self) -> anyhow::Result<StatusDto> {
        let body = self.client.get(format!("http://{}/v1/status", self.places.api)).send().await?.text().await?;
        Ok(serde_json::from_str(&body)?)
    }

    /// Waits until a status is as wanted.
    pub(super) async fn wait_for(&self, what: &str, is_so: impl Fn(&StatusDto) -> bool) -> anyhow::Result<StatusDto> {
        let end = Instant::now() + PATIENCE;
        loop {
            if self.controller.is_finished() {
                bail!("the controller ended");
            }
            match self.status().await {
                Ok(status) if is_so(&status) => return Ok(status),
                Ok(_) | Err(_) if Instant::now() < end => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(_) => bail!("{what}: not within {} s", PATIENCE.as_secs()),
                Err(error) => return Err(error.context(format!("{what}: no status"))),
            }
        }
    }

    /// Commits a file to the work tree and pushes it.
    pub(super) fn commit(&self, path: &str, text: &str, message: &str) -> anyhow::Result<()> {
        let work = self.work_tree();
        let file = work.join(path);
        std::fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
        std::fs::write(file, text)?;
        commit_and_push(&work, message)
    }

    /// Ends everything, the controller first and the folder last.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let ended = (&mut self.controller).await.context("the controller panicked")?;
        for child in self.backends.values_mut().chain([&mut self.caddy]) {
            child.kill().await.context("a program of the demonstration cannot be ended")?;
        }
        let path = self.folder.path().to_owned();
        self.folder.close().with_context(|| format!("cannot remove `{}`", path.display()))?;
        ended
    }
}

/// Asks, and once more where the connection was closed before any answer: a reload of Caddy closes connections, and a
/// request that was just sent over one is lost. Every browser sends it again (RFC 9110, section 9.2.2).
pub(super) async fn ask(client: &reqwest::Client, edge: SocketAddr) -> anyhow::Result<String> {
    match ask_once(client, edge).await {
        Err(error) if is_closed_connection(&error) => ask_once(client, edge).await,
        answer => answer,
    }
}

/// True where the connection ended before any answer.
pub(super) fn is_closed_connection(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<reqwest::Error>()
        .is_some_and(|error| error.is_request() && !error.is_timeout() && !error.is_connect())
}

pub(super) async fn ask_once(client: &reqwest::Client, edge: SocketAddr) -> anyhow::Result<String> {
    let answer = client.get(format!("http://{edge}/")).header("Host", DOMAIN).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("answered {status}");
    }
    Ok(body.split_whitespace().next().unwrap_or_default().to_owned())
}

fn write_inventory(work: &Path, places: &Places) -> anyhow::Result<()> {
    let service = format!(
        "name: api\ndomains: [{DOMAIN}]\n\
         health: {{ path: /health, interval: 1s, timeout: 500ms, rise: 2, fall: 2 }}\n"
    );
    let Places { edge, admin, relay, caddy_relay, .. } = places;
    let edge = format!(
        "name: demo\nadmin: http://{admin}\nlisten: [\"{edge}\"]\ntls: {{ mode: \"off\" }}\n\
         relay: {{ bascule: \"{relay}\", listen: \"{caddy_relay}\" }}\n"
    );
    let mut files =
        vec![("inventory/services/api.yaml".to_owned(), service), ("inventory/edges/demo.yaml".to_owned(), edge)];
    for (site, network) in SITES {
        let text = format!("name: {site}\nsubnets: [127.0.{network}.0/24]\n");
        files.push((format!("inventory/sites/{site}.yaml"), text));
        let backend = places.backend_document(site, 1)?;
        files.push((format!("inventory/backends/{}.yaml", backend_name(site, 1)), backend));
    }
    for (path, text) in files {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        std::fs::write(path, text)?;
    }
    Ok(())
}

fn init_repository(folder: &Path) -> anyhow::Result<()> {
    let remote = folder.join("remote.git");
    Repository::init_opts(&remote, RepositoryInitOptions::new().bare(true).initial_head("main"))?;
    let work = folder.join("work");
    let repository = Repository::init_opts(&work, RepositoryInitOptions::new().initial_head("main"))?;
    repository.remote("origin", &remote.to_string_lossy())?;
    let mut config = repository.config()?;
    // So that `git commit` and `git push` work in there for somebody who has configured neither.
    config.set_str("user.name", "Demo")?;
    config.set_str("user.email", "demo@example.org")?;
    config.set_str("branch.main.remote", "origin")?;
    config.set_str("branch.main.merge", "refs/heads/main")?;
    commit_and_push(&work, "Declare two sites")
}

fn commit_and_push(work: &Path, message: &str) -> anyhow::Result<()> {
    let repository = Repository::open(work)?;
    let mut index = repository.index()?;
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
    index.update_all(["*"], None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = Signature::now("Demo", "demo@example.org")?;
    let parent = repository.head().ok().map(|head| head.peel_to_commit()).transpose()?;
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, message, &tree, &parents)?;
    repository.find_remote("origin")?.push(&["refs/heads/main:refs/heads/main"], None)?;
    Ok(())
}
