use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::process::{Program, find};
use crate::world::{EDGE, World};

/// The one that `make peers` has obtained, else one on `PATH`.
pub(crate) fn program() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/peers/bin/envoy");
    if own.is_file() { Some(own) } else { find("envoy") }
}

/// Active checks, outlier detection, retries on another host; connections of a dead host are closed.
pub(crate) fn start(world: &World, folder: &Path) -> Program {
    let config = json!({ "static_resources": { "listeners": [listener()], "clusters": [cluster(world)] } });
    let path = folder.join("envoy.json");
    std::fs::write(&path, config.to_string()).expect("the run's folder is writable");
    let mut command = world.hub.command(&program().expect("it was looked for"));
    // What hot restarts need is shared by all Envoys of a machine.
    command.args(["--disable-hot-restart", "--log-level", "warn", "--config-path"]).arg(path);
    command.env("HOME", folder);
    Program::start(&mut command, folder, "envoy")
}

fn listener() -> Value {
    let another_host = json!([{
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
        },
    }]);
    // Streams have no end, so no timeout for the whole of a request: the one between bytes finds a silent backend.
    let route = |retry_on: &str| {
        json!({
            "cluster": "www",
            "timeout": "0s",
            "idle_timeout": "60s",
            "retry_policy": {
                "retry_on": retry_on,
                "num_retries": 4,
                "per_try_idle_timeout": "0.75s",
                "retry_host_predicate": another_host,
                "host_selection_retry_max_attempts": 5,
                "retry_back_off": { "base_interval": "0.01s", "max_interval": "0.1s" },
            },
        })
    };
    let is_post = json!({ "prefix": "/", "headers": [{ "name": ":method", "string_match": { "exact": "POST" } }] });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "stream_idle_timeout": "60s",
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [
                { "match": is_post, "route": route("connect-failure,refused-stream") },
                { "match": { "prefix": "/" }, "route": route("connect-failure,refused-stream,reset,5xx") },
            ],
        }] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }],
    });
    let chain =
        json!({ "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }] });
    json!({ "address": address(&EDGE), "filter_chains": [chain] })
}

fn cluster(world: &World) -> Value {
    let endpoints: Vec<_> =
        world.backends().map(|it| json!({ "endpoint": { "address": address(&it.address) } })).collect();
    json!({
        "name": "www",
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "lb_policy": "ROUND_ROBIN",
        // The default is three retries at a time for the whole cluster, fewer than a cut needs.
        "circuit_breakers": { "thresholds": [{ "max_retries": 1000 }] },
        "close_connections_on_host_health_failure": true,
        "health_checks": [{
            "timeout": "0.5s",
            "interval": "1s",
            "unhealthy_threshold": 2,
            "healthy_threshold": 2,
            // Without it, a check of a cluster that had no traffic yet waits for a minute.
            "no_traffic_interval": "1s",
            "http_health_check": { "path": "/health" },
        }],
        "outlier_detection": { "consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "10s" },
        "load_assignment": { "cluster_name": "www", "endpoints": [{ "lb_endpoints": endpoints }] },
    })
}

fn address(address: &std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
