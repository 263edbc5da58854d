//! What is foretold, against what clients of a real Caddy see.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bascule::core::caddy::{Pool, render};
use bascule::core::inventory::{Desired, Policy, Sticky, load};
use bascule::core::model::Revision;
use bascule::core::routing::{Effective, Inputs, Serving, plan};
use bascule::core::simulate::simulate;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::draft::Draft;
use super::{Pair, foretold};
use crate::support::caddy::{Boot, Caddy};
use crate::support::http::HttpBackend;
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

const SERVED: u64 = 10;
/// Requests to a service whose backends take turns. They are taken in order, so a share is off by less than one turn of the
/// list, whoever begins it: chance has no part in it.
const TURNS: u16 = 300;
/// Clients of a service that keeps each at one backend by its address.
const CLIENTS: u16 = 400;
/// How far a share may be off among those. By Hoeffding's inequality one of them is off by more once in 3.9 × 10⁸ times
/// (2 · exp(-2 · 400 · 0.16²) = 2.6e-9), and fewer than a hundred are compared: less than one run in a million fails by chance.
const OFF_MAX: f64 = 0.16;

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_real_caddy_see_the_shares_that_were_foretold() {
    let boot = Boot { config: Some(json!({"apps": {}})), ..Boot::default() };
    let (caddy, port) = (Caddy::start_with(boot).await, ReservedPort::take());
    let mut seen = 0;
    for seed in 0..SERVED {
        println!("the pair of seed {seed}");
        let mut pair = Pair::draw(seed);
        let (mut backends, mut planned): (Vec<HttpBackend>, Option<Effective>) = (Vec::new(), None);
        for draft in &mut pair.drafts {
            let desired = with_listeners(draft, &mut backends).await;
            let effective = plan(&Inputs { previous: planned.as_ref(), ..Inputs::declared(&desired) }).effective;
            let edge = desired.edges.values().find(|edge| edge.relay.is_none()).expect("the first has no relay");
            let mut config = render(&effective, edge, &Pool::strict()).config();
            listen_on(&mut config, port.get());
            caddy.access().write_apps(&config["apps"]).await;
            seen += asked(&desired, &effective, port.get()).await;
            planned = Some(effective);
        }
    }
    assert!(seen >= 40, "only {seen} services were asked");
}

/// Gives each backend somebody who listens at its own address.
async fn with_listeners(draft: &mut Draft, backends: &mut Vec<HttpBackend>) -> Desired {
    for (name, backend) in &mut draft.backends {
        let is_there = |it: &&HttpBackend| it.name() == name && it.ip() == IpAddr::from(backend.ip());
        if !backends.iter().any(|it| is_there(&it)) {
            backends.push(HttpBackend::start_on(name, backend.ip()).await);
        }
        backend.address = backends.iter().find(is_there).map(HttpBackend::address);
    }
    load(&draft.files(), Revision::new("c".repeat(40))).desired.expect("it was valid before")
}

fn listen_on(config: &mut Value, port: u16) {
    for server in config["apps"]["http"]["servers"].as_object_mut().expect("servers").values_mut() {
        server["listen"] = json!([format!("127.0.0.1:{port}")]);
    }
}

/// Asks every service that is served, and compares; returns how many there were.
async fn asked(desired: &Desired, effective: &Effective, port: u16) -> usize {
    let forecast = simulate(desired, &[Vec::new()]).remove(0);
    let mut count = 0;
    for told in &forecast.services {
        let service = &effective.services[&told.service];
        if !matches!(service.serving, Serving::Full | Serving::Degraded) {
            assert!(told.shares.is_empty(), "{} is not served", told.service);
            continue;
        }
        count += 1;
        let host = format!("{}.example.org", told.service);
        let expected = foretold::shares(&told.shares);
        let is_single = matches!(service.service.routing.policy, Policy::Single { .. });
        let is_by_address = service.service.routing.sticky == Some(Sticky::ClientAddress) && !is_single;
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..if is_by_address { CLIENTS } else { TURNS } {
            let [high, low] = if is_by_address { number.to_be_bytes() } else { [0, 0] };
            *counts.entry(answer(Ipv4Addr::new(127, 77, high, low), port, &host).await).or_default() += 1;
        }
        // One turn of a list, which has 34 places at most where it is not on its way to another.
        compare(&host, &expected, &counts, if is_by_address { OFF_MAX } else { 34.0 / f64::from(TURNS) });
    }
    count
}

/// Who answers a client at an address.
async fn answer(client: Ipv4Addr, port: u16, host: &str) -> String {
    // A load may close a connection under a request.
    wait_for("an answer", SOON, || async { ask(client, port, host).await.ok().flatten() }).await
}

/// A connection for each request, by hand: a client of a library takes as long to make as a hundred requests.
async fn ask(client: Ipv4Addr, port: u16, host: &str) -> std::io::Result<Option<String>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((client, 0).into())?;
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok(head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned()))
}

fn compare(host: &str, expected: &BTreeMap<String, i64>, counts: &BTreeMap<String, u32>, off_max: f64) {
    let all: u32 = counts.values().sum();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    let (told, seen) = (names(expected.keys().collect()), names(counts.keys().collect()));
    assert_eq!(told, seen, "{host}: {expected:?} was told, and {counts:?} seen");
    for (name, share) in expected {
        #[expect(clippy::cast_precision_loss, reason = "hundredths of a percent")]
        let share = *share as f64 / 10_000.0;
        let seen = f64::from(counts[name]) / f64::from(all);
        assert!((share - seen).abs() <= off_max, "{host}: {expected:?} was told, and {counts:?} seen");
    }
}
