//! The admin API of a fake Caddy, as the edge workers reach it.

use std::time::Duration;

use bascule::core::caddy::Actual;
use bascule::core::model::AdminAddress;
use bascule::edge::{Admin, AdminError, Request};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::edge::{Author, Reach};
use super::pushing;
use super::world::Shared;

/// The deadlines of the real client.
const READ_MAX: Duration = Duration::from_secs(5);
const REPLACE_MAX: Duration = Duration::from_secs(10);

pub(crate) struct FakeAdmin {
    pub(crate) world: Shared,
    pub(crate) edge: &'static str,
    pub(crate) address: AdminAddress,
}

impl Admin for FakeAdmin {
    async fn read(&self) -> Result<Actual, AdminError> {
        self.arrive(Request::Read, READ_MAX).await?;
        // Caddy answers a read only after a load under way is over.
        while self.world.with(|world| world.edge(self.edge).is_loading) {
            sleep(Duration::from_millis(5)).await;
        }
        let actual = self.world.with(|world| {
            let edge = world.edge(self.edge);
            Actual { config: edge.json.clone(), etag: edge.etag() }
        });
        self.leave(Request::Read, READ_MAX).await?;
        Ok(actual)
    }

    async fn replace(&self, config: Vec<u8>, etag: &str) -> Result<(), AdminError> {
        self.arrive(Request::Replace, REPLACE_MAX).await?;
        let json: Value = serde_json::from_slice(&config).expect("bascule sends JSON");
        self.world.with(|world| pushing::arrived(world, self.edge, &json));
        let (answer_tx, answer) = oneshot::channel();
        let load = load(self.world.clone(), self.edge, json.clone(), etag.to_owned());
        let address = self.address.clone();
        // Caddy goes on with it, whether or not the client waits.
        tokio::spawn(async move {
            let _ = answer_tx.send(load.await.map_err(|refusal| refusal.into_error(address)));
        });
        let answered = tokio::time::timeout(REPLACE_MAX, answer).await;
        let answered = answered.map_err(|_| self.timeout(Request::Replace, REPLACE_MAX))?;
        let answered = answered.unwrap_or_else(|_| Err(self.broken(Request::Replace)));
        self.leave(Request::Replace, REPLACE_MAX).await?;
        if matches!(answered, Err(AdminError::Rejected { .. })) {
            self.world.with(|world| pushing::refused(world, self.edge, json));
        }
        answered
    }
}

impl FakeAdmin {
    /// The way to the edge.
    async fn arrive(&self, request: Request, limit: Duration) -> Result<(), AdminError> {
        sleep(self.world.with(|world| Duration::from_millis(world.rng.u64(1..=4)))).await;
        match self.world.with(|world| world.edge(self.edge).reach) {
            Reach::Answers => Ok(()),
            Reach::Down => Err(AdminError::Unreachable { address: self.address.clone(), source: "refused".into() }),
            Reach::Hung => {
                sleep(limit).await;
                Err(self.timeout(request, limit))
            }
        }
    }

    /// The way back, on which an answer may be lost.
    async fn leave(&self, request: Request, limit: Duration) -> Result<(), AdminError> {
        sleep(self.world.with(|world| Duration::from_millis(world.rng.u64(1..=4)))).await;
        let is_lost = self.world.with(|world| {
            let lost = world.edge(self.edge).lost;
            world.rng.u8(..100) < lost
        });
        if !is_lost {
            return Ok(());
        }
        self.world.with(|world| world.note(&format!("{}: answer to {request:?} lost", self.edge)));
        if self.world.with(|world| world.rng.bool()) {
            return Err(self.broken(request));
        }
        sleep(limit).await;
        Err(self.timeout(request, limit))
    }

    fn timeout(&self, request: Request, limit: Duration) -> AdminError {
        AdminError::Timeout { address: self.address.clone(), request, limit }
    }

    fn broken(&self, request: Request) -> AdminError {
        AdminError::Broken { address: self.address.clone(), request, source: "reset".into() }
    }
}

/// Why a load came to nothing.
enum Refusal {
    Conflict,
    Rejected(String),
    Died,
}

impl Refusal {
    fn into_error(self, address: AdminAddress) -> AdminError {
        match self {
            Self::Conflict => AdminError::Conflict { address },
            Self::Rejected(message) => AdminError::Rejected { address, status: 500, message },
            Self::Died => AdminError::Broken { address, request: Request::Replace, source: "reset".into() },
        }
    }
}

/// A load, inside the edge.
async fn load(world: Shared, name: &'static str, json: Value, etag: String) -> Result<(), Refusal> {
    while world.with(|world| world.edge(name).is_loading) {
        sleep(Duration::from_millis(5)).await;
    }
    let takes = world.with(|world| {
        world.wrote(name);
        let edge = world.edge(name);
        if edge.etag() != etag {
            return Err(Refusal::Conflict);
        }
        if let Some(message) = edge.refusal(&json) {
            edge.has_rejected = true;
            return Err(Refusal::Rejected(message));
        }
        edge.is_loading = true;
        Ok(Duration::from_millis(edge.load_ms))
    })?;
    sleep(takes).await;
    world.with(|world| {
        world.edge(name).is_loading = false;
        if world.edge(name).reach == Reach::Down {
            return Err(Refusal::Died);
        }
        let loaded = world.load(name, json, Author::Bascule);
        if let Err(message) = &loaded {
            world.broken("no configuration is one that Caddy stumbles over", message.clone());
        }
        world.pushed(name);
        loaded.map_err(Refusal::Rejected)
    })
}
