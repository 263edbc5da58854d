//! An edge of which a part is somebody else's.

use serde_json::{Value, json};

use super::program::bascule;
use super::world::{DOMAIN, World, backend};
use crate::support::caddy::{Boot, Caddy};
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

/// What somebody runs in a Caddy of theirs.
fn theirs(port: &ReservedPort, body: &str) -> Value {
    json!({
        "http": {
            "grace_period": "7s",
            "servers": {
                "shop": {
                    "listen": [format!("127.0.0.1:{}", port.get())],
                    "routes": [{"@id": "theirs", "handle": [{"handler": "static_response", "body": body}]}],
                },
            },
        },
        "tls": {"automation": {"policies": [{"issuers": [{"module": "internal"}], "subjects": ["shop.example.org"]}]}},
    })
}

/// A world in which bascule owns its own servers alone, beside what somebody runs.
async fn scoped(apps: &Value) -> World {
    let config = Some(json!({ "apps": apps }));
    let world = World::beside(Caddy::start_with(Boot { config, ..Boot::default() }).await);
    let (admin, port, relay) = (world.caddy.address(), world.edge_port(), world.relay_line());
    let edge =
        format!("name: ovh\nadmin: {admin}\nscope: server\nlisten: [\"127.0.0.1:{port}\"]\ntls: {{ mode: \"off\" }}\n");
    world.write("edges/ovh.yaml", &format!("{edge}{relay}"));
    world
}

/// The apps that the edge runs, without bascule's own servers.
async fn rest(world: &World) -> Value {
    let mut apps = world.caddy.access().config().await["apps"].take();
    let servers = apps["http"]["servers"].as_object_mut().expect("servers");
    servers.retain(|name, _| !name.starts_with("bascule-"));
    apps
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_caddy_stays_and_others_go_on_writing_to_it() {
    let (port, client) = (ReservedPort::take(), reqwest::Client::builder().no_proxy().build().expect("a client"));
    let first = theirs(&port, "the shop");
    let mut world = scoped(&first).await;
    let shop = || async {
        let asked = client.get(format!("http://127.0.0.1:{}/", port.get())).send().await.ok()?;
        asked.text().await.ok()
    };
    let backends = [backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await];
    world.write_service("api", DOMAIN);
    world.write_backend("api", &backends[0]);
    let id = world.commit_and_push("Declare a service");
    let plan = bascule(&world.path("work"), &["plan"]).stdout;
    assert!(plan.contains("+ server bascule-http"), "{plan}");
    assert!(!plan.contains("shop"), "what is not bascule's is no part of a plan: {plan}");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-dijon-1").await;
    assert_eq!(rest(&world).await, first);
    assert_eq!(shop().await.as_deref(), Some("the shop"));

    // Somebody else writes: that is no drift, and a push of ours leaves it as they wrote it.
    let second = theirs(&port, "the new shop");
    let mut apps = second.clone();
    let ours = world.caddy.access().config().await["apps"]["http"]["servers"]["bascule-http"].take();
    apps["http"]["servers"]["bascule-http"] = ours.clone();
    apps["http"]["servers"]["bascule-relay"] =
        world.caddy.access().config().await["apps"]["http"]["servers"]["bascule-relay"].take();
    world.caddy.access().write_apps(&apps).await;
    world.write_backend("api", &backends[1]);
    let id = world.commit_and_push("Add a backend in thory");
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-thory-1").await;
    assert_eq!(rest(&world).await, second);
    assert_eq!(shop().await.as_deref(), Some("the new shop"));

    // What is bascule's is repaired when they remove it, and only that.
    world.caddy.access().write_apps(&second).await;
    wait_for("the repair", SOON * 3, || async { world.ask().await.ok() }).await;
    assert_eq!(rest(&world).await, second);
}
