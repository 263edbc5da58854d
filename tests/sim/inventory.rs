//! Inventories as values: drawn, changed a little, and written as YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bascule::core::model::FileSet;
use fastrand::Rng;

/// Sites and the second part of their addresses.
pub(crate) const SITES: [(&str, u8); 3] = [("dijon", 1), ("thory", 2), ("lyon", 3)];
const SERVICES: [&str; 3] = ["api", "www", "cron"];
/// Edges. The second is told of every change of verdict by a push.
pub(crate) const EDGES: [&str; 2] = ["ovh", "gandi"];

#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    services: BTreeMap<&'static str, Service>,
    backends: BTreeMap<String, Backend>,
    at_work: Option<&'static str>,
    edges: usize,
    /// Changes nothing but the revision.
    remark: u32,
    /// Is part of a name of every service.
    version: u32,
}

#[derive(Debug, Clone)]
struct Service {
    routing: String,
    health: String,
    is_in_maintenance: bool,
}

#[derive(Debug, Clone)]
struct Backend {
    service: &'static str,
    site: usize,
    host: u8,
    weight: u32,
    state: &'static str,
}

impl Inventory {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut inventory = Self {
            services: BTreeMap::new(),
            backends: BTreeMap::new(),
            at_work: None,
            edges: rng.usize(1..=2),
            remark: 0,
            version: 0,
        };
        for name in &SERVICES[..rng.usize(1..=3)] {
            inventory.services.insert(name, Service::draw(rng));
            for _ in 0..rng.usize(1..=5) {
                inventory.add_backend(name, rng);
            }
        }
        inventory
    }

    fn add_backend(&mut self, service: &'static str, rng: &mut Rng) {
        let is_free = |number: &u32| !self.backends.contains_key(&format!("{service}-{number}"));
        let number = (1..100).find(is_free).expect("there are few backends");
        let weight = if rng.u8(..4) == 0 { 3 } else { 1 };
        // Some addresses come back under other names: what is known of one must not pass to the other.
        let host = rng.u8(1..=30);
        if self.backends.values().any(|backend| backend.host == host) {
            return;
        }
        let backend = Backend { service, site: rng.usize(..SITES.len()), host, weight, state: "active" };
        self.backends.insert(format!("{service}-{number}"), backend);
    }

    /// Makes one change, as somebody would commit it. The outcome may be refused.
    pub(crate) fn change(&mut self, rng: &mut Rng) {
        let services: Vec<&'static str> = self.services.keys().copied().collect();
        let service = services[rng.usize(..services.len())];
        let names: Vec<String> = self.backends.keys().cloned().collect();
        let name = names.get(rng.usize(..names.len().max(1))).cloned().unwrap_or_default();
        match rng.u8(..12) {
            0 | 1 => self.add_backend(service, rng),
            2 => drop(self.backends.remove(&name)),
            3 | 4 => {
                let state = *rng.choice(["active", "active", "drain", "disabled"].iter()).expect("states");
                self.with(&name, |backend| backend.state = state);
            }
            5 => {
                let weight = rng.u32(0..4);
                self.with(&name, |backend| backend.weight = weight);
            }
            6 => {
                let host = rng.u8(31..=60);
                if self.backends.values().all(|backend| backend.host != host) {
                    self.with(&name, |backend| backend.host = host);
                }
            }
            7 => drop(self.services.insert(service, Service::draw(rng))),
            8 => {
                self.services.entry(service).and_modify(|it| it.is_in_maintenance = !it.is_in_maintenance);
            }
            9 => self.at_work = if self.at_work.is_some() { None } else { Some(SITES[rng.usize(..3)].0) },
            10 => self.edges = rng.usize(1..=2),
            _ => self.remark += 1,
        }
    }

    /// Changes something of every service, so that every edge gets another configuration.
    pub(crate) fn touch(&mut self, version: u32) {
        self.version = version;
    }

    fn with(&mut self, name: &str, change: impl FnOnce(&mut Backend)) {
        if let Some(backend) = self.backends.get_mut(name) {
            change(backend);
        }
    }

    /// Its files.
    pub(crate) fn files(&self) -> FileSet {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for (name, octet) in SITES {
            let maintenance = self.at_work == Some(name);
            let text = format!("name: {name}\nsubnets: [10.{octet}.0.0/16]\nmaintenance: {maintenance}\n");
            texts.insert(format!("sites/{name}.yaml"), text);
        }
        for (name, Service { routing, health, is_in_maintenance }) in &self.services {
            let text = format!(
                "name: {name}\ndomains: [{name}.example.org, v{}.{name}.example.org]\nhealth: {health}\nrouting: {routing}\n\
                 timeouts: {{dial: 250ms, response: 2s}}\nmaintenance: {is_in_maintenance}\n",
                self.version
            );
            texts.insert(format!("services/{name}.yaml"), text);
        }
        let mut backends = String::new();
        for (name, Backend { service, site, host, weight, state }) in &self.backends {
            let (site, octet) = SITES[*site];
            let _ = writeln!(
                backends,
                "---\n{{name: {name}, service: {service}, site: {site}, addr: 10.{octet}.0.{host}, port: 80, \
                 weight: {weight}, state: {state}}}"
            );
        }
        texts.insert("backends/all.yaml".to_owned(), format!("# {}\n{backends}", self.remark));
        for (index, name) in EDGES[..self.edges].iter().enumerate() {
            let relay = if index == 0 { "{}" } else { "{enabled: false}" };
            let text = format!(
                "name: {name}\nadmin: http://127.0.0.1:{}\nlisten: [':80']\ntls: {{mode: off}}\nrelay: {relay}\n",
                20_190 + index
            );
            texts.insert(format!("edges/{name}.yaml"), text);
        }
        texts.into_iter().map(|(path, text)| (path, text.into_bytes())).collect()
    }

    /// Its files with something wrong in them, and the service that it is of: one that there is, or a new one; empty where it
    /// is no service's. A backend of that service comes with the fault, at an address that must never be seen.
    pub(crate) fn spoiled(&self, rng: &mut Rng) -> (FileSet, String) {
        let mut files = self.files();
        let services: Vec<&str> = self.services.keys().copied().collect();
        let service = services[rng.usize(..services.len())];
        let bad = |text: &str| ("services/bad.yaml", text.as_bytes().to_vec(), "bad");
        let (path, text, of) = match rng.u8(..11) {
            0 => bad("name: ["),
            1 => bad("name: bad\ndomains: [bad.example.org]\nhelth: {}\n"),
            2 => {
                let text = b"{name: bad, service: nobody, site: dijon, addr: 10.1.0.99, port: 80}".to_vec();
                ("backends/bad.yaml", text, "nobody")
            }
            3 => {
                let text = format!("{{name: bad, service: {service}, site: dijon, addr: 192.0.2.1, port: 80}}");
                ("backends/bad.yaml", text.into(), service)
            }
            4 => ("backends/bad.yaml", poison(service), service),
            5 => ("sites/bad.yaml", b"\xff\xfe\x00".to_vec(), ""),
            6 => bad("a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a]\nc: [*b, *b]\n"),
            7 => bad(&format!("{{name: bad, domains: [{service}.example.org]}}")),
            8 => bad("{name: bad, domains: ['{env.HOME}.example.org']}"),
            9 => bad("{name: bad, domains: [bad.example.org], routing: {policy: priority}}"),
            _ => {
                let path = format!("services/{service}.yaml");
                let mut text = files.get(&path).expect("it has a file").to_vec();
                text.extend_from_slice(b"helth: {}\n");
                files.insert(path, text);
                ("backends/spoiled.yaml", poison(service), service)
            }
        };
        files.insert(path, text);
        let owner = if of.is_empty() { service } else { of };
        files.insert("backends/poison.yaml", poison(owner));
        if path == "backends/spoiled.yaml" {
            files.insert(path, b"# nothing\n".to_vec());
        }
        (files, of.to_owned())
    }

    /// The same without some services.
    pub(crate) fn without(&self, services: &BTreeSet<String>) -> Self {
        let mut left = self.clone();
        left.services.retain(|name, _| !services.contains(*name));
        left.backends.retain(|_, backend| !services.contains(backend.service));
        left
    }

    /// What is left when somebody deletes the wrong folder. All of it may be gone.
    pub(crate) fn emptied(&self, rng: &mut Rng) -> FileSet {
        let kept = match rng.u8(..3) {
            0 => &["sites/"][..],
            1 => &["sites/", "edges/"],
            _ => &[],
        };
        let files = self.files();
        files
            .iter()
            .filter(|(path, _)| kept.iter().any(|it| path.starts_with(it)))
            .map(|(p, b)| (p, b.clone()))
            .collect()
    }
}

/// A backend at the address of spoiled inventories.
fn poison(service: &str) -> Vec<u8> {
    format!("{{name: poison, service: {service}, site: dijon, addr: {POISON}, port: 80}}\n").into_bytes()
}

/// The address of spoiled inventories.
pub(crate) const POISON: &str = "10.1.66.6";

impl Service {
    fn draw(rng: &mut Rng) -> Self {
        let seconds = |rng: &mut Rng, most: u32| rng.u32(1..=most);
        let failback = |rng: &mut Rng, manual: &str| match rng.u8(..3) {
            0 => String::new(),
            1 => format!(", failback: {{after: {}s}}", seconds(rng, 12)),
            _ => manual.to_owned(),
        };
        let page = if rng.u8(..4) == 0 { ", when_all_down: page" } else { "" };
        let mut order: Vec<&str> = SITES.iter().map(|(name, _)| *name).collect();
        rng.shuffle(&mut order);
        let sites = order.join(", ");
        let manual = ", failback: {manual: true}";
        // Refused where a site has fewer.
        let enough = if rng.u8(..4) == 0 { ", min_healthy: 2" } else { "" };
        let routing = match rng.u8(..3) {
            0 => format!("{{policy: spread{}{page}}}", failback(rng, "")),
            1 => format!("{{policy: priority, sites: [{sites}]{enough}{}{page}}}", failback(rng, manual)),
            _ => {
                let (confirm, failback) = (seconds(rng, 8), failback(rng, manual));
                format!("{{policy: single, sites: [{sites}], confirm: {confirm}s{failback}}}")
            }
        };
        let health = format!(
            "{{path: /health, interval: {}s, timeout: 900ms, rise: {}, fall: {}}}",
            rng.u32(1..=3),
            rng.u32(1..=3),
            rng.u32(1..=3)
        );
        Self { routing, health, is_in_maintenance: false }
    }
}
