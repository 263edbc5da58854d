use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, bail};

use crate::core::model::BASCULE_RELAY_PORT;

/// Sites with the third byte of their loopback network.
pub(super) const SITES: [(&str, u8); 2] = [("dijon", 1), ("thory", 2)];
/// Every backend that the demonstration may start, by site and number. Each has an address of its own.
const BACKENDS: [(&str, u8); 3] = [("dijon", 1), ("dijon", 2), ("thory", 1)];
/// How many ports are tried that the system gives, before it is said that none is free on every address.
const TRIES: usize = 100;

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// The edge's public address.
    pub(super) edge: SocketAddr,
    /// The controller's API.
    pub(super) api: SocketAddr,
    /// Caddy's admin API.
    pub(super) admin: SocketAddr,
    /// Where the controller answers the verdict relay.
    pub(super) relay: SocketAddr,
    /// Where the relay listens inside Caddy.
    pub(super) caddy_relay: SocketAddr,
    /// The port of every backend.
    backend_port: u16,
}

impl Places {
    /// Usual ports where they are free, others where they are not; the edge's may be asked for.
    pub(super) fn find(edge_port: Option<u16>) -> anyhow::Result<Self> {
        let loopback = [Ipv4Addr::LOCALHOST];
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let edge = match edge_port {
            None => free_port(&loopback, 8080)?,
            Some(port) => listen(&loopback, port).with_context(|| {
                format!(
                    "port {port} of 127.0.0.1 cannot be the edge's; name another with `--port`, or leave `--port` out"
                )
            })?,
        };
        let backends: Vec<_> =
            BACKENDS.iter().map(|(site, number)| ip(site, *number)).collect::<anyhow::Result<_>>()?;
        let backend_port = free_port(&backends, 18_080)?;
        Ok(Self {
            edge: at(edge),
            api: at(free_port(&loopback, 7500)?),
            admin: at(free_port(&loopback, 2019)?),
            relay: at(free_port(&loopback, BASCULE_RELAY_PORT.get())?),
            caddy_relay: at(free_port(&loopback, 2020)?),
            backend_port,
        })
    }

    /// Where a backend listens.
    pub(super) fn backend(&self, site: &str, number: u8) -> anyhow::Result<SocketAddr> {
        Ok(SocketAddr::from((ip(site, number)?, self.backend_port)))
    }

    /// A backend as the inventory declares it.
    pub(super) fn backend_document(&self, site: &str, number: u8) -> anyhow::Result<String> {
        let address = self.backend(site, number)?;
        let name = backend_name(site, number);
        Ok(format!("service: api\nname: {name}\nsite: {site}\naddr: {}\nport: {}\n", address.ip(), address.port()))
    }
}

pub(super) fn backend_name(site: &str, number: u8) -> String {
    format!("api-{site}-{number}")
}

fn ip(site: &str, number: u8) -> anyhow::Result<Ipv4Addr> {
    let (_, network) = SITES.iter().find(|(name, _)| *name == site).with_context(|| format!("no site {site}"))?;
    Ok(Ipv4Addr::new(127, 0, *network, 10 + number))
}

/// The usual port where it is free on all of these addresses, else another that is.
fn free_port(addresses: &[Ipv4Addr], usual: u16) -> anyhow::Result<u16> {
    let mut failure = match listen(addresses, usual) {
        Ok(port) => return Ok(port),
        Err(error) => error,
    };
    for _ in 0..TRIES {
        match listen(addresses, 0) {
            Ok(port) => return Ok(port),
            Err(error) => failure = error,
        }
    }
    Err(failure.context("no port is free for the demonstration"))
}

/// Tries to listen on all of these addresses with one port: 0 is whatever the first of them gets.
fn listen(addresses: &[Ipv4Addr], port: u16) -> anyhow::Result<u16> {
    let mut port = port;
    // All are held until the last one is tried.
    let mut listeners = Vec::new();
    for address in addresses {
        let place = SocketAddr::from((*address, port));
        let listener = TcpListener::bind(place).with_context(|| format!("cannot listen on {place}"))?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    if listeners.is_empty() {
        bail!("no address to listen on");
    }
    Ok(port)
}
