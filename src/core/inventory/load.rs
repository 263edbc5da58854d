//! The whole way from files to desired state.

mod file;
pub(super) mod folders;

use super::documents::Documents;
use super::finding::locate;
use super::{Desired, resolve, rules};
use crate::core::model::{Diagnostic, FileSet, Revision, Severity};

/// Threads that read files. Reading is all computation, so more than the cores of a small machine gain nothing; on one
/// core they cost nothing.
const READERS: usize = 4;
/// Below this many files a thread costs more than it gains.
const FILES_A_READER: usize = 64;

/// What came of loading an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The desired state; none when any diagnostic is an error.
    pub desired: Option<Desired>,
    /// Everything that is wrong with any file, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// How many errors and how many warnings there are.
    pub fn count(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
        (errors, self.diagnostics.len() - errors)
    }
}

/// Reads, checks and resolves an inventory.
pub fn load(files: &FileSet, revision: Revision) -> Loaded {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path, &**bytes)).collect();
    let (mut documents, mut diagnostics) = read(&files);
    let findings = rules::check(&documents);
    diagnostics.extend(locate(findings, &files));
    if diagnostics.iter().all(|it| it.severity == Severity::Warning) && documents.is_empty() {
        diagnostics.push(no_inventory());
    }
    diagnostics.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let is_good = diagnostics.iter().all(|it| it.severity == Severity::Warning);
    let desired = is_good.then(|| resolve::resolve(std::mem::take(&mut documents), revision));
    Loaded { desired, diagnostics }
}

fn read(files: &[(&str, &[u8])]) -> (Documents, Vec<Diagnostic>) {
    let (inventory, mut diagnostics) = folders::sort(files);
    let chunk = inventory.len().div_ceil(READERS).max(FILES_A_READER);
    let mut documents = Documents::default();
    std::thread::scope(|scope| {
        let readers: Vec<_> = inventory.chunks(chunk).map(|part| scope.spawn(move || file::read_all(part))).collect();
        for reader in readers {
            let (part, found) = reader.join().expect("a reader does not panic on any input");
            documents.merge(part);
            diagnostics.extend(found);
        }
    });
    (documents, diagnostics)
}

fn no_inventory() -> Diagnostic {
    Diagnostic {
        code: "no-inventory",
        severity: Severity::Error,
        file: String::new(),
        place: None,
        message: "no site, service, backend or edge is declared here".to_owned(),
        hint: Some(
            "an inventory is YAML files in the folders sites/, services/, backends/ and edges/; `bascule init` writes one"
                .to_owned(),
        ),
        related: Vec::new(),
    }
}
