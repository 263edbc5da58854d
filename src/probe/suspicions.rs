use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::core::model::BackendName;

/// Backends that clients meet errors of, on their way to the prober: each at most once however often it is told, so that
/// there are never more than backends, and whoever tells never waits.
#[derive(Debug, Clone, Default)]
pub struct Suspicions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    backends: Mutex<BTreeSet<BackendName>>,
    news: Notify,
}

impl Suspicions {
    /// Has the prober ask a backend as soon as it may be asked again.
    pub fn tell(&self, backend: &BackendName) {
        let mut backends = self.0.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if !backends.contains(backend) {
            backends.insert(backend.clone());
            self.0.news.notify_one();
        }
    }

    /// Waits until there are some, and takes them all. Cancel-safe: what is not taken stays.
    pub(super) async fn take(&self) -> BTreeSet<BackendName> {
        loop {
            let backends = std::mem::take(&mut *self.0.backends.lock().unwrap_or_else(PoisonError::into_inner));
            if !backends.is_empty() {
                return backends;
            }
            self.0.news.notified().await;
        }
    }
}
