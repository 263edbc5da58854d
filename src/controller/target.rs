use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::core::caddy::{Rendered, service_of_route_id};
use crate::core::model::{Digest, Generation, Revision, ServiceName};
use crate::core::routing::Plan;

/// A configuration for an edge, with where it came from.
#[derive(Debug)]
pub(super) struct Target {
    /// JSON. As a tree it would take ten times the memory for as long as the edge runs it.
    pub(super) bytes: Arc<[u8]>,
    /// Identity of the configuration.
    pub(super) digest: Digest,
    /// The revision it was rendered from.
    pub(super) revision: Revision,
    /// The generation of observed state it was rendered from.
    pub(super) generation: Generation,
}

impl Target {
    /// What was rendered from a plan.
    pub(super) fn of(rendered: Rendered, plan: &Plan) -> Arc<Self> {
        let Rendered { edge: _, bytes, digest } = rendered;
        let (revision, generation) = (plan.revision.clone(), plan.generation);
        Arc::new(Self { bytes: bytes.into(), digest, revision, generation })
    }

    /// True for bytes that [`Self::config`] can read, which those of a state file need not be.
    pub(super) fn is_readable(bytes: &[u8]) -> bool {
        serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    }

    /// True where it has a route of this service.
    pub(super) fn has_service(&self, service: &ServiceName) -> bool {
        let servers = self.config();
        let servers = servers["apps"]["http"]["servers"].as_object().into_iter().flat_map(|it| it.values());
        let mut routes = servers.flat_map(|server| server["routes"].as_array().into_iter().flatten());
        routes.any(|route| route["@id"].as_str().and_then(service_of_route_id) == Some(service.as_str()))
    }

    /// The configuration as a tree, for as long as it is compared and pushed.
    pub(super) fn config(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("bytes are rendered, or were found readable")
    }
}
