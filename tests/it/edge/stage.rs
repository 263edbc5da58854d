//! The two edges on which every case of the suite is played.

use std::time::{Duration, SystemTime};

use bascule::core::caddy::compare;
use bascule::core::model::{Digest, Timestamp};
use bascule::edge::{AdminSettings, ApplyReport, ApplySettings, CaddyAdmin, Order, apply};
use serde_json::{Value, json};

use crate::support::admin_front::{Edge, Front};
use crate::support::caddy::{Boot, Caddy, Transport};
use crate::support::fake_caddy::FakeCaddy;
use crate::support::port::ReservedPort;
use crate::support::recording_proxy::{self, Proxied};
use crate::support::wait::{SOON, wait_for};

/// A Caddy behind a front.
pub trait Stage: Sized {
    /// What is behind the front.
    type Behind: Edge;

    /// Starts it.
    fn start(boot: Boot) -> impl Future<Output = Self>;

    /// The front that the adapter talks to.
    fn front(&self) -> &Front<Self::Behind>;

    /// What it runs, read past the front.
    fn running(&self) -> impl Future<Output = Value>;

    /// The bytes of its `admin` section, read past the front.
    fn admin_bytes(&self) -> impl Future<Output = String>;

    /// What the service of [`config`] answers at `port`.
    fn served(&self, port: &ReservedPort) -> impl Future<Output = String>;

    /// Starts it again with what it was first started with.
    fn restart(&mut self) -> impl Future<Output = ()>;

    /// Writes past the front, as a person would.
    async fn write_apps(&self, apps: &Value) {
        self.front().edge().write_apps(apps).await;
    }

    /// Applies with short deadlines.
    async fn apply(&self, rendered: &Value) -> ApplyReport {
        self.apply_knowing(rendered, &[]).await
    }

    /// Applies, knowing what was pushed before.
    async fn apply_knowing(&self, rendered: &Value, own: &[Digest]) -> ApplyReport {
        let admin = CaddyAdmin::new(self.front().address().clone(), quick()).expect("a client can be made");
        apply(&admin, Order { rendered, instead: None, own }, &ApplySettings::default(), now).await
    }
}

/// Deadlines for tests: long enough for a busy machine, short enough to be waited for.
pub fn quick() -> AdminSettings {
    AdminSettings {
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(2),
        load_timeout: Duration::from_secs(4),
        answer_bytes_max: 1 << 20,
    }
}

/// The system's clock.
pub fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// A configuration with one service on `port` that answers `body`.
pub fn config(port: &ReservedPort, body: &str) -> Value {
    json!({ "apps": apps(port, body) })
}

/// The `apps` of [`config`].
pub fn apps(port: &ReservedPort, body: &str) -> Value {
    json!({"http": {"servers": {"main": {
        "listen": [format!("127.0.0.1:{}", port.get())],
        "automatic_https": {"disable": true},
        // Measured on 2.11.7: comes back as 200 and 30000000000.
        "idle_timeout": 30_000_000_000_u64,
        "routes": [{"@id": "svc-a", "handle": [{"handler": "static_response", "body": body, "status_code": 200.0}]}],
    }}}})
}

/// Started with nothing: what it runs is `null`.
pub fn without_config() -> Boot {
    Boot::default()
}

/// Started with this configuration.
pub fn with_config(config: Value) -> Boot {
    Boot { transport: Transport::Tcp, config: Some(config) }
}

/// Identity of a configuration.
pub fn digest(config: &Value) -> Digest {
    compare::digest(config)
}

/// A fake Caddy.
pub struct FakeStage {
    front: Front<FakeCaddy>,
    _dir: tempfile::TempDir,
}

impl Stage for FakeStage {
    type Behind = FakeCaddy;

    async fn start(boot: Boot) -> Self {
        let dir = tempfile::tempdir().expect("a temp dir can be made");
        let base = match boot.config {
            None => Value::Null,
            Some(mut config) => {
                config["admin"]["listen"] = json!("127.0.0.1:2019");
                config
            }
        };
        let fake = FakeCaddy::new(base);
        let front = match boot.transport {
            Transport::Tcp => Front::on_tcp(fake).await,
            Transport::Unix => Front::on_unix(fake, &dir.path().join("admin.sock")),
        };
        Self { front, _dir: dir }
    }

    fn front(&self) -> &Front<FakeCaddy> {
        &self.front
    }

    async fn running(&self) -> Value {
        self.front.edge().config()
    }

    async fn admin_bytes(&self) -> String {
        self.front.edge().config()["admin"].to_string()
    }

    async fn served(&self, _port: &ReservedPort) -> String {
        let body = self.front.edge().config();
        let body = body.pointer("/apps/http/servers/main/routes/0/handle/0/body");
        body.and_then(Value::as_str).expect("the service is there").to_owned()
    }

    async fn restart(&mut self) {
        self.front.edge().restart();
    }
}

/// A real Caddy.
pub struct RealStage {
    front: Front<Proxied>,
    caddy: Caddy,
}

impl Stage for RealStage {
    type Behind = Proxied;

    async fn start(boot: Boot) -> Self {
        let caddy = Caddy::start_with(boot).await;
        Self { front: recording_proxy::before(&caddy).await, caddy }
    }

    fn front(&self) -> &Front<Proxied> {
        &self.front
    }

    async fn running(&self) -> Value {
        self.caddy.access().config().await
    }

    async fn admin_bytes(&self) -> String {
        self.caddy.access().get("/config/admin").await
    }

    async fn served(&self, port: &ReservedPort) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let url = format!("http://127.0.0.1:{}/", port.get());
        // A new connection may be lost while Caddy changes configurations.
        wait_for("the service to answer", SOON, || async { client.get(&url).send().await.ok()?.text().await.ok() })
            .await
    }

    async fn restart(&mut self) {
        self.caddy.restart().await;
    }
}
