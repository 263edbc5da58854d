use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{Admin, AdminError, AdminSettings, CaddyAdmin, ClientError};
use crate::core::caddy::{Actual, own_part, taken_port, with_own_part};
use crate::core::inventory::{Edge, Scope};
use crate::core::routing::OpenRequests;

/// An admin API of which only a part may be bascule's: what is read is that part, and what is written goes into the whole
/// that it was read from. The tag is that of the whole, so a write that somebody else was faster with is refused, whatever
/// part theirs was of.
#[derive(Debug)]
pub struct ScopedAdmin {
    admin: CaddyAdmin,
    scope: Scope,
    /// What was read last, where a part of it is somebody else's.
    whole: Mutex<Option<Actual>>,
}

impl ScopedAdmin {
    /// The admin API of an edge. Nothing is sent.
    pub fn of(edge: &Edge, settings: AdminSettings) -> Result<Self, ClientError> {
        let admin = CaddyAdmin::new(edge.admin.clone(), settings)?;
        Ok(Self { admin, scope: edge.scope, whole: Mutex::default() })
    }

    /// What is written, for a part of what was read with this tag.
    fn whole_with(&self, part: &[u8], etag: &str) -> Option<Value> {
        let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner).take();
        let whole = whole.filter(|whole| whole.etag == etag)?;
        let part: Value = serde_json::from_slice(part).ok()?;
        Some(with_own_part(whole.config, &part))
    }
}

impl ScopedAdmin {
    /// As Caddy refuses what it finds wrong itself.
    fn refused(&self, message: String) -> AdminError {
        AdminError::Rejected { address: self.admin.address().clone(), status: 400, message }
    }
}

impl Admin for ScopedAdmin {
    async fn read(&self) -> Result<Actual, AdminError> {
        let actual = self.admin.read().await?;
        match self.scope {
            Scope::Config => Ok(actual),
            Scope::Server => {
                let part = Actual { config: own_part(&actual.config), etag: actual.etag.clone() };
                *self.whole.lock().unwrap_or_else(PoisonError::into_inner) = Some(actual);
                Ok(part)
            }
        }
    }

    async fn replace(&self, config: Vec<u8>, etag: &str) -> Result<(), AdminError> {
        match self.scope {
            Scope::Config => self.admin.replace(config, etag).await,
            // Without what it was read from, the rest would be lost: then somebody else has been faster, as far as is known.
            Scope::Server => match self.whole_with(&config, etag) {
                Some(whole) => match taken_port(&whole) {
                    None => self.admin.replace(whole.to_string().into_bytes(), etag).await,
                    Some(message) => Err(self.refused(message)),
                },
                None => Err(AdminError::Conflict { address: self.admin.address().clone() }),
            },
        }
    }

    async fn open_requests(&self) -> Result<Option<OpenRequests>, AdminError> {
        self.admin.open_requests().await
    }
}
