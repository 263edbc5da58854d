//! A real Caddy that takes rendered configurations without touching the network.

use serde_json::{Value, json};

use crate::support::caddy::{Boot, Caddy};
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

/// Where nobody listens, for a certificate authority that must not be asked.
const NOWHERE: &str = "https://127.0.0.1:9/directory";

/// A Caddy whose servers listen on sockets in its own folder.
pub(super) struct RealCaddy {
    caddy: Caddy,
    port: ReservedPort,
}

impl RealCaddy {
    pub(super) async fn start() -> Self {
        let boot = Boot { config: Some(json!({"apps": {}})), ..Boot::default() };
        Self { caddy: Caddy::start_with(boot).await, port: ReservedPort::take() }
    }

    /// Loads a rendered configuration, which must be taken as it is, but for where it listens and whom it asks for
    /// certificates.
    pub(super) async fn load(&self, name: &str, mut config: Value) {
        let mut number = 0;
        for (_, server) in config["apps"]["http"]["servers"].as_object_mut().expect("servers") {
            for listen in server["listen"].as_array_mut().expect("addresses") {
                number += 1;
                *listen = json!(format!("unix/{}/{number}.sock", self.caddy.dir().display()));
            }
        }
        assert!(number > 0, "{name} listens nowhere");
        if let Some(issuer) = config.pointer_mut("/apps/tls/automation/policies/0/issuers/0")
            && issuer["module"] == "acme"
        {
            issuer["ca"] = json!(NOWHERE);
        }
        eprintln!("loading {name}");
        self.caddy.access().write_apps(&config["apps"]).await;
    }

    /// Loads a plain configuration whose routes answer with their own `@id`, on a port.
    pub(super) async fn load_answering(&self, mut config: Value) {
        let server = &mut config["apps"]["http"]["servers"]["bascule-http"];
        server["listen"] = json!([format!("127.0.0.1:{}", self.port.get())]);
        for route in server["routes"].as_array_mut().expect("routes") {
            let body = route.get("@id").cloned().unwrap_or_else(|| json!("nobody"));
            route["handle"] = json!([{"handler": "static_response", "status_code": 200, "body": body}]);
        }
        self.caddy.access().write_apps(&config["apps"]).await;
    }

    /// Who answers a request, after [`Self::load_answering`].
    pub(super) async fn answer(&self, client: &reqwest::Client, host: &str, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port.get());
        // A load may close a connection without an answer; whoever asks again over a new one gets it.
        wait_for("Caddy's answer", SOON, || async {
            client.get(&url).header("host", host).send().await.ok()?.text().await.ok()
        })
        .await
    }
}
