use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::document::{Documents, Entry};
use super::schema::{Kind, similar, validate};
use super::yaml::{self, Node, NodeKind, Part};
use super::{Desired, codes, resolve, rules};
use crate::core::model::{Diagnostic, FileSet, Revision, Severity};

/// What came of reading an inventory.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it declares; none when there is an error.
    pub desired: Option<Desired>,
    /// Everything that is wrong with it, by file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Threads that parse. Reading 40,000 small files is all parsing; more threads than a small machine has cores only wait.
const THREADS: usize = 4;
/// Files that are worth a thread.
const FILES_PER_THREAD: usize = 256;

/// Reads an inventory: all faults of all files, and what it declares if there is none.
#[expect(clippy::missing_panics_doc, reason = "no input makes reading panic")]
pub fn load(files: &FileSet, revision: Revision) -> Loaded {
    let all: Vec<_> = files.iter().collect();
    let share = all.len().div_ceil(THREADS).max(FILES_PER_THREAD);
    let parts: Vec<Documents> = std::thread::scope(|scope| {
        let read_chunk = |chunk: &[(&str, &std::sync::Arc<[u8]>)]| {
            let mut documents = Documents::default();
            for (path, bytes) in chunk {
                read(&mut documents, path, bytes);
            }
            documents
        };
        let threads: Vec<_> = all.chunks(share).map(|chunk| scope.spawn(move || read_chunk(chunk))).collect();
        threads.into_iter().map(|thread| thread.join().expect("reading does not panic on any input")).collect()
    });
    let mut documents = Documents::default();
    for part in parts {
        documents.append(part);
    }

    let is_anything = !all.is_empty() && all.iter().any(|(path, _)| kind_of(path).is_some());
    let mut diagnostics = std::mem::take(&mut documents.faults);
    if is_anything {
        diagnostics.extend(rules::check(&documents));
    } else {
        diagnostics.push(no_inventory());
    }
    diagnostics.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    diagnostics.dedup();
    let is_good = diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
    let desired = is_good.then(|| resolve::resolve(documents, revision));
    Loaded { desired, diagnostics }
}

fn no_inventory() -> Diagnostic {
    Diagnostic {
        code: codes::NO_INVENTORY,
        severity: Severity::Error,
        file: String::new(),
        place: None,
        message: "there is no inventory file".to_owned(),
        hint: Some("put YAML files into sites/, services/, backends/ and edges/; `bascule init` makes some".to_owned()),
        related: Vec::new(),
    }
}

fn kind_of(path: &str) -> Option<Kind> {
    let (folder, _) = path.split_once('/')?;
    Kind::ALL.into_iter().find(|kind| kind.folder() == folder)
}

fn read(documents: &mut Documents, path: &str, bytes: &[u8]) {
    let Some(kind) = kind_of(path) else {
        documents.faults.push(unknown_folder(path));
        return;
    };
    let (nodes, faults) = yaml::parse(path, bytes);
    let is_broken = !faults.is_empty();
    documents.faults.extend(faults);
    let is_single = nodes.len() == 1;
    for node in nodes {
        // `---` at the end of a file, or a file of comments in a multi-document one, declares nothing and harms nothing.
        let is_empty = matches!(&node.kind, NodeKind::Scalar(value) if value.is_null());
        if is_empty && (!is_single || is_broken) {
            continue;
        }
        if is_empty {
            documents.faults.push(empty_document(path, kind, &node));
            continue;
        }
        let Documents { sites, services, backends, edges, faults, broken, .. } = documents;
        match kind {
            Kind::Site => take(kind, path, node, sites, faults, broken),
            Kind::Service => take(kind, path, node, services, faults, broken),
            Kind::Backend => take(kind, path, node, backends, faults, broken),
            Kind::Edge => take(kind, path, node, edges, faults, broken),
        }
    }
    if is_broken {
        documents.has_unread.insert(kind);
    }
}

/// Takes one document as its kind's type, or says what keeps it from being one.
fn take<D: DeserializeOwned>(
    kind: Kind,
    path: &str,
    node: Node,
    entries: &mut Vec<Entry<D>>,
    faults: &mut Vec<Diagnostic>,
    broken: &mut BTreeSet<(Kind, String)>,
) {
    let value = node.to_value();
    let mut found = validate(kind, path, &node, &value);
    if found.is_empty() {
        match serde_path_to_error::deserialize::<_, D>(value) {
            Ok(doc) => return entries.push(Entry { doc, file: path.into(), node }),
            Err(error) => found.push(refused(path, &node, &error)),
        }
    }
    match node.get("name").and_then(Node::as_str) {
        Some(name) => drop(broken.insert((kind, name.to_owned()))),
        // Without a name, anything that is referred to may be this one.
        None => drop(broken.insert((kind, String::new()))),
    }
    faults.extend(found);
}

/// What the schema let through and the type did not take: the pattern is looser than the type.
fn refused(path: &str, node: &Node, error: &serde_path_to_error::Error<serde_json::Error>) -> Diagnostic {
    let segments = error.path().iter().filter_map(|segment| match segment {
        serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
        serde_path_to_error::Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
    });
    let pointer: String = segments.flat_map(|segment| ["/".to_owned(), segment]).collect();
    let key = pointer.split('/').rfind(|key| key.parse::<usize>().is_err()).filter(|key| !key.is_empty());
    let message = match key {
        Some(key) => format!("`{key}`: {}", error.inner()),
        None => error.inner().to_string(),
    };
    Diagnostic {
        code: codes::BAD_VALUE,
        severity: Severity::Error,
        file: path.to_owned(),
        place: Some(node.place_of(&pointer, Part::Value)),
        message,
        hint: Some("write it in the form that the message names".to_owned()),
        related: Vec::new(),
    }
}

fn unknown_folder(path: &str) -> Diagnostic {
    let folder = path.split_once('/').map(|(folder, _)| folder);
    let folders = Kind::ALL.map(Kind::folder);
    let close = folder.and_then(|folder| similar(folder, folders.into_iter()));
    let hint = match close {
        Some(close) => format!("did you mean `{close}/`?"),
        None => format!("move it into one of {}/, or out of the inventory", folders.join("/, ")),
    };
    Diagnostic {
        code: codes::UNKNOWN_FOLDER,
        severity: Severity::Warning,
        file: path.to_owned(),
        place: None,
        message: match folder {
            Some(folder) => format!("this file is not read: `{folder}/` is no folder of an inventory"),
            None => "this file is not read: it is in no folder of an inventory".to_owned(),
        },
        hint: Some(hint),
        related: Vec::new(),
    }
}

fn empty_document(path: &str, kind: Kind, node: &Node) -> Diagnostic {
    Diagnostic {
        code: codes::EMPTY_DOCUMENT,
        severity: Severity::Error,
        file: path.to_owned(),
        place: Some(node.place),
        message: format!("this file declares no {kind}"),
        hint: Some(format!("declare a {kind} in it, or remove it")),
        related: Vec::new(),
    }
}
