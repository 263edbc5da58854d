//! The inventory of these backends, and what an edge runs for it.

use std::fmt::Write as _;
use std::ops::Range;

use bascule::core::caddy::{Pool, render};
use bascule::core::health::{BackendHealth, Observed, Verdict};
use bascule::core::inventory::{Desired, load};
use bascule::core::model::{FileSet, Generation, Revision};
use bascule::core::routing::{Effective, Inputs, plan};
use serde_json::Value;

use super::backends::{HEALTH_PATH, INTERVAL, address};
use super::process::Fault;

const BACKENDS_PER_SERVICE: usize = 4;
/// Upstreams that are rendered at once where all are to be checked: with more than 1,500, bascule renders no checks.
const RENDERED_AT_ONCE: usize = 1_000;

/// What the active checks of an edge ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Relay,
    Backends,
    Nobody,
}

/// Ports of the edge, and of who answers its relay.
#[derive(Clone, Copy)]
pub(crate) struct Doors {
    pub(crate) public: u16,
    pub(crate) admin: u16,
    pub(crate) relay: u16,
    pub(crate) bascule: u16,
}

/// So many upstreams behind one edge.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) upstreams: usize,
    pub(crate) ports: Vec<u16>,
    pub(crate) doors: Doors,
}

impl Fleet {
    /// Desired state with all of them.
    pub(crate) fn desired(&self, asks: Asks) -> Result<Desired, Fault> {
        self.part(asks, 0..self.upstreams)
    }

    /// What bascule has an edge run.
    pub(crate) fn rendered(&self, asks: Asks) -> Result<Value, Fault> {
        self.render(asks, 0..self.upstreams, None)
    }

    /// The same with one upstream less, which is down.
    pub(crate) fn rendered_without(&self, asks: Asks, number: usize) -> Result<Value, Fault> {
        self.render(asks, 0..self.upstreams, Some(number))
    }

    /// What an edge would run if bascule rendered a check of each upstream each [`INTERVAL`], however many there are.
    pub(crate) fn checked(&self, asks: Asks) -> Result<Value, Fault> {
        let mut config = Value::Null;
        for first in (0..self.upstreams).step_by(RENDERED_AT_ONCE) {
            let part = self.render(asks, first..self.upstreams.min(first + RENDERED_AT_ONCE), None)?;
            if first == 0 {
                config = part;
            } else {
                add_services(&mut config, part)?;
            }
        }
        each_health_check(&mut config, &mut |checks| checks["active"]["interval"] = duration_text().into());
        Ok(config)
    }

    fn part(&self, asks: Asks, numbers: Range<usize>) -> Result<Desired, Fault> {
        let loaded = load(&self.files(asks, numbers)?, Revision::new("bench"));
        loaded.desired.ok_or_else(|| format!("the inventory is refused: {:?}", loaded.diagnostics.first()).into())
    }

    fn render(&self, asks: Asks, numbers: Range<usize>, down: Option<usize>) -> Result<Value, Fault> {
        let desired = self.part(asks, numbers)?;
        let edge = desired.edges.values().next().ok_or("no edge")?;
        let mut config = render(&planned(&desired, down), edge, &Pool::strict()).config();
        if asks == Asks::Nobody {
            each_health_check(&mut config, &mut |checks| _ = checks.as_object_mut().map(|it| it.remove("active")));
        }
        Ok(config)
    }

    fn files(&self, asks: Asks, numbers: Range<usize>) -> Result<FileSet, Fault> {
        let Doors { public, admin, relay, bascule } = self.doors;
        let relay = match asks {
            Asks::Relay => format!("{{listen: '127.0.0.1:{relay}', bascule: '127.0.0.1:{bascule}'}}"),
            Asks::Backends | Asks::Nobody => "{enabled: false}".to_owned(),
        };
        let edge = format!(
            "name: bench\nadmin: http://127.0.0.1:{admin}\nlisten: ['127.0.0.1:{public}']\ntls: {{mode: off}}\nrelay: {relay}\n"
        );
        let mut files = FileSet::new();
        files.insert("sites/dijon.yaml".to_owned(), b"name: dijon\nsubnets: [127.1.0.0/16]\n".to_vec());
        files.insert("edges/bench.yaml".to_owned(), edge.into_bytes());
        for number in numbers {
            let service = service_name(number);
            let (addr, health) = (address(number, &self.ports)?, duration_text());
            if number % BACKENDS_PER_SERVICE == 0 {
                let text = format!(
                    "name: {service}\ndomains: [{service}.example.org]\n\
                     health: {{path: {HEALTH_PATH}, interval: {health}, timeout: 1s, rise: 2, fall: 3}}\n"
                );
                files.insert(format!("services/{service}.yaml"), text.into_bytes());
            }
            let name = backend_name(number);
            let text =
                format!("name: {name}\nservice: {service}\nsite: dijon\naddr: {}\nport: {}\n", addr.ip(), addr.port());
            files.insert(format!("backends/{name}.yaml"), text.into_bytes());
        }
        Ok(files)
    }

    /// HAProxy's configuration for the same backends, asked as often and with the same question.
    pub(crate) fn haproxy(&self) -> Result<String, Fault> {
        let mut text = format!(
            "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n  \
             timeout check 1s\n  option httpchk\n  http-check send meth GET uri {HEALTH_PATH} ver HTTP/1.1 hdr Host bench\n  \
             http-check expect status 200-399\n  default-server check inter {} rise 2 fall 3\nfrontend public\n  \
             bind 127.0.0.1:{}\n  default_backend {}\n",
            duration_text(),
            self.doors.public,
            service_name(0)
        );
        for number in 0..self.upstreams {
            if number % BACKENDS_PER_SERVICE == 0 {
                writeln!(text, "backend {}", service_name(number))?;
            }
            writeln!(text, "  server {} {}", backend_name(number), address(number, &self.ports)?)?;
        }
        Ok(text)
    }
}

/// The plan with every backend up but one.
pub(crate) fn planned(desired: &Desired, down: Option<usize>) -> Effective {
    let down = down.map(backend_name);
    let health = |is_down| {
        let verdict = if is_down { Verdict::Down } else { Verdict::Up };
        BackendHealth { verdict, ..BackendHealth::default() }
    };
    let names = desired.backends.keys();
    let backends = names.map(|name| (name.clone(), health(down.as_deref() == Some(name.as_str())))).collect();
    let observed = Observed { generation: Generation(1), revision: None, isolated_since: None, backends };
    plan(&Inputs { observed: &observed, ..Inputs::declared(desired) }).effective
}

/// The time between two checks of an upstream that a configuration says; none where nothing is checked.
pub(crate) fn interval(config: &mut Value) -> Option<String> {
    let mut found = None;
    each_health_check(config, &mut |checks| found = checks["active"]["interval"].as_str().map(str::to_owned));
    found
}

fn service_name(number: usize) -> String {
    format!("service-{}", number / BACKENDS_PER_SERVICE)
}

fn backend_name(number: usize) -> String {
    format!("backend-{number}")
}

fn duration_text() -> String {
    format!("{}s", INTERVAL.as_secs())
}

/// Adds the services of one rendered configuration to another.
fn add_services(config: &mut Value, mut other: Value) -> Result<(), Fault> {
    let routes = |config: &mut Value| {
        config["apps"]["http"]["servers"]["bascule-http"]["routes"].as_array_mut().map(std::mem::take)
    };
    let (mut all, more) = (routes(config).ok_or("no routes")?, routes(&mut other).ok_or("no routes")?);
    // The last one is for hosts that no service has.
    let last = all.pop();
    all.extend(more.into_iter().filter(|route| !route["@id"].is_null()));
    all.extend(last);
    config["apps"]["http"]["servers"]["bascule-http"]["routes"] = all.into();
    Ok(())
}

/// Visits every `health_checks` of a configuration.
fn each_health_check(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if key == "health_checks" {
                    visit(value);
                } else {
                    each_health_check(value, visit);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_health_check(value, visit)),
        _ => {}
    }
}
