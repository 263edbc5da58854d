use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row, params};

use super::column::Json;
use super::{Store, StoreError, health, meta};
use crate::core::health::Verdict;
use crate::core::inventory::{BackendState, Desired, Origin, Site};
use crate::core::model::{BackendName, Hostname, PathPrefix, Revision, ServiceName, SiteName};
use crate::core::routing::{Choice, EffectiveService, Member, Plan};

/// Where the revision stands that the rows are of.
const REVISION: &str = "served_revision";

/// What was served last, as it is kept: for a look into the past, and for people with an SQLite shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The revision that it is of.
    pub revision: Revision,
    /// Sites by name.
    pub sites: Vec<ServedSite>,
    /// Services by name.
    pub services: Vec<ServedService>,
    /// Backends by name.
    pub backends: Vec<ServedBackend>,
}

/// A site as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedSite {
    /// Its name.
    pub name: SiteName,
    /// Its networks.
    pub subnets: Vec<IpNet>,
}

/// A service as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedService {
    /// Its name.
    pub name: ServiceName,
    /// Its host names.
    pub domains: Vec<Hostname>,
    /// Its path prefixes.
    pub paths: Vec<PathPrefix>,
    /// How well it was served, in the API's words.
    pub state: String,
    /// What was chosen for it, where its policy chooses.
    pub choice: Option<Choice>,
}

/// A backend as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedBackend {
    /// Its name.
    pub name: BackendName,
    /// Its service.
    pub service: ServiceName,
    /// Its site.
    pub site: SiteName,
    /// The address that edges dial.
    pub upstream: SocketAddr,
    /// Its declared share.
    pub weight: u16,
    /// What its owner says.
    pub state: BackendState,
    /// How it came into the inventory.
    pub origin: Origin,
    /// What was believed of it.
    pub verdict: Verdict,
    /// Whether it got traffic.
    pub in_rotation: bool,
    /// Why not, or why all the same; empty where it simply did.
    pub reason: String,
}

impl Store {
    /// Keeps what is served now in place of what was, and forgets the health of backends that are no longer declared.
    pub async fn record_served(&self, desired: Arc<Desired>, plan: Arc<Plan>) -> Result<(), StoreError> {
        self.write("write what is served", move |connection| record(connection, &Served::of(&desired, &plan))).await
    }

    /// The same, from rows.
    pub async fn record_served_rows(&self, served: Served) -> Result<(), StoreError> {
        self.write("write what is served", move |connection| record(connection, &served)).await
    }

    /// What was chosen for the services that were served last.
    pub async fn choices(&self) -> Result<BTreeMap<ServiceName, Choice>, StoreError> {
        self.read("read what was chosen", |connection| {
            let chosen = |service: ServedService| Some((service.name, service.choice?));
            Ok(services(connection)?.into_iter().filter_map(chosen).collect())
        })
        .await
    }

    /// Forgets what was chosen for a service. Who awaits this before acting on it never acts on what a restart takes back.
    pub async fn forget_choice(&self, service: ServiceName) -> Result<(), StoreError> {
        self.write("forget what was chosen", move |connection| {
            connection.prepare_cached("UPDATE services SET choice = NULL WHERE name = ?1")?.execute([service])?;
            Ok(())
        })
        .await
    }

    /// What was served last.
    pub async fn served(&self) -> Result<Option<Served>, StoreError> {
        self.read("read what is served", |connection| {
            let Some(revision) = meta::get(connection, REVISION)? else { return Ok(None) };
            Ok(Some(Served {
                revision: Revision::new(revision),
                sites: sites(connection)?,
                services: services(connection)?,
                backends: backends(connection)?,
            }))
        })
        .await
    }
}

impl Served {
    /// The rows of a plan.
    pub fn of(desired: &Desired, plan: &Plan) -> Self {
        let site = |site: &Arc<Site>| ServedSite { name: site.name.clone(), subnets: site.subnets.clone() };
        let effective = plan.effective.services.values();
        let mut backends: Vec<_> = effective.clone().flat_map(|it| it.members.iter().map(ServedBackend::of)).collect();
        backends.sort_by(|a, b| a.name.cmp(&b.name));
        let service = |it: &Arc<EffectiveService>| ServedService {
            name: it.service.name.clone(),
            domains: it.service.domains.clone(),
            paths: it.service.paths.clone(),
            state: it.serving.as_str().to_owned(),
            choice: it.choice.clone(),
        };
        Self {
            revision: plan.revision.clone(),
            sites: desired.sites.values().map(site).collect(),
            services: effective.map(service).collect(),
            backends,
        }
    }
}

impl ServedBackend {
    fn of(member: &Member) -> Self {
        let Member { backend, verdict, tier: _, role, rise: _, share: _, overridden: _ } = member;
        Self {
            name: backend.name.clone(),
            service: backend.service.clone(),
            site: backend.site.clone(),
            upstream: backend.upstream(),
            weight: backend.weight,
            state: backend.state,
            origin: backend.origin,
            verdict: *verdict,
            in_rotation: role.gets_traffic(),
            reason: role.reason().unwrap_or_default(),
        }
    }
}

/// Writes only the rows that differ: after a flip these are one or two of 30,000. The order is the one that references
/// allow: a backend leaves before its service and site, and comes after them.
fn record(connection: &Connection, served: &Served) -> rusqlite::Result<()> {
    let Served { revision, sites: sites_now, services: services_now, backends: backends_now } = served;
    let sites = Diff::new(sites(connection)?, sites_now, |site| &site.name);
    let services = Diff::new(services(connection)?, services_now, |service| &service.name);
    let backends = Diff::new(backends(connection)?, backends_now, |backend| &backend.name);

    remove(connection, "DELETE FROM backends WHERE name = ?1", &backends.gone)?;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO sites (name, subnets) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET subnets = excluded.subnets",
    )?;
    for ServedSite { name, subnets } in sites.changed {
        upsert.execute(params![name, Json(subnets)])?;
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO services (name, domains, paths, state, choice) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET
             domains = excluded.domains, paths = excluded.paths, state = excluded.state, choice = excluded.choice",
    )?;
    for ServedService { name, domains, paths, state, choice } in services.changed {
        let choice = choice.as_ref().map(ToString::to_string);
        upsert.execute(params![name, Json(domains), Json(paths), state, choice])?;
    }
    write_backends(connection, &backends.changed)?;
    remove(connection, "DELETE FROM services WHERE name = ?1", &services.gone)?;
    remove(connection, "DELETE FROM sites WHERE name = ?1", &sites.gone)?;

    let declared: BTreeSet<_> = backends_now.iter().map(|backend| &backend.name).collect();
    health::retain(connection, |name| declared.contains(name))?;
    meta::set(connection, REVISION, revision.as_str())
}

fn write_backends(connection: &Connection, changed: &[&ServedBackend]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO backends (name, service, site, upstream, weight, state, origin, verdict, in_rotation, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (name) DO UPDATE SET
             service = excluded.service, site = excluded.site, upstream = excluded.upstream,
             weight = excluded.weight, state = excluded.state, origin = excluded.origin,
             verdict = excluded.verdict, in_rotation = excluded.in_rotation, reason = excluded.reason",
    )?;
    for backend in changed {
        let ServedBackend { name, service, site, upstream, weight, state, origin, verdict, in_rotation, reason } =
            backend;
        let upstream = upstream.to_string();
        upsert.execute(params![name, service, site, upstream, weight, state, origin, verdict, in_rotation, reason])?;
    }
    Ok(())
}

/// What differs between the rows that are there and those that shall be.
struct Diff<'a, K, R> {
    changed: Vec<&'a R>,
    gone: BTreeSet<K>,
}

impl<'a, K: Ord + Clone, R: PartialEq> Diff<'a, K, R> {
    fn new(before: Vec<R>, now: &'a [R], key: impl Fn(&R) -> &K) -> Self {
        let mut before: BTreeMap<K, R> = before.into_iter().map(|row| (key(&row).clone(), row)).collect();
        let changed = now.iter().filter(|row| before.remove(key(row)).as_ref() != Some(*row)).collect();
        Self { changed, gone: before.into_keys().collect() }
    }
}

fn remove<K: rusqlite::ToSql>(connection: &Connection, sql: &str, gone: &BTreeSet<K>) -> rusqlite::Result<()> {
    let mut remove = connection.prepare_cached(sql)?;
    for name in gone {
        remove.execute([name])?;
    }
    Ok(())
}

fn sites(connection: &Connection) -> rusqlite::Result<Vec<ServedSite>> {
    connection
        .prepare_cached("SELECT name, subnets FROM sites ORDER BY name")?
        .query_map([], |row| {
            let Json(subnets) = row.get(1)?;
            Ok(ServedSite { name: row.get(0)?, subnets })
        })?
        .collect()
}

fn services(connection: &Connection) -> rusqlite::Result<Vec<ServedService>> {
    connection
        .prepare_cached("SELECT name, domains, paths, state, choice FROM services ORDER BY name")?
        .query_map([], |row| {
            let (Json(domains), Json(paths)) = (row.get(1)?, row.get(2)?);
            // A choice in words that this version does not know is as good as none.
            let choice: Option<String> = row.get(4)?;
            let choice = choice.and_then(|text| text.parse().ok());
            Ok(ServedService { name: row.get(0)?, domains, paths, state: row.get(3)?, choice })
        })?
        .collect()
}

fn backends(connection: &Connection) -> rusqlite::Result<Vec<ServedBackend>> {
    connection
        .prepare_cached(
            "SELECT name, service, site, upstream, weight, state, origin, verdict, in_rotation, reason
             FROM backends ORDER BY name",
        )?
        .query_map([], backend)?
        .collect()
}

fn backend(row: &Row<'_>) -> rusqlite::Result<ServedBackend> {
    let upstream: String = row.get(3)?;
    let not_an_address =
        |error| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, FromSqlError::other(error).into());
    Ok(ServedBackend {
        name: row.get(0)?,
        service: row.get(1)?,
        site: row.get(2)?,
        upstream: upstream.parse().map_err(not_an_address)?,
        weight: row.get(4)?,
        state: row.get(5)?,
        origin: row.get(6)?,
        verdict: row.get(7)?,
        in_rotation: row.get(8)?,
        reason: row.get(9)?,
    })
}
