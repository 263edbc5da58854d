//! What operators order about the source, carried out by the watcher: the one place where revisions come to be served.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::warn;

use super::desk::{not_served_yet, unwritten};
use super::watcher::{Reading, first_error};
use super::{Kept, Served, SourceState, Watcher, kept};
use crate::core::inventory::{Desired, Loaded};
use crate::core::model::{FileSet, Revision, RevisionInfo};
use crate::core::routing::Refusal;
use crate::core::steering::{SteerDoc, Step, names};
use crate::git::Revisions;
use crate::store::RevisionOutcome;

/// An operator's order about the source, and where the answer goes. Who asked may be gone by then; it is carried out all the
/// same.
#[derive(Debug)]
pub struct SteerOrder {
    /// What is ordered.
    pub doc: SteerDoc,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Steered, Refusal>>,
}

/// What came of an order about the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steered {
    /// What was done.
    pub step: Step,
    /// The newest revision of the source, as far as it is known.
    pub newest: Option<RevisionInfo>,
}

impl<S: Revisions> Watcher<S> {
    /// Carries out an order. What is answered is in the state file.
    pub(super) async fn steer(&self, SteerOrder { doc, reply }: SteerOrder, reading: &mut Reading) {
        let done = match &doc {
            SteerDoc::Suspend { .. } => self.suspend(&doc).await,
            SteerDoc::Rollback { to, .. } => self.roll_back(&doc, to).await,
            SteerDoc::Resume { .. } => self.resume(&doc, reading).await,
            SteerDoc::Allow { revision, .. } => self.allow(&doc, revision, reading).await,
        };
        let _ = reply.send(done);
    }

    async fn suspend(&self, doc: &SteerDoc) -> Result<Steered, Refusal> {
        if let Some(pin) = &self.state.borrow().steering.pin {
            return Err(Refusal::nothing(format!("the source is not followed already: {}", pin.words())));
        }
        let step = doc.step(self.served().ok_or_else(not_served_yet)?, (self.clock)())?;
        self.write(&step).await?;
        Ok(self.done(step, |state| state.refusal = None))
    }

    async fn roll_back(&self, doc: &SteerDoc, to: &str) -> Result<Steered, Refusal> {
        let Kept { info, files, quarantine } = kept(&self.store, to).await?;
        let Some(quarantine) = quarantine else {
            let short = info.id.short();
            return Err(Refusal::unknown(format!("revision {short} was never served; `bascule history` says why")));
        };
        let step = doc.step(info.id.clone(), (self.clock)())?;
        let files = Arc::new(files);
        let desired = self.load(&info.id, &files).await?;
        let written = self
            .store
            .record_rollback(step.clone(), info.clone(), files, RevisionOutcome::served(quarantine.clone()))
            .await;
        written.map_err(|error| unwritten(&error, "what is served stays"))?;
        Ok(self.done(step, |state| {
            state.served = Some(Served { info, desired: Arc::new(desired), quarantine: quarantine.into() });
            state.refusal = None;
        }))
    }

    /// A revision that was served before, as this bascule understands it.
    async fn load(&self, id: &Revision, files: &Arc<FileSet>) -> Result<Desired, Refusal> {
        let loaded = self.source.check(Arc::clone(files), id.clone()).await;
        let Some(Loaded { desired, diagnostics }) = loaded else {
            return Err(Refusal::not_now(format!("checking revision {} ended in a panic", id.short())));
        };
        let refused = || {
            let fault = first_error(&diagnostics, &self.folder);
            Refusal::not_now(format!("this bascule refuses revision {}, which an older one took: {fault}", id.short()))
        };
        desired.ok_or_else(refused)
    }

    async fn resume(&self, doc: &SteerDoc, reading: &mut Reading) -> Result<Steered, Refusal> {
        let Some(pin) = self.state.borrow().steering.pin.clone() else {
            return Err(Refusal::nothing("the source is followed already".to_owned()));
        };
        let step = doc.step(pin.revision, (self.clock)())?;
        self.write(&step).await?;
        self.read_again(reading);
        Ok(self.done(step, |_| ()))
    }

    async fn allow(&self, doc: &SteerDoc, named: &str, reading: &mut Reading) -> Result<Steered, Refusal> {
        let Some(held) = reading.held.clone() else {
            return Err(Refusal::nothing("no revision is held for what it takes out; see `bascule status`".to_owned()));
        };
        if !names(named, &held) {
            return Err(Refusal::unknown(format!(
                "`{named}` is not the revision that is held: that is {}",
                held.short()
            )));
        }
        let step = doc.step(held.clone(), (self.clock)())?;
        self.write(&step).await?;
        reading.allowed = Some(held);
        self.read_again(reading);
        Ok(self.done(step, |_| ()))
    }

    /// What came after what is served is read once more, with all that its commits allow.
    fn read_again(&self, reading: &mut Reading) {
        (reading.last, reading.consent) = (self.served(), None);
    }

    async fn write(&self, step: &Step) -> Result<(), Refusal> {
        let written = self.store.record_step(step.clone()).await;
        written.map_err(|error| unwritten(&error, "everything goes on as it was"))
    }

    fn done(&self, step: Step, change: impl FnOnce(&mut SourceState)) -> Steered {
        warn!(revision = %step.revision, by = step.by, reason = step.reason, "an operator's order: {}", step.words());
        self.state.send_modify(|state| {
            state.steering.take(&step);
            change(state);
        });
        Steered { step, newest: self.state.borrow().newest.clone() }
    }
}
