use std::future::poll_fn;
use std::task::Poll;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What tells a process to end. From the moment that it listens, no signal is missed.
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    /// SIGTERM and SIGINT.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Self::of(&[SignalKind::terminate(), SignalKind::interrupt()])
    }

    /// The same, and SIGHUP: what lives on a terminal ends with it. A service does not, for the sake of `nohup`.
    pub(super) fn listen_on_terminal() -> anyhow::Result<Self> {
        Self::of(&[SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()])
    }

    fn of(kinds: &[SignalKind]) -> anyhow::Result<Self> {
        let signals = kinds.iter().map(|kind| signal(*kind)).collect::<Result<_, _>>();
        Ok(Self(signals.context("cannot listen to signals")?))
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        poll_fn(|context| {
            let is_there = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_there { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
