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
}

/// Puts a recording front before Caddy, with the same transport.
pub async fn before(caddy: &Caddy) -> Front<Proxied> {
    let edge = Proxied { access: caddy.access().clone(), front_host: Mutex::default() };
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
    /// The request as Caddy gets it.
    fn raw(&self, request: &Request) -> Vec<u8> {
        let Request { method, path, headers, body } = request;
        let front_host = self.front_host.lock().expect("never poisoned").clone();
        let mut raw = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers.iter().filter(|(name, _)| name != "connection") {
            let value = match &front_host {
                Some(front) if name == "host" || name == "origin" => value.replace(front, self.access.host()),
                _ => value.clone(),
            };
            raw.extend([name, ": ", &value, "\r\n"]);
        }
        raw.push_str("\r\n");
        let mut raw = raw.into_bytes();
        raw.extend_from_slice(body);
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
