//! A client that asks all the while, whatever the answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::world::{DOMAIN, PATIENCE};
use crate::support::wait::wait_for;

/// Time between two requests. They are sent on time, however long the ones before take (open loop).
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Answer {
    pub(super) body: String,
    /// Sent a second time, over a new connection.
    pub(super) again: bool,
}

/// Asks. A connection that ends before any answer, as a reload of Caddy may end it, is no failure: an idempotent request is
/// sent once more, as every browser does (RFC 9110, section 9.2.2).
pub(super) async fn ask(client: &reqwest::Client, url: &str, host: &str) -> Result<Answer, String> {
    let send = async |client: &reqwest::Client| client.get(url).header("Host", host).send().await;
    let (response, again) = match send(client).await {
        Err(error) if error.is_request() && !error.is_timeout() && !error.is_connect() => {
            // A client of its own: the pool of the other one may hold more connections that the same reload has closed.
            let fresh = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
            (send(&fresh).await, true)
        }
        response => (response, false),
    };
    let response = response.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.text().await.map_err(|error| format!("{error:?}"))?;
    if status.is_success() { Ok(Answer { body, again }) } else { Err(format!("answered {status} `{body}`")) }
}

/// What a client saw.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) again: u64,
    pub(super) failures: Vec<String>,
    /// When each backend answered first.
    pub(super) first: BTreeMap<String, Instant>,
    pub(super) longest: Duration,
}

pub(super) struct Client {
    stop: CancellationToken,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    pub(super) fn start(edge_port: u16) -> Self {
        let (stop, seen) = (CancellationToken::new(), Arc::new(Mutex::new(Seen::default())));
        let task = tokio::spawn(run(edge_port, stop.clone(), Arc::clone(&seen)));
        Self { stop, seen, task }
    }

    /// Waits until a backend has answered.
    pub(super) async fn wait_for_answer_of(&self, name: &str) {
        let has_answered = || self.seen.lock().unwrap_or_else(PoisonError::into_inner).first.contains_key(name);
        wait_for(&format!("an answer of {name}"), PATIENCE, || std::future::ready(has_answered().then_some(()))).await;
    }

    pub(super) async fn stop(self) -> Seen {
        self.stop.cancel();
        self.task.await.expect("the client does not panic");
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn run(edge_port: u16, stop: CancellationToken, seen: Arc<Mutex<Seen>>) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let url = format!("http://127.0.0.1:{edge_port}/");
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let (client, url, seen) = (client.clone(), url.clone(), Arc::clone(&seen));
        requests.spawn(async move {
            let sent = Instant::now();
            let answer = ask(&client, &url, DOMAIN).await;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.requests += 1;
            seen.longest = seen.longest.max(sent.elapsed());
            match answer {
                Ok(Answer { body, again }) => {
                    seen.again += u64::from(again);
                    seen.first.entry(body).or_insert_with(Instant::now);
                }
                Err(failure) => seen.failures.push(failure),
            }
        });
        while requests.try_join_next().is_some() {}
    }
    requests.join_all().await;
}
