use serde::de::DeserializeOwned;
use serde_json::Value;

use super::folders::Source;
use crate::core::inventory::Kind;
use crate::core::inventory::documents::{Broken, Documents};
use crate::core::inventory::finding::{Declared, DocumentId, Spot};
use crate::core::inventory::schema::{Compiled, Flaw, flaws};
use crate::core::inventory::yaml::{self, Document, Fault, Lines, Node};
use crate::core::model::{Diagnostic, Place, Related, ServiceName, Severity};

/// Most diagnostics of one file. Past a hundred nobody reads them one by one, and a file of nothing but faults must not
/// take many times its size in memory.
pub(in crate::core::inventory) const FILE_DIAGNOSTICS_MAX: usize = 100;

/// How the text begins that Git LFS commits in place of a file (its specification, "The Pointer").
const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/";

/// Reads files one after the other; a tree is dropped before the next file is read.
pub(super) fn read_all(sources: &[Source<'_>]) -> (Documents, Vec<Diagnostic>) {
    let mut documents = Documents::default();
    let mut diagnostics = Vec::new();
    for source in sources {
        let mut file = Reading { source, documents: &mut documents, found: Vec::new() };
        file.read();
        diagnostics.append(&mut file.found);
    }
    (documents, diagnostics)
}

struct Reading<'r> {
    source: &'r Source<'r>,
    documents: &'r mut Documents,
    found: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn read(&mut self) {
        let text = match std::str::from_utf8(self.source.bytes) {
            Ok(text) => text,
            Err(error) => {
                self.not_utf8(error.valid_up_to());
                return;
            }
        };
        if text.starts_with(LFS_POINTER) {
            self.lfs_pointer();
            return;
        }
        let stream = yaml::read(text);
        if stream.faults.is_empty() && stream.documents.is_empty() {
            self.report("empty-file", Severity::Warning, None, "this file declares nothing".to_owned());
            self.hint("write a document into it, or remove it");
        }
        for fault in stream.faults {
            self.fault(fault);
        }
        if stream.is_cut {
            remember_names(&mut self.documents.broken, self.source.kind, text);
        }
        for (index, document) in stream.documents.iter().enumerate() {
            if self.found.len() > FILE_DIAGNOSTICS_MAX {
                // Nobody knows what the rest declares.
                self.documents.broken.remember(self.source.kind, None, None);
                break;
            }
            self.document(index, document);
        }
        self.shorten();
    }

    fn document(&mut self, index: usize, document: &Document) {
        let kind = self.source.kind;
        let id = DocumentId { file: self.source.file, index };
        let value = document.root.to_value();
        let schema = Compiled::of(kind);
        let is_read = document.is_whole && schema.is_valid(&value) && self.documents.take(kind, id, &value);
        if is_read {
            return;
        }
        let root = &document.root;
        // A name that is itself at fault does not tell which one is meant.
        let name = |key| root.text(key).filter(|text| text.parse::<ServiceName>().is_ok());
        self.documents.broken.remember(kind, name("name"), name("service"));
        if !document.is_whole {
            return;
        }
        let mut flaws = flaws(schema, &value);
        if flaws.is_empty() {
            flaws.extend(refusal(kind, &value));
        }
        for flaw in flaws.into_iter().take(FILE_DIAGNOSTICS_MAX + 1) {
            self.flaw(root, flaw);
        }
    }

    fn flaw(&mut self, root: &Node, flaw: Flaw) {
        let place = match flaw.spot {
            Spot::Key => root.key_place(&flaw.pointer),
            Spot::Value => root.value_place(&flaw.pointer),
        };
        self.report(flaw.code, Severity::Error, Some(place), flaw.message);
        if let Some(hint) = flaw.hint {
            self.hint(&hint);
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.report(fault.code, Severity::Error, Some(fault.place), fault.message);
        self.hint(fault.hint);
        if let (Some((place, message)), Some(last)) = (fault.related, self.found.last_mut()) {
            last.related.push(Related { file: last.file.clone(), place, message: message.to_owned() });
        }
    }

    fn not_utf8(&mut self, valid: usize) {
        let place = Lines::of(&String::from_utf8_lossy(&self.source.bytes[..valid])).end();
        self.report("not-utf8", Severity::Error, Some(place), "this byte is not part of UTF-8 text".to_owned());
        self.hint("save the file as UTF-8");
        let text = String::from_utf8_lossy(self.source.bytes);
        remember_names(&mut self.documents.broken, self.source.kind, &text);
    }

    fn lfs_pointer(&mut self) {
        let message = "this is a pointer of Git LFS, and not the file that was committed".to_owned();
        self.report("lfs-pointer", Severity::Error, Some(Lines::of("").end()), message);
        self.hint(
            "keep the inventory out of LFS: `git lfs untrack` its pattern, `git add --renormalize` it, and commit",
        );
        // Nobody knows what it declares.
        self.documents.broken.remember(self.source.kind, None, None);
    }

    fn report(&mut self, code: &'static str, severity: Severity, place: Option<Place>, message: String) {
        let file = self.source.path.to_owned();
        self.found.push(Diagnostic { code, severity, file, place, message, hint: None, related: Vec::new() });
    }

    fn hint(&mut self, hint: &str) {
        if let Some(last) = self.found.last_mut() {
            last.hint = Some(hint.to_owned());
        }
    }

    fn shorten(&mut self) {
        if self.found.len() <= FILE_DIAGNOSTICS_MAX {
            return;
        }
        self.found.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.found.truncate(FILE_DIAGNOSTICS_MAX);
        let message = format!("more than {FILE_DIAGNOSTICS_MAX} faults in this file; the rest is not shown");
        self.report("too-many-faults", Severity::Error, None, message);
        self.hint("mend the first ones and check again");
    }
}

impl Documents {
    /// Takes a document that its schema has taken; false when its type does not.
    fn take(&mut self, kind: Kind, id: DocumentId, value: &Value) -> bool {
        match kind {
            Kind::Site => take(&mut self.sites, id, value),
            Kind::Service => take(&mut self.services, id, value),
            Kind::Backend => take(&mut self.backends, id, value),
            Kind::Edge => take(&mut self.edges, id, value),
        }
    }

    /// Adds the documents of another part of the files.
    pub(super) fn merge(&mut self, other: Self) {
        let Self { sites, services, backends, edges, broken } = other;
        self.sites.extend(sites);
        self.services.extend(services);
        self.backends.extend(backends);
        self.edges.extend(edges);
        self.broken.merge(broken);
    }

    /// True when nothing is declared.
    pub(super) fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.services.is_empty() && self.backends.is_empty() && self.edges.is_empty()
    }
}

fn take<T: DeserializeOwned>(list: &mut Vec<Declared<T>>, id: DocumentId, value: &Value) -> bool {
    match T::deserialize(value) {
        Ok(doc) => {
            list.push(Declared { doc, id });
            true
        }
        Err(_) => false,
    }
}

/// Why a document's type refuses what its schema takes, where no better words were found.
fn refusal(kind: Kind, value: &Value) -> Option<Flaw> {
    use crate::core::inventory::doc::{BackendDoc, EdgeDoc, ServiceDoc, SiteDoc};
    match kind {
        Kind::Site => refusal_of::<SiteDoc>(value),
        Kind::Service => refusal_of::<ServiceDoc>(value),
        Kind::Backend => refusal_of::<BackendDoc>(value),
        Kind::Edge => refusal_of::<EdgeDoc>(value),
    }
}

fn refusal_of<T: DeserializeOwned>(value: &Value) -> Option<Flaw> {
    use serde_path_to_error::Segment;
    let error = serde_path_to_error::deserialize::<_, T>(value).err()?;
    let token = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", yaml::escape(key)),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    let pointer: String = error.path().iter().map(token).collect();
    Some(Flaw::value("bad-value", &pointer, error.inner().to_string()))
}

/// Remembers what a text that is not YAML seems to declare: lines that begin with `name:` or `service:`.
fn remember_names(broken: &mut Broken, kind: Kind, text: &str) {
    let values = |key: &'static str| {
        let value = move |line: &'_ str| -> Option<String> {
            let value = line.strip_prefix(key)?.split('#').next()?.trim().trim_matches(['"', '\'']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        text.lines().filter_map(value).collect::<Vec<_>>()
    };
    let (names, services) = (values("name:"), values("service:"));
    if names.is_empty() {
        broken.remember(kind, None, None);
    }
    for name in &names {
        broken.remember(kind, Some(name), services.first().map(String::as_str));
    }
    for service in &services {
        broken.remember(kind, names.first().map(String::as_str), Some(service));
    }
}
