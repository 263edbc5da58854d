//! What is served of a revision that has errors.

use std::sync::Arc;

use tracing::{debug, error, info, warn};

use super::{OnFault, REFUSED, Refusal, Watcher, chain, first_error, headed};
use crate::controller::Served;
use crate::core::inventory::{Composed, Desired, Quarantined, Uncomposed};
use crate::core::model::{Diagnostic, FileSet, RevisionInfo};
use crate::git::{Faulty, Revisions, prefix};

/// What of a revision may be served.
pub(super) struct Servable {
    /// Its files, as they are kept.
    pub(super) files: Arc<FileSet>,
    pub(super) desired: Desired,
    pub(super) warnings: Vec<Diagnostic>,
    /// The services that it is served without.
    pub(super) quarantine: Vec<Quarantined>,
}

impl<S: Revisions> Watcher<S> {
    /// What can be served of a revision that has errors: all but the services that they are of. It is refused where that is
    /// not wanted, where an error is no service's, or where nobody knows what was served before: edges may run it, and to
    /// leave a service out for a fault would end it.
    pub(super) async fn composed(
        &self,
        info: &RevisionInfo,
        files: &Arc<FileSet>,
        diagnostics: &[Diagnostic],
    ) -> Result<Servable, Refusal> {
        let refused = |error: Option<&Diagnostic>| {
            let folder = &self.folder;
            let first = || first_error(diagnostics, folder);
            let reason = error.map_or_else(first, |error| headed(error, diagnostics, folder));
            Refusal { verb: REFUSED, reason }
        };
        let Some((served, last_good)) = self.last_good().await else { return Err(refused(None)) };
        let faulty = Faulty { revision: info.id.clone(), files: Arc::clone(files), diagnostics: diagnostics.to_vec() };
        let composed = self.source.compose(faulty, last_good).await.map_err(|uncomposed| match uncomposed {
            // Whoever mends that gets the rest of the revision served; what comes before it may be mended later.
            Uncomposed::For(error) => refused(Some(&error)),
            Uncomposed::NoneFits => refused(None),
        })?;
        let composed = composed.told(&prefix(&self.folder));
        let revisions = (&info.id, &served.info.id);
        let quarantine = Quarantined::of(&composed, &served.quarantine, revisions, (self.clock)());
        let Composed { files, desired, diagnostics: warnings, at_fault: _ } = composed;
        Ok(Servable { files: Arc::new(files), desired, warnings, quarantine })
    }

    /// Says what strictness means for services that are in quarantine since before it was asked for: they stay so, and no
    /// newer revision is served before it has no error.
    pub(super) fn tell_of_strictness(&self) {
        let OnFault::Hold = self.settings.on_fault else { return };
        self.state.send_modify(|state| state.on_fault = OnFault::Hold);
        let served = self.state.borrow().served.clone();
        for it in served.iter().flat_map(|served| served.quarantine.iter()) {
            let (service, standing, fault) = (&it.service, it.standing(), &it.fault);
            warn!(service, standing, %fault, "service in quarantine since before `--strict`: it stays so, and no newer revision is served before it has no error");
        }
    }

    /// What is served, with its files, of which services can be kept. None where that is not wanted, or nobody knows.
    async fn last_good(&self) -> Option<(Served, FileSet)> {
        let served = self.state.borrow().served.clone().filter(|_| self.settings.on_fault == OnFault::Quarantine)?;
        match self.store.last_good_revision().await {
            Ok(Some((kept, files))) if kept.id == served.info.id => Some((served, files)),
            Ok(_) => {
                warn!(revision = %served.info.id, "what is served is not in the state file: no service can be held back alone");
                None
            }
            Err(error) => {
                warn!(error = %chain(&error), "what was served is not readable in the state file: no service can be held back alone");
                None
            }
        }
    }
}

/// Says who came into quarantine with a revision, and who left it.
pub(super) fn tell(info: &RevisionInfo, before: Option<&Served>, now: &[Quarantined]) {
    let before = before.map_or(&[][..], |served| &served.quarantine);
    let revision = info.id.short();
    for it in now {
        let (service, standing, fault) = (&it.service, it.standing(), &it.fault);
        if before.iter().any(|earlier| earlier.service == *service) {
            debug!(revision, service, standing, %fault, "service still in quarantine");
        } else {
            error!(revision, service, standing, %fault, "service in quarantine; the rest of the revision goes on");
        }
    }
    for ended in before.iter().filter(|it| now.iter().all(|still| still.service != it.service)) {
        info!(revision, service = ended.service, "quarantine over");
    }
}
