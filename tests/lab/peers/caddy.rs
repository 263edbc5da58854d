use std::path::Path;

use serde_json::{Value, json};

use crate::actors::caddy_program;
use crate::process::Program;
use crate::world::{EDGE, World};

/// Active checks and nothing else, as in the documentation's first example of them.
pub(crate) fn plain(world: &World, folder: &Path) -> Program {
    start(world, folder, &json!({ "active": active() }), None, &json!({ "protocol": "http" }))
}

/// With passive checks, short dials, a limit for the answer's head, and retries of what is safe to retry.
pub(crate) fn tuned(world: &World, folder: &Path) -> Program {
    let checks = json!({ "active": active(), "passive": { "fail_duration": "10s", "max_fails": 1 } });
    let balancing = json!({
        "selection_policy": { "policy": "round_robin" },
        "retries": 8,
        "retry_match": [{
            "method": ["GET", "HEAD", "OPTIONS"],
            "expression": "{http.reverse_proxy.is_transport_error} == true || \
                           {http.reverse_proxy.status_code} in [500, 502, 503, 504]",
        }],
    });
    let transport = json!({ "protocol": "http", "dial_timeout": "250ms", "response_header_timeout": "750ms" });
    start(world, folder, &checks, Some(balancing), &transport)
}

fn active() -> Value {
    json!({ "uri": "/health", "interval": "1s", "timeout": "500ms", "passes": 2, "fails": 2 })
}

fn start(world: &World, folder: &Path, checks: &Value, balancing: Option<Value>, transport: &Value) -> Program {
    let upstreams: Vec<_> = world.backends().map(|it| json!({ "dial": it.address.to_string() })).collect();
    let mut proxy = json!({
        "handler": "reverse_proxy",
        "upstreams": upstreams,
        "health_checks": checks,
        "transport": transport,
    });
    if let Some(balancing) = balancing {
        proxy["load_balancing"] = balancing;
    }
    let server = json!({
        "listen": [EDGE.to_string()],
        "automatic_https": { "disable": true },
        "routes": [{ "handle": [proxy] }],
    });
    let config = json!({ "admin": { "disabled": true }, "apps": { "http": { "servers": { "edge": server } } } });
    let path = folder.join("caddy.json");
    std::fs::write(&path, config.to_string()).expect("the run's folder is writable");
    let mut command = world.hub.command(&caddy_program());
    command
        .args(["run", "--config"])
        .arg(path)
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"));
    Program::start(&mut command, folder, "caddy")
}
