use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::task::JoinHandle;

use super::places::{SITES, backend_name};
use super::world::{PATIENCE, World, ask_once, is_closed_connection};
use crate::core::model::counted;
use crate::core::status::{BackendDto, StatusDto};

/// Requests that decide who serves: enough that a site with half of the traffic cannot be missed by chance (2^-50).
const REQUESTS: usize = 50;
/// Time between two requests of the client that asks all the while.
const CLIENT_PAUSE: Duration = Duration::from_millis(10);

/// Cuts a site and heals it, and holds what clients see against what is promised.
pub(super) async fn run(mut world: World) -> anyhow::Result<()> {
    let clock = Instant::now();
    let say = |line: &str| println!("[{:6.2} s] {line}", clock.elapsed().as_secs_f64());
    let [(dijon, _), (thory, _)] = SITES;

    let status = world.wait_for("first revision", |status| status.ready && in_rotation(status).len() == 2).await?;
    say(&format!("commit picked up: revision {}", revision(&status)));
    let status = world
        .wait_for("every backend up", |status| {
            up(status).len() == 2 && status.edges.iter().all(|edge| edge.applied.is_some())
        })
        .await?;
    say(&format!("config pushed: {}, edge in sync", counted(status.edges[0].pushes, "push")));
    expect_sites(&world, &[dijon, thory]).await?;
    say("both sites serving");
    let client = Client::start(&world);

    world.start_backend(dijon, 2).await?;
    let committed = Instant::now();
    let path = format!("inventory/backends/{}.yaml", backend_name(dijon, 2));
    world.commit(&path, &world.places.backend_document(dijon, 2)?, "Add a second backend in dijon")?;
    wait_for_answer(&world, &backend_name(dijon, 2)).await?;
    say(&format!("new backend committed: first answer after {} ms", committed.elapsed().as_millis()));

    let before = client.requests();
    world.cut(dijon).await?;
    say("site dijon is cut");
    world.wait_for("dijon out", |status| in_rotation(status) == [backend_name(thory, 1)]).await?;
    expect_sites(&world, &[thory]).await?;
    say("all traffic on thory");

    world.heal(dijon).await?;
    say("site dijon is back");
    world.wait_for("dijon in", |status| in_rotation(status).len() == 3 && up(status).len() == 3).await?;
    expect_sites(&world, &[dijon, thory]).await?;
    say("traffic on both sites");

    let Seen { requests, again, failures } = client.stop().await?;
    let during = requests - before;
    say(&format!(
        "a client asked {requests} times all the while, {during} of them from the cut on: {failures} failed \
         ({again} sent again over a new connection, since a reload had closed the one in use)"
    ));
    world.end().await?;
    ensure!(failures == 0, "{} failed; none should", counted(failures, "request"));
    say("exercise passed");
    Ok(())
}

fn revision(status: &StatusDto) -> String {
    status.revision.as_ref().map_or_else(String::new, |revision| revision.id.chars().take(12).collect())
}

fn backends(status: &StatusDto) -> impl Iterator<Item = &BackendDto> {
    status.services.iter().flat_map(|service| &service.backends)
}

fn in_rotation(status: &StatusDto) -> Vec<String> {
    backends(status).filter(|backend| backend.in_rotation).map(|backend| backend.name.clone()).collect()
}

fn up(status: &StatusDto) -> Vec<String> {
    backends(status).filter(|backend| backend.verdict == "up").map(|backend| backend.name.clone()).collect()
}

/// Asks many times and holds who answered against who should: each of these sites, and no other.
async fn expect_sites(world: &World, sites: &[&str]) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut answers: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..REQUESTS {
            *answers.entry(world.ask().await?).or_default() += 1;
        }
        let is_at = |name: &String, site: &str| name.starts_with(&format!("api-{site}-"));
        let all_serve = sites.iter().all(|site| answers.keys().any(|name| is_at(name, site)));
        let none_else = answers.keys().all(|name| sites.iter().any(|site| is_at(name, site)));
        if all_serve && none_else {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("wanted answers from {sites:?} and no other, got {answers:?}");
        }
    }
}

async fn wait_for_answer(world: &World, name: &str) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while world.ask().await? != name {
        if Instant::now() > end {
            bail!("no answer from {name} within {} s", PATIENCE.as_secs());
        }
    }
    Ok(())
}

/// A client that asks all the while.
struct Client {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    task: JoinHandle<Seen>,
}

/// What a client saw.
#[derive(Default)]
struct Seen {
    requests: u64,
    again: u64,
    failures: u64,
}

impl Client {
    fn start(world: &World) -> Self {
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, count) = (Arc::clone(&stop), Arc::clone(&requests));
        let (client, edge) = (world.client(), world.places.edge);
        let task = tokio::spawn(async move {
            let mut seen = Seen::default();
            while !is_over.load(Ordering::Relaxed) {
                let mut answer = ask_once(&client, edge).await;
                if answer.as_ref().is_err_and(is_closed_connection) {
                    seen.again += 1;
                    answer = ask_once(&client, edge).await;
                }
                if let Err(error) = answer {
                    eprintln!("a request failed: {error:#}");
                    seen.failures += 1;
                }
                seen.requests += 1;
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(CLIENT_PAUSE).await;
            }
            seen
        });
        Self { stop, requests, task }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn stop(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}
