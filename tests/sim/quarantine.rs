//! What may be served of commits that have faults: the services that they are of as before, and everything else as committed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bascule::controller::{EdgeReports, SourceState};
use bascule::core::inventory::{Backend, Desired, Service, load};
use bascule::core::model::{FileSet, Revision, Severity};
use bascule::core::status::EdgeState;

use super::inventory::{Inventory, POISON};
use super::world::World;

/// Something that must not be.
type Faults = Vec<(&'static str, String)>;

const LAST_GOOD: &str = "a service at fault stays as it was";
const MOVES_ON: &str = "no service is held back by another one's fault";

/// What was committed, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    commits: BTreeMap<Revision, Commit>,
    /// What was served under each revision, last.
    served: BTreeMap<Revision, Arc<Desired>>,
    last: Option<Arc<Desired>>,
}

/// A commit as its author meant it.
#[derive(Debug)]
struct Commit {
    /// What it says, but for faults that were put into it.
    meant: Option<Desired>,
    /// The services that its faults are of; none where one is no service's.
    at_fault: Option<BTreeSet<String>>,
}

impl Quarantine {
    /// Somebody commits this: the whole of it, and what is meant by it.
    pub(crate) fn committed(&mut self, id: &Revision, files: &FileSet, meant: &Inventory, spoiled: Option<&str>) {
        let loaded = load(files, id.clone());
        let at_fault = match (spoiled, loaded.desired.is_some()) {
            (_, true) => Some(BTreeSet::new()),
            (Some(""), false) => None,
            (Some(service), false) => Some([service.to_owned()].into()),
            // What makes no sense stands in one file for each service, or on one line for each backend.
            (None, false) => {
                let errors = loaded.diagnostics.iter().filter(|it| it.severity == Severity::Error);
                errors.map(|it| owner(files, &it.file, it.place.map_or(1, |place| place.line))).collect()
            }
        };
        let none = BTreeSet::new();
        let without = meant.without(at_fault.as_ref().unwrap_or(&none));
        let meant = loaded.desired.or_else(|| load(&without.files(), id.clone()).desired);
        self.commits.insert(id.clone(), Commit { meant, at_fault });
    }

    /// Takes a look at what the watcher says.
    pub(crate) fn look(&mut self, source: &SourceState) -> Faults {
        let mut faults = Vec::new();
        let is_anything_served = source.served.is_some();
        if let Some((refusal, newest)) = source.refusal.as_ref().zip(source.newest.as_ref())
            && refusal.message.contains(&format!("{} is refused", newest.id.short()))
            && self.commits.get(&newest.id).is_some_and(|commit| commit.at_fault.is_some() && is_anything_served)
        {
            faults.push((MOVES_ON, refusal.message.clone()));
        }
        let Some(served) = &source.served else { return faults };
        if self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &served.desired)) {
            return faults;
        }
        let before = self.last.replace(Arc::clone(&served.desired));
        let earlier = self.served.insert(served.info.id.clone(), Arc::clone(&served.desired));
        // After a rollback or a restart it is what it was.
        if earlier.is_some_and(|earlier| shown(&earlier) == shown(&served.desired)) {
            return faults;
        }
        let held: BTreeSet<String> = served.quarantine.iter().map(|it| it.service.clone()).collect();
        if let Some(commit) = self.commits.get(&served.info.id) {
            commit.judge(before.as_deref(), &served.desired, &held, &mut faults);
        }
        faults
    }
}

/// An edge that cannot do one service takes the others.
pub(crate) fn look_at_edges(world: &mut World, reports: &EdgeReports) {
    for (name, report) in reports {
        let stalled = report.fault.as_ref().filter(|_| report.state == EdgeState::Stalled);
        if let Some((message, _)) = stalled.filter(|(message, _)| message.contains("http.handlers.lacking")) {
            world.broken(MOVES_ON, format!("{name} is stalled: {message}"));
        }
    }
}

impl Commit {
    fn judge(&self, before: Option<&Desired>, now: &Desired, held: &BTreeSet<String>, faults: &mut Faults) {
        let revision = now.revision.short();
        let Some(at_fault) = &self.at_fault else {
            faults.push((LAST_GOOD, format!("{revision} is served, whose fault is no service's")));
            return;
        };
        if now.backends.values().any(|it| it.addr.to_string() == POISON) {
            faults.push((LAST_GOOD, format!("{revision} is served with what is at fault")));
        }
        let none = BTreeMap::new();
        let (before, meant) = (before.map_or(none.clone(), shown), self.meant.as_ref().map_or(none, shown));
        let now = shown(now);
        let names: BTreeSet<&String> = before.keys().chain(meant.keys()).chain(now.keys()).collect();
        for name in names {
            let is_at_fault = at_fault.contains(name);
            if held.contains(name) {
                if now.get(name) != before.get(name) {
                    faults.push((
                        LAST_GOOD,
                        format!("{name} in {revision}: {} after {}", words(now.get(name)), words(before.get(name))),
                    ));
                }
                // It may want what another one has that stays as it was.
                let others = held.iter().filter(|it| *it != name).filter_map(|it| before.get(it));
                let taken: BTreeSet<SocketAddr> = others.flat_map(addresses).collect();
                let is_in_the_way = meant.get(name).is_some_and(|it| addresses(it).any(|addr| taken.contains(&addr)));
                if !is_at_fault && !is_in_the_way {
                    faults.push((MOVES_ON, format!("{name} in {revision}, of which {at_fault:?} are at fault")));
                }
            } else if is_at_fault && before.contains_key(name) {
                faults.push((LAST_GOOD, format!("{name} in {revision} is at fault, and not held")));
            } else if now.get(name) != meant.get(name).filter(|_| !is_at_fault) {
                faults.push((
                    MOVES_ON,
                    format!("{name} in {revision}: {} for {}", words(now.get(name)), words(meant.get(name))),
                ));
            }
        }
    }
}

/// A service as it is declared, with its backends.
type Shown = (Arc<Service>, Vec<Arc<Backend>>);

fn shown(desired: &Desired) -> BTreeMap<String, Shown> {
    let backends =
        |service: &Service| desired.backends.values().filter(|it| it.service == service.name).cloned().collect();
    desired.services.values().map(|it| (it.name.to_string(), (Arc::clone(it), backends(it)))).collect()
}

fn addresses((_, backends): &Shown) -> impl Iterator<Item = SocketAddr> {
    backends.iter().map(|it| it.upstream())
}

fn words(shown: Option<&Shown>) -> String {
    let Some((service, backends)) = shown else { return "nothing".to_owned() };
    let backends: Vec<String> =
        backends.iter().map(|it| format!("{} {} {:?}", it.upstream(), it.weight, it.state)).collect();
    format!("{:?} {:?} {backends:?}", service.domains, service.routing.policy)
}

/// The service of a line of a file, as this simulation writes inventories.
fn owner(files: &FileSet, path: &str, line: usize) -> Option<String> {
    let (folder, file) = path.split_once('/')?;
    if folder == "services" {
        return file.strip_suffix(".yaml").map(str::to_owned);
    }
    let text = files.get(path).map(|bytes| String::from_utf8_lossy(bytes))?;
    let (_, rest) = text.lines().nth(line.checked_sub(1)?)?.split_once("service: ")?;
    rest.split(',').next().map(str::to_owned)
}
