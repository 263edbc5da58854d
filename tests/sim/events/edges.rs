//! What happens to edges, and what somebody else does to them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Kind::{EdgeHangs, EdgeLosesAnswers, EdgeRejects, EdgeRestart, EdgeSlow, SecondWriter};
use super::{Deed, Events, Kind, Undo};
use crate::edge::{Author, Reach};
use crate::inventory::EDGES;
use crate::world::World;

impl Events {
    pub(super) fn edge(&mut self, world: &mut World, kind: Kind) -> Deed {
        let name = EDGES[world.rng.usize(..EDGES.len())];
        world.trouble(name);
        match kind {
            EdgeRestart if world.edge(name).reach != Reach::Down => {
                world.edge(name).reach = Reach::Down;
                let is_resumed = world.rng.bool();
                world.note(&format!("{name} is down; it will be {}", if is_resumed { "resumed" } else { "empty" }));
                self.later(world, (100, 8000), Undo::Restart(name, is_resumed));
            }
            EdgeHangs if world.edge(name).reach == Reach::Answers => {
                world.edge(name).reach = Reach::Hung;
                world.note(&format!("{name}: its admin API hangs"));
                self.later(world, (500, 20_000), Undo::Hang(name));
            }
            EdgeRejects if world.rng.bool() => {
                let draw = world.rng.usize(..60);
                if let Some(service) = world.edge(name).lack(draw) {
                    world.note(&format!("{name} cannot do what comes of {service}"));
                }
            }
            EdgeRejects => {
                let until = Instant::now() + Duration::from_millis(world.rng.u64(500..=15_000));
                world.edge(name).rejects_until = Some(until);
                world.note(&format!("{name} rejects everything for a while"));
            }
            EdgeLosesAnswers => {
                let lost = world.rng.u8(5..=60);
                world.edge(name).lost = lost;
                world.note(&format!("{name}: answers are lost"));
                self.later(world, (500, 20_000), Undo::Lost(name));
            }
            EdgeSlow => {
                let load_ms = world.rng.u64(100..=4000);
                world.edge(name).load_ms = load_ms;
                world.note(&format!("{name}: a load takes {load_ms} ms"));
                self.later(world, (1000, 20_000), Undo::Slow(name));
            }
            SecondWriter => write(world, name),
            _ => {}
        }
        Deed::Nothing
    }
}

/// Somebody else writes to an edge.
fn write(world: &mut World, name: &'static str) {
    let kind = world.rng.u8(..4);
    let edge = world.edge(name);
    if edge.reach != Reach::Answers || edge.is_loading {
        return;
    }
    let past = edge.past.first().cloned();
    let json = match (kind, past) {
        (0, _) => json!({"apps": {"http": {"servers": {"mine": {"listen": [":9"]}}}}}),
        (1, _) => Value::Null,
        (2, Some(past)) => past,
        _ => {
            let mut json = edge.json.clone();
            if let Some(routes) =
                json.pointer_mut("/apps/http/servers/bascule-http/routes").and_then(Value::as_array_mut)
            {
                routes.pop();
            }
            json
        }
    };
    let loaded = world.load(name, json, Author::Other);
    world.note(&format!("{name}: somebody else wrote ({kind}): {loaded:?}"));
}
