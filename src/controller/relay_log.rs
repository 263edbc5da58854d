use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::core::model::EdgeName;

/// When the relay of each edge last asked. Written hundreds of times a second and looked at now and then, so nobody is
/// woken by it.
#[derive(Debug, Default)]
pub struct RelayLog {
    last: Mutex<BTreeMap<EdgeName, Instant>>,
}

impl RelayLog {
    /// Notes a question.
    pub fn note(&self, edge: &EdgeName) {
        let at = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get_mut(edge) {
            Some(last) => *last = at,
            None => _ = last.insert(edge.clone(), at),
        }
    }

    /// When the edge's relay last asked.
    pub fn last(&self, edge: &EdgeName) -> Option<Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(edge).copied()
    }
}
