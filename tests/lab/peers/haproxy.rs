use std::fmt::Write as _;
use std::path::Path;

use crate::process::{Program, find};
use crate::world::{EDGE, World};

/// Checks, redispatch, and retries at the HTTP layer for what is safe. No `on-marked-down shutdown-sessions`: it closes
/// connections of clients whose request would be tried again (30 lost GETs in `wan`, and none without it).
const CONFIG: &str = "\
global
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout connect 250ms
  timeout server 750ms
  timeout tunnel 1h
  timeout http-keep-alive 60s
  timeout check 500ms
  retries 4
  option redispatch 1
  retry-on all-retryable-errors
  default-server check inter 1s fall 2 rise 2
frontend edge
  bind EDGE
  default_backend www
backend www
  balance roundrobin
  option httpchk GET /health
  http-check expect status 200
  http-request disable-l7-retry if METH_POST
";

pub(crate) fn start(world: &World, folder: &Path) -> Program {
    let mut config = CONFIG.replace("EDGE", &EDGE.to_string());
    for backend in world.backends() {
        writeln!(config, "  server {} {}", backend.name, backend.address).expect("a text grows");
    }
    let path = folder.join("haproxy.cfg");
    std::fs::write(&path, config).expect("the run's folder is writable");
    let mut command = world.hub.command(&find("haproxy").expect("it was looked for"));
    // In the foreground, one process.
    Program::start(command.args(["-db", "-f"]).arg(path), folder, "haproxy")
}
