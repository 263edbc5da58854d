use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The longest that shutdown waits for work under way: a push to an edge has its own, shorter deadline.
const SHUTDOWN_MAX: Duration = Duration::from_secs(20);

/// The tasks of the controller: one that ends before shutdown ends them all.
pub(super) struct Tasks {
    pub(super) shutdown: CancellationToken,
    set: JoinSet<&'static str>,
    pub(super) guards: Vec<Box<dyn Send>>,
}

impl Tasks {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, set: JoinSet::new(), guards: Vec::new() }
    }

    pub(super) fn spawn<F>(&mut self, name: &'static str, start: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = start(self.shutdown.child_token());
        self.set.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits for the end: none at shutdown, else the task that ended by itself.
    pub(super) async fn join(mut self) -> Option<&'static str> {
        let culprit = tokio::select! {
            () = self.shutdown.cancelled() => None,
            ended = self.set.join_next() => Some(ended.and_then(Result::ok).unwrap_or("task that panicked")),
        };
        // Something that ends at shutdown may win the race above; it is no culprit.
        let culprit = culprit.filter(|_| !self.shutdown.is_cancelled());
        self.shutdown.cancel();
        let all_ended = async { while self.set.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, all_ended).await.is_err() {
            warn!("some tasks did not end in time and are left");
        }
        culprit
    }
}
