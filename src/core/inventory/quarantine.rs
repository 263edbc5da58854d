//! Quarantine: services that a revision has faults of stay as they were served last, or out where they are new, and
//! everything else of the revision goes on.
//!
//! What comes of it is an inventory like any other, as files, which passes the same check as what people commit: nothing
//! is served that was checked in parts only.

mod blame;
mod pieces;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use self::pieces::{Pieces, kept_files};
use super::{Desired, load};
use crate::core::model::{Diagnostic, FileSet, Revision, Timestamp};

/// Checks of a composition. A service that is put back may clash with what another one has taken of it, and so on: each
/// check finds a link of such a chain, and one of eight is an inventory to look at as a whole.
const ROUNDS_MAX: usize = 8;

/// An inventory that is composed of a revision and of what was served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// Its files. Those documents of the revision that are in it stand on the lines that they were written on.
    pub files: FileSet,
    /// What it declares.
    pub desired: Desired,
    /// What is wrong with it, which is nothing but warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What stays behind, by service; by path where a document does not tell which service it declares.
    pub at_fault: BTreeMap<String, AtFault>,
}

impl Composed {
    /// The same for people, of an inventory whose files have this before their paths: `inventory/`.
    #[must_use]
    pub fn told(mut self, prefix: &str) -> Self {
        let told = |(service, AtFault { mut fault, is_kept }): (String, AtFault)| {
            fault.file.insert_str(0, prefix);
            // No name of a service has a slash: it is a path.
            let service = if service.contains('/') { format!("{prefix}{service}") } else { service };
            (service, AtFault { fault, is_kept })
        };
        self.at_fault = self.at_fault.into_iter().map(told).collect();
        self
    }
}

/// Why a service stays behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtFault {
    /// The first fault that it is for.
    pub fault: QuarantineFault,
    /// True where it stays as it was served last; otherwise it is new, and left out.
    pub is_kept: bool,
}

/// A service in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its name; the path of its file where that does not tell it.
    pub service: String,
    /// Since when.
    pub since: Timestamp,
    /// The revision at which it began.
    pub revision: Revision,
    /// The revision as of which it is served; none for a new one, which is left out.
    pub kept: Option<Revision>,
    /// What is to be mended.
    pub fault: QuarantineFault,
}

/// A fault as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineFault {
    /// The diagnostic's code, which `bascule explain` knows.
    pub code: String,
    /// File, as it is in the repository once it is told.
    pub file: String,
    /// Line, counted from 1; none where the fault is of the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column, counted from 1 in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is wrong, without a final stop.
    pub message: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl QuarantineFault {
    fn of(diagnostic: &Diagnostic) -> Self {
        let Diagnostic { code, severity: _, file, place, message, hint, related: _ } = diagnostic.clone();
        let (line, column) = (place.map(|place| place.line), place.map(|place| place.column));
        Self { code: code.to_owned(), file, line, column, message, hint }
    }
}

impl fmt::Display for QuarantineFault {
    /// One line: `backends/a.yaml:3:7: error[unknown-site]: no site has this name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, file, line, column, message, hint: _ } = self;
        f.write_str(file)?;
        if let (Some(line), Some(column)) = (line, column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": error[{code}]: {message}")
    }
}

impl Quarantined {
    /// Who is in quarantine once a composed revision is served. What was before it and still is keeps its beginning, and
    /// the version that it had then.
    pub fn of(
        composed: &Composed,
        before: &[Self],
        (revision, served): (&Revision, &Revision),
        now: Timestamp,
    ) -> Vec<Self> {
        let one = |(service, AtFault { fault, is_kept }): (&String, &AtFault)| {
            let earlier = before.iter().find(|it| it.service == *service);
            let kept = earlier.and_then(|it| it.kept.clone()).or_else(|| Some(served.clone()));
            Self {
                service: service.clone(),
                since: earlier.map_or(now, |it| it.since),
                revision: earlier.map_or(revision, |it| &it.revision).clone(),
                kept: kept.filter(|_| *is_kept),
                fault: fault.clone(),
            }
        };
        composed.at_fault.iter().map(one).collect()
    }

    /// How it stands, in words: `as of revision 0123456789ab` or `left out`.
    pub fn standing(&self) -> String {
        self.kept.as_ref().map_or_else(|| "left out".to_owned(), |kept| format!("as of revision {}", kept.short()))
    }
}

/// Why nothing can be served of a revision that has errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncomposed {
    /// This error is in the way: it is not a service's (of a site, an edge, or the inventory as a whole), or the service
    /// that it is of cannot stay as it was.
    For(Box<Diagnostic>),
    /// No inventory was found that passes the check, and no error is more in the way than another one.
    NoneFits,
}

/// Composes what can be served of a revision that has errors: each service that they are of as `last_good` has it, with
/// its backends, and everything else as the revision has it.
///
/// Where that is nothing, the revision is held as a whole. `diagnostics` are those of the revision.
pub fn compose(
    next: &FileSet,
    revision: &Revision,
    diagnostics: &[Diagnostic],
    last_good: &FileSet,
) -> Result<Composed, Uncomposed> {
    let (written, last) = (Pieces::of(next), Pieces::of(last_good));
    let held_for = |error: &Diagnostic| Uncomposed::For(Box::new(error.clone()));
    let mut blamed = blame::blame(diagnostics, &written, &last).map_err(held_for)?;
    let mut at_fault: BTreeMap<String, Diagnostic> = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let known = at_fault.len();
        let first = blamed.keys().next().cloned();
        for (service, diagnostic) in blamed {
            at_fault.entry(service).or_insert(diagnostic);
        }
        widen(&mut at_fault, &written, &last);
        if at_fault.len() == known {
            // It is at fault as it was served last: what changed around it is what is wrong.
            return Err(first.and_then(|it| at_fault.get(&it)).map_or(Uncomposed::NoneFits, held_for));
        }
        let files = put_together(next, &written, &last, &at_fault.keys().map(String::as_str).collect());
        let loaded = load(&files, revision.clone());
        if let Some(desired) = loaded.desired {
            let reason = |(service, diagnostic): (String, Diagnostic)| {
                let is_kept = last.has(&service);
                (service, AtFault { fault: QuarantineFault::of(&diagnostic), is_kept })
            };
            let at_fault = at_fault.into_iter().map(reason).collect();
            return Ok(Composed { files, desired, diagnostics: loaded.diagnostics, at_fault });
        }
        let now = Pieces::of(&files);
        blamed = blame::blame(&loaded.diagnostics, &now, &last).map_err(|error| {
            // Nobody wrote what was put together: its service has an error of its own, for which it cannot stay as it was.
            let mut owners = blame::owners(error, &now, &last).into_iter();
            owners.find_map(|owner| at_fault.get(&owner)).map_or(Uncomposed::NoneFits, held_for)
        })?;
    }
    Err(Uncomposed::NoneFits)
}

/// Takes in what cannot be told from what is at fault: documents that stand in one piece with it, and services that the
/// revision no longer declares where what is at fault seems to take their place. To let those go would serve nothing where
/// something was served, for a fault.
fn widen(at_fault: &mut BTreeMap<String, Diagnostic>, written: &Pieces, last: &Pieces) {
    loop {
        let mut more: Vec<(String, Diagnostic)> = Vec::new();
        for piece in written.iter() {
            let owners = written.owners(piece, last);
            let Some(diagnostic) = owners.iter().find_map(|owner| at_fault.get(owner)) else { continue };
            let succeeded = last.services().filter(|gone| !written.declares(gone) && last.is_succeeded(gone, piece));
            let all = owners.iter().map(String::as_str).chain(succeeded);
            more.extend(all.filter(|it| !at_fault.contains_key(*it)).map(|it| (it.to_owned(), diagnostic.clone())));
        }
        if more.is_empty() {
            return;
        }
        at_fault.extend(more);
    }
}

/// The files of a revision without what is at fault, and with what was served of that.
fn put_together(next: &FileSet, written: &Pieces, last: &Pieces, at_fault: &BTreeSet<&str>) -> FileSet {
    let mut files: FileSet =
        next.iter().filter(|(path, _)| !written.has_file(path)).map(|(p, b)| (p, b.clone())).collect();
    for (path, bytes) in next.iter().filter(|(path, _)| written.has_file(path)) {
        let is_out =
            |piece: &pieces::Piece| written.owners(piece, last).iter().any(|it| at_fault.contains(it.as_str()));
        match written.without(path, bytes, is_out) {
            pieces::Left::All => files.insert(path, bytes.clone()),
            pieces::Left::Some(text) => files.insert(path, text.into_bytes()),
            pieces::Left::Nothing => {}
        }
    }
    for service in at_fault {
        for (mut path, text) in kept_files(service, last) {
            while files.get(&path).is_some() {
                path.insert_str(path.len() - ".yaml".len(), "-kept");
            }
            files.insert(path, text.into_bytes());
        }
    }
    files
}
