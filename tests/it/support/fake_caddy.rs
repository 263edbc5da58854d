//! A Caddy without a Caddy: its admin API's answers as 2.11.7 gives them (measured), behind the same front as a real one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bascule::core::caddy::compare::canonical_bytes;
use bascule::core::model::Digest;
use serde_json::{Value, json};

use super::admin_front::{Edge, Front, Request};

/// The key that this Caddy does not know, wherever it stands.
pub const UNKNOWN_FIELD: &str = "no_such_field";

/// What a fake Caddy knows.
pub struct FakeCaddy {
    state: Mutex<State>,
}

struct State {
    config: Value,
    /// What it was started with.
    base: Value,
    /// Why every further configuration is rejected.
    reject: Option<String>,
}

impl FakeCaddy {
    /// A Caddy that was started with this configuration.
    pub fn new(base: Value) -> Self {
        Self { state: Mutex::new(State { config: base.clone(), base, reject: None }) }
    }

    /// The same, listening on a free port.
    pub async fn listen(base: Value) -> Front<Self> {
        Front::on_tcp(Self::new(base)).await
    }

    /// What it runs.
    pub fn config(&self) -> Value {
        self.state().config.clone()
    }

    /// Starts it again: what was pushed is gone.
    pub fn restart(&self) {
        let mut state = self.state();
        state.config = state.base.clone();
    }

    /// Replaces `apps` as a person with curl would.
    pub fn tamper(&self, apps: &Value) {
        let mut state = self.state();
        if state.config.is_null() {
            state.config = json!({});
        }
        state.config["apps"] = apps.clone();
    }

    /// Rejects every configuration from now on with this message.
    pub fn reject_with(&self, message: &str) {
        self.state().reject = Some(message.to_owned());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edge for FakeCaddy {
    async fn answer(&self, request: &Request) -> Vec<u8> {
        let mut state = self.state();
        if let Err(refusal) = check_origin(&state.config["admin"], request) {
            return refusal;
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/config/") => {
                let body = stored(&state.config);
                answer(200, &[("Content-Type", "application/json"), ("Etag", &etag(&state.config))], &body)
            }
            ("POST", "/config/") => match state.load(request) {
                Ok(()) => answer(200, &[], ""),
                Err((status, message)) => refuse(status, &message),
            },
            _ => answer(404, &[("Content-Type", "text/plain; charset=utf-8")], "404 page not found\n"),
        }
    }

    async fn write_apps(&self, apps: &Value) {
        self.tamper(apps);
    }
}

impl State {
    fn load(&mut self, request: &Request) -> Result<(), (u16, String)> {
        let refuse = |status, message: &str| Err((status, message.to_owned()));
        let content_type = request.header("content-type").unwrap_or_default();
        if !content_type.contains("/json") {
            return refuse(400, &format!("unacceptable content-type: {content_type}; 'application/json' required"));
        }
        if let Some(tag) = request.header("if-match") {
            let words = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).map(|tag| tag.split(' ').count());
            match words {
                None => return refuse(400, "malformed If-Match header; expect quoted string"),
                Some(2) if tag == etag(&self.config) => {}
                Some(2) => return refuse(412, "If-Match header did not match current config hash"),
                Some(_) => return refuse(400, "malformed If-Match header; expect format \"<path> <hash>\""),
            }
        }
        let Ok(config) = serde_json::from_slice::<Value>(&request.body) else {
            return refuse(500, "decoding request body: unexpected end of JSON input, at offset 8");
        };
        if let Some(message) = &self.reject {
            return refuse(500, message);
        }
        if has_key(&config, UNKNOWN_FIELD) {
            let message =
                "loading new config: loading http app module: decoding module config: http: json: unknown field";
            return refuse(500, &format!("{message} \"{UNKNOWN_FIELD}\""));
        }
        self.config = config;
        Ok(())
    }
}

/// What Caddy demands of a client where `enforce_origin` is set or an `Origin` is sent.
fn check_origin(admin: &Value, request: &Request) -> Result<(), Vec<u8>> {
    let origin = request.header("origin");
    let enforced = admin["enforce_origin"] == json!(true);
    if !enforced && origin.is_none() {
        return Ok(());
    }
    let origin = origin.unwrap_or_default();
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    // Its own name always counts as listed: the fake does not know under which one it will be reached.
    let is_own = request.header("host") == Some(host);
    let listed = admin["origins"].as_array().is_some_and(|origins| origins.iter().any(|known| *known == json!(host)));
    if is_own || listed {
        return Ok(());
    }
    Err(refuse(403, &format!("client is not allowed to access from origin '{origin}'")))
}

/// A configuration as Caddy gives it back: keys sorted, numbers as floats, `<`, `>` and `&` escaped.
fn stored(config: &Value) -> String {
    let text = String::from_utf8(canonical_bytes(config)).expect("JSON is UTF-8");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026") + "\n"
}

fn etag(config: &Value) -> String {
    let digest = Digest::of(stored(config).as_bytes());
    format!("\"/config/ {}\"", &digest.as_str()[..16])
}

fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(entries) => entries.iter().any(|(known, value)| known == key || has_key(value, key)),
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        _ => false,
    }
}

fn refuse(status: u16, message: &str) -> Vec<u8> {
    let body = json!({ "error": message }).to_string() + "\n";
    answer(status, &[("Content-Type", "application/json")], &body)
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    (text + "\r\n" + body).into_bytes()
}
