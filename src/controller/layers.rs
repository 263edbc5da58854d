use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Clock, SourceState, chain};
use crate::core::health::{
    Change, EVENTS_SHOWN, Event, LayerState, Layers, News, Observed, Subject, TunnelSample, Verdict,
};
use crate::core::inventory::Desired;
use crate::probe::{TunnelSet, tunnel_set};
use crate::store::Store;

/// Between two conclusions. Backends are judged as their samples come; what this loop has is for people.
const SETTLE: Duration = Duration::from_millis(500);

/// Judges what lies between edges and backends, and tells what happens: one event for a site, not one for each backend.
#[derive(Debug)]
pub struct LayerKeeper {
    /// The wall clock.
    pub clock: Clock,
    /// Where events are kept.
    pub store: Store,
    /// What is desired.
    pub source: watch::Receiver<SourceState>,
    /// What probes of backends say.
    pub observed: watch::Receiver<Arc<Observed>>,
    /// Looks at tunnels.
    pub looks: mpsc::Receiver<TunnelSample>,
    /// Which tunnels are looked at.
    pub targets: watch::Sender<Arc<TunnelSet>>,
    /// What is known.
    pub layers: watch::Sender<Arc<Layers>>,
}

impl LayerKeeper {
    /// Runs until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { clock, store, mut source, observed, mut looks, targets, layers } = self;
        let mut state = recall(&store).await;
        let mut desired: Option<Arc<Desired>> = None;
        let mut settle = interval(SETTLE);
        settle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        source.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = source.changed() => {
                    if changed.is_err() { break }
                    let served = source.borrow_and_update().served.as_ref().map(|served| Arc::clone(&served.desired));
                    let Some(served) = served else { continue };
                    if desired.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &served)) {
                        state.follow(&served);
                        targets.send_replace(Arc::new(tunnel_set(&served)));
                        desired = Some(served);
                    }
                }
                _ = settle.tick() => {
                    let Some(desired) = &desired else { continue };
                    let observed = Arc::clone(&observed.borrow());
                    let news = state.settle(clock(), desired, &observed);
                    tell(&store, news).await;
                    layers.send_replace(Arc::new(state.view()));
                }
                look = looks.recv() => {
                    let Some(look) = look else { break };
                    state.take(&look);
                }
            }
        }
    }
}

/// What was told before this run.
async fn recall(store: &Store) -> LayerState {
    let shown = u32::try_from(EVENTS_SHOWN).unwrap_or(u32::MAX);
    match (store.events(None, shown).await, store.last_events().await) {
        (Ok(events), Ok(last)) => LayerState::new(events, last),
        (Err(error), _) | (_, Err(error)) => {
            warn!(error = %chain(&error), "events are not readable in the state file; what is told begins anew");
            LayerState::default()
        }
    }
}

/// Durable before visible, as far as the state file can be written.
async fn tell(store: &Store, news: Vec<News>) {
    let mut events = Vec::new();
    for item in news {
        match item {
            News::Event(event) => {
                log_event(&event);
                events.push(event);
            }
            News::Backend(change) => log_change(&change),
        }
    }
    if events.is_empty() {
        return;
    }
    if let Err(error) = store.record_events(events).await {
        warn!(error = %chain(&error), "events not written to the state file");
    }
}

fn log_event(event: &Event) {
    let Event { at: _, subject, from, to, cause, backends } = event;
    let is_bad = *to == Verdict::Down;
    match subject {
        Subject::Site(site) if is_bad => warn!(%site, %from, backends, cause, "site went down"),
        Subject::Site(site) => info!(%site, %from, backends, cause, "site is up"),
        Subject::Tunnel(site) if is_bad => warn!(%site, %from, cause, "tunnel went down"),
        Subject::Tunnel(site) => info!(%site, %from, cause, "tunnel is up"),
        // The observer and the announcer say it as it happens.
        Subject::Prober | Subject::Forge => {}
    }
}

fn log_change(change: &Change) {
    let Change { at: _, backend, site, from, to, reason } = change;
    if *to == Verdict::Down {
        warn!(%backend, %site, %from, %to, reason, "verdict changed");
    } else {
        info!(%backend, %site, %from, %to, reason, "verdict changed");
    }
}
