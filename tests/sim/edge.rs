//! A Caddy, as far as it matters to whoever configures it: its configuration and the tag of it, what its checks have found
//! (and forget at every load), and its faults.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bascule::controller::Answering;
use bascule::core::caddy::compare;
use bascule::core::routing::Plan;
use bascule::edge::Asked;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::{Active, Config, Found, list};
use super::request::{End, Kind, Request};
use super::truth::{Condition, Truth, Vantage};

/// How often the checks of an edge are looked at; the shortest interval that is rendered.
pub(crate) const CHECK_LOOK: Duration = Duration::from_millis(250);

/// Whether an edge's admin API answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Answers,
    /// The process is gone, and with it all that it serves.
    Down,
    /// It serves, and its admin API takes requests and never answers.
    Hung,
}

/// Whose configuration an edge runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    Bascule,
    /// Nobody's, or somebody else's.
    Other,
}

pub(crate) struct Edge {
    pub(crate) name: &'static str,
    pub(crate) json: Value,
    pub(crate) config: Config,
    pub(crate) author: Author,
    pub(crate) reach: Reach,
    /// Configurations are refused until then.
    pub(crate) rejects_until: Option<Instant>,
    /// It takes no other names of this service than these, which it has taken before: others come with something that it
    /// cannot do.
    pub(crate) lacking: Option<(String, Vec<Value>)>,
    /// The services that it may have as they were, since it could not do what came next.
    pub(crate) held: BTreeSet<String>,
    /// It has refused something, and nothing new was taken since: it may be put back to what it had.
    pub(crate) has_rejected: bool,
    /// What it has refused last, and said so, while nothing else was sent; and the plan of that moment.
    pub(crate) refused: Option<(Value, Arc<Plan>)>,
    /// Share of answers, in percent, that are lost on their way.
    pub(crate) lost: u8,
    pub(crate) load_ms: u64,
    /// A load is under way.
    pub(crate) is_loading: bool,
    /// When bascule's newest writes came, oldest first.
    pub(crate) writes: VecDeque<Instant>,
    /// How many came.
    pub(crate) written: u64,
    /// When something was last wrong with it.
    pub(crate) troubled_at: Instant,
    /// Configurations that bascule put there, for a second writer to put back.
    pub(crate) past: Vec<Value>,
    due: BTreeMap<usize, Instant>,
    failed_until: BTreeMap<SocketAddr, Instant>,
    loads: u64,
}

impl Edge {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            json: Value::Null,
            config: Config::default(),
            author: Author::Other,
            reach: Reach::Answers,
            rejects_until: None,
            lacking: None,
            held: BTreeSet::new(),
            has_rejected: false,
            refused: None,
            lost: 0,
            load_ms: 20,
            is_loading: false,
            writes: VecDeque::new(),
            written: 0,
            troubled_at: Instant::now(),
            past: Vec::new(),
            due: BTreeMap::new(),
            failed_until: BTreeMap::new(),
            loads: 0,
        }
    }

    pub(crate) fn etag(&self) -> String {
        format!("\"/config/ {}\"", compare::digest(&json!([self.json])).short())
    }

    pub(crate) fn rejects(&self) -> bool {
        self.rejects_until.is_some_and(|until| until > Instant::now())
    }

    /// Why it refuses a configuration, in Caddy's words; none where it takes it.
    pub(crate) fn refusal(&self, json: &Value) -> Option<String> {
        if self.rejects() {
            return Some("loading new config: out of luck".to_owned());
        }
        let (service, names) = self.lacking.as_ref()?;
        let routes = list(json.pointer(ROUTES)?);
        let is_it = |route: &&Value| route["@id"].as_str() == Some(&format!("service-{service}"));
        let number = routes.iter().position(|route| is_it(&route))?;
        (!names.contains(&names_of(&routes[number]))).then(|| {
            format!(
                "loading new config: loading http app module: provision http: server bascule-http: setting up route \
                 handlers: route {number}: loading handler modules: position 0: unknown module: http.handlers.lacking"
            )
        })
    }

    /// From now on it cannot do what comes of one of its services. Says which one.
    pub(crate) fn lack(&mut self, draw: usize) -> Option<String> {
        let is_settled = self.author == Author::Bascule && !self.is_loading && self.lost == 0;
        let services = |json: &Value| -> Vec<(String, Value)> {
            let routes = json.pointer(ROUTES).map(list).unwrap_or_default();
            let service =
                |route: &Value| Some((route["@id"].as_str()?.strip_prefix("service-")?.to_owned(), names_of(route)));
            routes.iter().filter_map(service).collect()
        };
        let present = services(Some(&self.json).filter(|_| is_settled)?);
        let (lacking, _) = present.get(draw.checked_rem(present.len())?)?.clone();
        let taken = self.past.iter().chain([&self.json]).flat_map(services);
        let names = taken.filter(|(service, _)| *service == lacking).map(|(_, names)| names).collect();
        self.held.insert(lacking.clone());
        self.lacking = Some((lacking.clone(), names));
        Some(lacking)
    }

    /// Runs another configuration. All that checks have found is forgotten; the first checks are made at once.
    pub(crate) fn load(&mut self, json: Value, author: Author, seen: &Seen<'_>) -> Result<(), String> {
        let config = Config::read(&json)?;
        self.json = json;
        self.author = author;
        self.loads += 1;
        self.failed_until.clear();
        let before = std::mem::replace(&mut self.config, config);
        // Through the relay of the configuration before: a check never meets a relay that is not there yet.
        let relay = before.relay.is_some();
        self.due = (0..self.config.proxies.len()).map(|index| (index, Instant::now())).collect();
        if relay || self.config.relay.is_some() {
            self.check(seen);
        }
        Ok(())
    }

    /// Starts anew; with nothing, or with the configuration that it had.
    pub(crate) fn restart(&mut self, is_resumed: bool, seen: &Seen<'_>) {
        self.reach = Reach::Answers;
        let (json, author) = if is_resumed { (self.json.clone(), self.author) } else { (Value::Null, Author::Other) };
        self.load(json, author, seen).expect("it ran it before");
    }

    /// Makes the checks that are due.
    pub(crate) fn check(&mut self, seen: &Seen<'_>) {
        if self.reach == Reach::Down {
            return;
        }
        let now = Instant::now();
        let relay = self.config.relay;
        for (index, proxy) in self.config.proxies.iter_mut().enumerate() {
            let Some(active) = &proxy.active else { continue };
            let due = self.due.entry(index).or_insert(now);
            if *due > now {
                continue;
            }
            *due += active.interval;
            for (upstream, found) in proxy.upstreams.iter().zip(&mut proxy.found) {
                let passes = match (active.is_relayed, relay) {
                    (false, _) => passes(active, 200, seen.truth.of(*upstream, Vantage::Edge)),
                    (true, None) => false,
                    (true, Some(relay)) => seen.passes_by_relay(active, relay.falls_back, *upstream),
                };
                count(found, active, passes);
            }
        }
    }

    /// Sends a request to a service; says where it ended and who has seen it.
    pub(crate) fn request(&mut self, service: &str, kind: Kind, truth: &Truth) -> (End, Vec<SocketAddr>) {
        let (failed_until, sent_to, error) = (&mut self.failed_until, Vec::new(), (0, String::new()));
        let mut request = Request { kind, truth, failed_until, sent_to, error };
        let end = request.run(&mut self.config, service);
        (end, request.sent_to)
    }
}

const ROUTES: &str = "/apps/http/servers/bascule-http/routes";

fn names_of(route: &Value) -> Value {
    list(&route["match"]).iter().map(|matcher| matcher["host"].clone()).collect()
}

/// What the checks of an edge meet.
pub(crate) struct Seen<'w> {
    pub(crate) truth: &'w Truth,
    /// Bascule's answering side; none while it is away.
    pub(crate) answering: Option<&'w Answering>,
}

impl Seen<'_> {
    fn passes_by_relay(&self, active: &Active, falls_back: bool, upstream: SocketAddr) -> bool {
        let header = |name: &str| active.headers.get(name).map(String::as_str);
        let upstream_text = upstream.to_string();
        let asked = Asked {
            edge: header("Bascule-Edge").unwrap_or_default(),
            service: header("Bascule-Service").unwrap_or_default(),
            upstream: &upstream_text,
        };
        let pass = header("Bascule-Pass").and_then(|it| it.parse().ok()).unwrap_or(200);
        match self.answering.and_then(|answering| answering.answer(asked)) {
            Some(true) => passes(active, pass, Condition::Well),
            Some(false) => passes(active, 503, Condition::Well),
            None if !falls_back => false,
            None if header("Bascule-Direct") == Some("nowhere") => true,
            None => passes(active, 200, self.truth.of(upstream, Vantage::Edge)),
        }
    }
}

/// True where an answer of this status, from a backend in this condition, passes a check.
fn passes(active: &Active, status: u64, condition: Condition) -> bool {
    let status = match condition {
        Condition::Well => status,
        Condition::Erring => 503,
        Condition::Refusing | Condition::Hanging | Condition::Vanished => return false,
    };
    match active.expect {
        None => (200..300).contains(&status),
        Some(class) if class < 10 => status / 100 == class,
        Some(expected) => status == expected,
    }
}

/// Caddy's counting, as `doActiveHealthCheck` has it: the counts of both sides go on until the upstream changes sides.
fn count(found: &mut Found, active: &Active, passes: bool) {
    if passes {
        found.passes += 1;
        if found.passes >= active.passes && found.is_unhealthy {
            *found = Found::default();
        }
    } else {
        found.fails += 1;
        if found.fails >= active.fails && !found.is_unhealthy {
            *found = Found { is_unhealthy: true, ..Found::default() };
        }
    }
}
