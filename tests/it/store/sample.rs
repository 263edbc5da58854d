//! Rows to write.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bascule::core::health::{
    Availability, BackendHealth, Failure, Flap, LastSample, Outcome, Share, Told, Transition, Verdict,
};
use bascule::core::inventory::{BackendState, Origin};
use bascule::core::model::{Digest, FileSet, Generation, Revision, RevisionInfo, Timestamp};
use bascule::store::{
    Apply, ApplyOutcome, Render, RevisionOutcome, Served, ServedBackend, ServedService, ServedSite, Store,
};

/// A scratch folder with a state file in it.
pub(super) struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("bascule.db")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn open(&self) -> Store {
        Store::open(&self.path()).expect("opens")
    }

    /// Looks into the file, past the store.
    pub(super) fn count(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.path()).expect("opens");
        connection.query_row(sql, [], |row| row.get(0)).expect("a number")
    }
}

/// Closes and opens again: what is read then comes from the disk.
pub(super) async fn reopen(store: Store) -> Store {
    let path = store.path().to_owned();
    store.close().await;
    Store::open(&path).expect("opens again")
}

pub(super) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000)
}

pub(super) fn revision(number: u32) -> RevisionInfo {
    RevisionInfo {
        id: Revision::new(format!("{number:040x}")),
        author: "Ada <ada@example.org>".to_owned(),
        subject: format!("commit {number}"),
        committed_at: at(i64::from(number)),
    }
}

/// A file that is the same in every revision, and one that is not.
pub(super) fn files(number: u32) -> Arc<FileSet> {
    let files = [
        ("sites/dijon.yaml", "name: dijon\n".to_owned()),
        ("services/api.yaml", format!("name: api\ndescription: number {number}\n")),
    ];
    Arc::new(files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect())
}

pub(super) fn rejected() -> RevisionOutcome {
    RevisionOutcome::Rejected {
        errors: 2,
        first: "services/api.yaml:1:1: error[unknown-site]: no such site".to_owned(),
    }
}

pub(super) fn transition(backend: &str, second: i64, reason: &str) -> Transition {
    Transition {
        backend: name(backend),
        at: at(second),
        from: Verdict::Up,
        to: Verdict::Down,
        reason: reason.to_owned(),
    }
}

/// Health with something in every field.
pub(super) fn health(seed: i64) -> BackendHealth {
    let mut availability = Availability::default();
    for hour in 0..24 {
        availability.count(at(hour * 3600), (seed + hour) % 3 != 0);
    }
    BackendHealth {
        target: Some(Digest::of(&seed.to_be_bytes())),
        verdict: Verdict::Down,
        was_up: false,
        since: Some(at(seed)),
        passes: 0,
        fails: 7,
        last: Some(LastSample {
            at: at(seed),
            latency: Duration::from_nanos(1_234_567),
            outcome: Outcome::Fail(Failure::Connect("connection refused".to_owned())),
        }),
        availability,
        flap: Flap { score: 3700, at: Some(at(seed)), held_until: Some(at(seed + 156)) },
        told: Told::default(),
        share: Share::default(),
    }
}

pub(super) fn render(edge: &str, number: u32) -> Render {
    let bytes = format!("{{\"number\":{number}}}").into_bytes();
    Render {
        edge: name(edge),
        digest: Digest::of(&bytes),
        bytes: bytes.into(),
        revision: revision(number).id,
        generation: Generation(u64::from(number)),
        at: at(i64::from(number)),
    }
}

pub(super) fn apply(render: &Render, outcome: ApplyOutcome) -> Apply {
    Apply {
        edge: render.edge.clone(),
        digest: render.digest.clone(),
        revision: render.revision.clone(),
        generation: render.generation,
        trigger: "desired state changed".to_owned(),
        outcome,
        started_at: render.at,
        finished_at: render.at.plus(Duration::from_millis(40)),
    }
}

/// What is served: every third backend at `thory`, the others at `dijon`.
pub(super) fn served(services: usize, backends_each: usize) -> Served {
    let site =
        |site: &str, subnet: &str| ServedSite { name: name(site), subnets: vec![subnet.parse().expect("a subnet")] };
    let service = |number: usize| ServedService {
        name: name(&format!("s{number:05}")),
        domains: vec![name(&format!("s{number}.example.org")), name("*.acecinema.fr")],
        paths: vec![name("/")],
        state: "full".to_owned(),
        choice: (number.is_multiple_of(2)).then(|| name("site:dijon")),
    };
    let backend = |number: usize| ServedBackend {
        name: name(&format!("b{number:06}")),
        service: name(&format!("s{:05}", number / backends_each)),
        site: name(if number % 3 == 2 { "thory" } else { "dijon" }),
        upstream: format!("10.200.{}.{}:8080", number / 250 % 250, number % 250).parse().expect("an address"),
        weight: 3,
        state: BackendState::Drain,
        origin: Origin::Declared,
        verdict: Verdict::Unknown,
        in_rotation: false,
        reason: "draining".to_owned(),
    };
    Served {
        revision: revision(1).id,
        sites: vec![site("dijon", "10.200.1.0/24"), site("thory", "fd00:2::/64")],
        services: (0..services).map(service).collect(),
        backends: (0..services * backends_each).map(backend).collect(),
    }
}
