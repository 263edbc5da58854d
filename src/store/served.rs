use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::core::inventory::{BackendState, Desired, Origin};
use crate::core::model::{BackendName, ServiceName, SiteName};
use crate::core::routing::{EffectiveService, Member, Plan, Role};

/// Writes what is served: rows that differ are updated, rows that are gone are removed.
pub(super) fn record(db: &Connection, desired: &Desired, plan: &Plan) -> rusqlite::Result<()> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO sites (name, subnets) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET subnets = excluded.subnets WHERE subnets <> excluded.subnets",
    )?;
    for site in desired.sites.values() {
        upsert.execute(params![site.name.as_str(), list(&site.subnets)])?;
    }
    for service in plan.effective.services.values() {
        record_service(db, service)?;
    }
    remove_others(db, "sites", "name", desired.sites.keys().map(SiteName::as_str))?;
    remove_others(db, "services", "name", desired.services.keys().map(ServiceName::as_str))?;
    remove_others(db, "backends", "name", desired.backends.keys().map(BackendName::as_str))?;
    remove_others(db, "health", "backend", desired.backends.keys().map(BackendName::as_str))
}

fn record_service(db: &Connection, effective: &EffectiveService) -> rusqlite::Result<()> {
    let service = &effective.service;
    db.prepare_cached(
        "INSERT INTO services (name, domains, paths, serving) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET
             domains = excluded.domains, paths = excluded.paths, serving = excluded.serving
         WHERE (domains, paths, serving) <> (excluded.domains, excluded.paths, excluded.serving)",
    )?
    .execute(params![
        service.name.as_str(),
        list(&service.domains),
        list(&service.paths),
        effective.serving.as_str()
    ])?;
    let mut upsert = db.prepare_cached(
        "INSERT INTO backends
             (name, service, site, upstream, weight, state, origin, verdict, in_rotation, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (name) DO UPDATE SET
             service = excluded.service, site = excluded.site, upstream = excluded.upstream,
             weight = excluded.weight, state = excluded.state, origin = excluded.origin,
             verdict = excluded.verdict, in_rotation = excluded.in_rotation, reason = excluded.reason
         WHERE (service, site, upstream, weight, state, origin, verdict, in_rotation, coalesce(reason, ''))
            <> (excluded.service, excluded.site, excluded.upstream, excluded.weight, excluded.state, excluded.origin,
                excluded.verdict, excluded.in_rotation, coalesce(excluded.reason, ''))",
    )?;
    for Member { backend, verdict, role } in &effective.members {
        let reason = match role {
            Role::InRotation => None,
            Role::LastResort => Some("last resort".to_owned()),
            Role::Out(why) => Some(why.to_string()),
        };
        upsert.execute(params![
            backend.name.as_str(),
            backend.service.as_str(),
            backend.site.as_str(),
            backend.upstream().to_string(),
            backend.weight,
            match backend.state {
                BackendState::Active => "active",
                BackendState::Drain => "drain",
                BackendState::Disabled => "disabled",
            },
            match backend.origin {
                Origin::Declared => "declared",
            },
            verdict.as_str(),
            role.gets_traffic(),
            reason,
        ])?;
    }
    Ok(())
}

/// Removes the rows of names that are not among `kept`.
fn remove_others<'a>(
    db: &Connection,
    table: &str,
    column: &str,
    kept: impl Iterator<Item = &'a str>,
) -> rusqlite::Result<()> {
    let kept: BTreeSet<&str> = kept.collect();
    let names = db
        .prepare_cached(&format!("SELECT {column} FROM {table}"))?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut remove = db.prepare_cached(&format!("DELETE FROM {table} WHERE {column} = ?1"))?;
    for name in names.iter().filter(|name| !kept.contains(name.as_str())) {
        remove.execute([name])?;
    }
    Ok(())
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
