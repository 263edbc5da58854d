//! Inventories as values: drawn, changed as somebody would commit it, and written as YAML.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use bascule::core::model::FileSet;
use fastrand::Rng;

/// Sites with the second part of their addresses, which are of loopback.
const SITES: [(&str, u8); 4] = [("dijon", 1), ("thory", 2), ("lyon", 3), ("nantes", 4)];
const SERVICES: [&str; 6] = ["api", "blog", "cron", "docs", "shop", "www"];
const TAGS: [&str; 2] = ["ssd", "disk"];

#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// How many of the sites there are.
    sites: usize,
    at_work: Option<usize>,
    services: BTreeMap<&'static str, Service>,
    pub(super) backends: BTreeMap<String, Backend>,
    /// How many edges there are.
    edges: usize,
}

#[derive(Debug, Clone)]
struct Service {
    routing: String,
    health: String,
    version: u32,
    is_in_maintenance: bool,
    is_critical: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Backend {
    service: &'static str,
    site: usize,
    host: u8,
    /// Where it really listens, in place of its own address.
    pub(super) address: Option<SocketAddr>,
    weight: u32,
    tag: &'static str,
    state: &'static str,
}

impl Backend {
    /// Its address, of its site's network.
    pub(super) fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, SITES[self.site].1, 0, self.host)
    }
}

impl Draft {
    /// Draws an inventory. Some rule may refuse it.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let sites = rng.usize(2..=4);
        let mut draft = Self {
            sites,
            at_work: (rng.u8(..8) == 0).then(|| rng.usize(..sites)),
            services: BTreeMap::new(),
            backends: BTreeMap::new(),
            edges: rng.usize(1..=2),
        };
        for _ in 0..rng.usize(1..=6) {
            draft.add_service(rng);
        }
        draft
    }

    /// Makes one to four changes, as somebody would commit them. The outcome may be refused.
    pub(super) fn changed(&self, rng: &mut Rng) -> Self {
        let mut draft = self.clone();
        for _ in 0..rng.usize(1..=4) {
            draft.change(rng);
        }
        draft
    }

    fn add_service(&mut self, rng: &mut Rng) {
        let name = SERVICES[rng.usize(..SERVICES.len())];
        if self.services.contains_key(name) {
            return;
        }
        self.services.insert(name, Service::draw(self.sites, rng));
        for _ in 0..rng.usize(1..=5) {
            self.add_backend(name, rng);
        }
    }

    fn add_backend(&mut self, service: &'static str, rng: &mut Rng) {
        let number = (1..1000).find(|number| !self.backends.contains_key(&format!("{service}-{number}")));
        let host = (1..=250).find(|host| self.backends.values().all(|backend| backend.host != *host));
        let (Some(number), Some(host)) = (number, host) else { return };
        let state = *rng.choice(["active", "active", "active", "active", "drain", "disabled"].iter()).expect("states");
        let weight = *rng.choice([1, 1, 1, 2, 3, 7, 0].iter()).expect("weights");
        let tag = TAGS[rng.usize(..TAGS.len())];
        let backend = Backend { service, site: rng.usize(..self.sites), host, address: None, weight, tag, state };
        self.backends.insert(format!("{service}-{number}"), backend);
    }

    fn change(&mut self, rng: &mut Rng) {
        let services: Vec<&'static str> = self.services.keys().copied().collect();
        let service = services[rng.usize(..services.len())];
        let names: Vec<String> = self.backends.keys().cloned().collect();
        let name = names.get(rng.usize(..names.len().max(1))).cloned().unwrap_or_default();
        let mut backend = self.backends.get_mut(&name);
        match (rng.u8(..14), &mut backend) {
            (0, _) => self.add_service(rng),
            (1, _) if services.len() > 1 => {
                self.services.remove(service);
                self.backends.retain(|_, backend| backend.service != service);
            }
            (2 | 3, _) => self.add_backend(service, rng),
            (4, _) => drop(self.backends.remove(&name)),
            (5, Some(backend)) => backend.state = rng.choice(["active", "drain", "disabled"].iter()).expect("states"),
            (6, Some(backend)) => backend.weight = rng.u32(0..=4),
            (7, Some(backend)) => backend.tag = TAGS[rng.usize(..TAGS.len())],
            (8, Some(backend)) => backend.site = rng.usize(..self.sites),
            (9, _) => drop(self.services.insert(service, Service::draw(self.sites, rng))),
            (10, _) => {
                self.services.entry(service).and_modify(|it| it.is_in_maintenance = !it.is_in_maintenance);
            }
            (11, _) => self.at_work = if self.at_work.is_some() { None } else { Some(rng.usize(..self.sites)) },
            (12, _) => self.edges = rng.usize(1..=2),
            _ => _ = self.services.entry(service).and_modify(|it| it.version += 1),
        }
    }

    /// Its files.
    pub(super) fn files(&self) -> FileSet {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for (index, (name, octet)) in SITES[..self.sites].iter().enumerate() {
            let maintenance = self.at_work == Some(index);
            let text = format!("name: {name}\nsubnets: [127.{octet}.0.0/16]\nmaintenance: {maintenance}\n");
            texts.insert(format!("sites/{name}.yaml"), text);
        }
        for (name, service) in &self.services {
            let Service { routing, health, version, is_in_maintenance, is_critical } = service;
            let text = format!(
                "name: {name}\ndomains: [{name}.example.org, v{version}.{name}.example.org]\nhealth: {health}\nrouting: \
                 {routing}\nmaintenance: {is_in_maintenance}\ncritical: {is_critical}\n"
            );
            texts.insert(format!("services/{name}.yaml"), text);
        }
        let mut backends = String::new();
        for (name, backend) in &self.backends {
            let Backend { service, site, address, weight, tag, state, .. } = backend;
            let address = address.unwrap_or_else(|| (backend.ip(), 80).into());
            let (site, addr, port) = (SITES[*site].0, address.ip(), address.port());
            let _ = writeln!(
                backends,
                "---\n{{name: {name}, service: {service}, site: {site}, addr: {addr}, port: {port}, weight: {weight}, tags: \
                 [{tag}], state: {state}}}"
            );
        }
        texts.insert("backends/all.yaml".to_owned(), backends);
        for (index, name) in ["ovh", "gandi"][..self.edges].iter().enumerate() {
            // The first learns of verdicts by pushes alone.
            let (port, relay) = (2019 + index, index > 0);
            let text = format!(
                "name: {name}\nadmin: http://127.0.0.1:{port}\nlisten: [':8080']\ntls: {{mode: off}}\nrelay: {{enabled: \
                 {relay}}}\n"
            );
            texts.insert(format!("edges/{name}.yaml"), text);
        }
        texts.into_iter().map(|(path, text)| (path, text.into_bytes())).collect()
    }
}

impl Service {
    fn draw(sites: usize, rng: &mut Rng) -> Self {
        let mut one_of = |texts: &[&str]| texts[rng.usize(..texts.len())].to_owned();
        let failback = one_of(&["", "", ", failback: {after: 20s}", ", failback: {after: 90s}"]);
        let page = one_of(&["", "", "", ", when_all_down: page"]);
        let guard = one_of(&["", "", ", guard: {min_healthy: 1}", ", guard: {min_healthy: 50%}"]);
        let slow = one_of(&["", "", ", slow_start: 30s"]);
        let sticky = one_of(&["", "", ", sticky: cookie", ", sticky: client_address", ", sticky: header:X-Tenant"]);
        let returning = one_of(&["", "", ", failback: {manual: true}", ", failback: {after: 20s, ramp: 30s}"]);
        let alone = one_of(&["", ", failback: {after: 20s}", ", failback: {manual: true}"]);
        let enough = one_of(&["", "", "", ", min_healthy: 2"]);
        let health = one_of(&[
            "{path: /health, interval: 1s, rise: 1, fall: 1}",
            "{path: /health, interval: 2s, rise: 2, fall: 3}",
            "{type: tcp, interval: 3s}",
            "{path: /health, interval: 1s, fast_interval: 500ms, report: true}",
        ]);
        let mut order: Vec<&str> = SITES[..sites].iter().map(|(name, _)| *name).collect();
        rng.shuffle(&mut order);
        let tiers = if rng.bool() { format!("sites: [{}]", order.join(", ")) } else { "tags: [ssd, disk]".to_owned() };
        let confirm = rng.u32(1..=9);
        let routing = match rng.u8(..4) {
            0 | 1 => format!("{{policy: spread{failback}{page}{guard}{slow}{sticky}}}"),
            2 => format!("{{policy: priority, {tiers}{enough}{returning}{page}{guard}{slow}{sticky}}}"),
            _ => format!("{{policy: single, {tiers}, confirm: {confirm}s{alone}{page}}}"),
        };
        Self { routing, health, version: 1, is_in_maintenance: rng.u8(..10) == 0, is_critical: rng.u8(..4) == 0 }
    }
}
