//! The front of a real Caddy: what is not a fault goes to Caddy byte for byte.

use std::io;
use std::sync::Mutex;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use bascule::core::model::AdminAddress;

use super::admin_front::{Edge, Front, Request};
use super::caddy::{AdminAccess, Caddy};

/// A real Caddy behind a recording front.
pub struct Proxied {
    access: AdminAccess,
    /// `Host` under which the front is addressed; it is rewritten to Caddy's, and every other `Host` left alone.
    front_host: Mutex<Option<String>>,
    /// What routes have that need a module which this Caddy lacks.
    lacking: Mutex<Option<&'static str>>,
}

/// Puts a recording front before Caddy, with the same transport.
pub async fn before(caddy: &Caddy) -> Front<Proxied> {
    let edge = Proxied { access: caddy.access().clone(), front_host: Mutex::default(), lacking: Mutex::default() };
    match caddy.address() {
        AdminAddress::Tcp { .. } => {
            let front = Front::on_tcp(edge).await;
            if let AdminAddress::Tcp { host, port } = front.address() {
                *front.edge().front_host.lock().expect("never poisoned") = Some(format!("{host}:{port}"));
            }
            front
        }
        AdminAddress::Unix(_) => Front::on_unix(edge, &caddy.dir().join("front.sock")),
    }
}

impl Proxied {
    /// From now on Caddy lacks a module that routes with this text in them need; with none, it has all again.
    pub fn lack(&self, text: Option<&'static str>) {
        *self.lacking.lock().expect("never poisoned") = text;
    }

    /// A configuration as a Caddy without the module takes it: its handler is one that no Caddy has.
    fn without_module(&self, body: &[u8]) -> Vec<u8> {
        let lacking = *self.lacking.lock().expect("never poisoned");
        let config = serde_json::from_slice::<Value>(body).ok();
        let Some((text, mut config)) = lacking.zip(config) else { return body.to_vec() };
        let servers = config["apps"]["http"]["servers"].as_object_mut().into_iter().flat_map(|it| it.values_mut());
        for route in servers.flat_map(|server| server["routes"].as_array_mut().into_iter().flatten()) {
            if route["@id"].is_string() && route["match"][0]["host"].to_string().contains(text) {
                route["handle"] = serde_json::json!([{"handler": "lacking"}]);
            }
        }
        config.to_string().into_bytes()
    }

    /// The request as Caddy gets it.
    fn raw(&self, request: &Request) -> Vec<u8> {
        let Request { method, path, headers, body } = request;
        let body = self.without_module(body);
        let front_host = self.front_host.lock().expect("never poisoned").clone();
        let mut raw = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers.iter().filter(|(name, _)| name != "connection") {
            let value = match &front_host {
                _ if name == "content-length" => body.len().to_string(),
                Some(front) if name == "host" || name == "origin" => value.replace(front, self.access.host()),
                _ => value.clone(),
            };
            raw.extend([name, ": ", &value, "\r\n"]);
        }
        raw.push_str("\r\n");
        let mut raw = raw.into_bytes();
        raw.extend_from_slice(&body);
        raw
    }
}

impl Edge for Proxied {
    async fn answer(&self, request: &Request) -> Vec<u8> {
        let raw = self.raw(request);
        let answer = match self.access.address() {
            AdminAddress::Tcp { host, port } => match TcpStream::connect((host.as_str(), *port)).await {
                Ok(stream) => exchange(stream, &raw).await,
                Err(error) => Err(error),
            },
            AdminAddress::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => exchange(stream, &raw).await,
                Err(error) => Err(error),
            },
        };
        answer.unwrap_or_default()
    }

    async fn write_apps(&self, apps: &Value) {
        self.access.write_apps(apps).await;
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, raw: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(raw).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
