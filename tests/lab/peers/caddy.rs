use std::path::Path;

use serde_json::{Value, json};

use crate::actors::caddy_program;
use crate::process::Program;
use crate::world::{EDGE, World};

/// Active checks and nothing else, as in the documentation's first example of them.
pub(crate) fn plain(world: &World, folder: &Path) -> Program {
    let proxy = proxy(world, &json!({ "active": active() }), &json!({ "protocol": "http" }));
    start(world, folder, &json!([{ "handle": [proxy] }]))
}

/// With passive checks, short dials, a limit for the answer's head, and retries of what is safe to retry; the rest is waited
/// for, as Bascule has it, by a second handler.
pub(crate) fn tuned(world: &World, folder: &Path) -> Program {
    let checks = json!({ "active": active(), "passive": { "fail_duration": "10s", "max_fails": 1 } });
    let safe_methods = json!(["GET", "HEAD", "OPTIONS"]);
    let balancing = json!({
        "selection_policy": { "policy": "round_robin" },
        "retries": 8,
        "retry_match": [{
            "method": safe_methods,
            "expression": "{http.reverse_proxy.is_transport_error} == true || \
                           {http.reverse_proxy.status_code} in [500, 502, 503, 504]",
        }],
    });
    let [hurried, patient] = ["750ms", "8s"].map(|patience| {
        let transport = json!({ "protocol": "http", "dial_timeout": "250ms", "response_header_timeout": patience });
        let mut proxy = proxy(world, &checks, &transport);
        proxy["load_balancing"] = balancing.clone();
        proxy
    });
    let is_safe = json!({ "method": safe_methods });
    let routes = json!([{ "match": [is_safe], "handle": [hurried], "terminal": true }, { "handle": [patient] }]);
    start(world, folder, &routes)
}

fn active() -> Value {
    json!({ "uri": "/health", "interval": "1s", "timeout": "500ms", "passes": 2, "fails": 2 })
}

fn proxy(world: &World, checks: &Value, transport: &Value) -> Value {
    let upstreams: Vec<_> = world.backends().map(|it| json!({ "dial": it.address.to_string() })).collect();
    json!({
        "handler": "reverse_proxy",
        "upstreams": upstreams,
        "health_checks": checks,
        "transport": transport,
    })
}

fn start(world: &World, folder: &Path, routes: &Value) -> Program {
    let server = json!({
        "listen": [EDGE.to_string()],
        "automatic_https": { "disable": true },
        "routes": routes,
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
