//! The files of services and backends in pieces, each with the services that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use crate::core::inventory::Kind;
use crate::core::inventory::load::folders;
use crate::core::inventory::yaml;
use crate::core::model::FileSet;

/// The least that can be left out by itself: the text between two document markers, which is one document mostly. Of a file
/// that cannot be read to its end it is the whole file.
#[derive(Debug)]
pub(super) struct Piece {
    kind: Kind,
    pub(super) path: String,
    /// Its lines, counted from 1.
    lines: Range<usize>,
    bytes: Range<usize>,
    documents: Vec<Document>,
    /// True where the file could not be read to its end.
    is_cut: bool,
    /// True where something of it is not in its documents.
    is_flawed: bool,
    /// Services that the text of such a file speaks of.
    seen: BTreeSet<String>,
    text: String,
}

/// What a document declares, as far as it says so.
#[derive(Debug)]
struct Document {
    name: Option<String>,
    service: Option<String>,
    value: Value,
}

/// The pieces of an inventory, with what is looked up in them.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    all: Vec<Piece>,
    by_path: BTreeMap<String, Vec<usize>>,
    /// Names of services that are declared.
    declared: BTreeSet<String>,
    /// Documents by service, those of services and those of backends.
    documents: BTreeMap<String, [BTreeSet<String>; 2]>,
    /// Services by the names of their backends.
    backends: BTreeMap<String, String>,
    /// Host names by service.
    domains: BTreeMap<String, Vec<String>>,
}

/// What is left of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it.
    All,
    /// Some of it, on the lines where it was.
    Some(String),
    /// Nothing.
    Nothing,
}

impl Pieces {
    pub(super) fn of(files: &FileSet) -> Self {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path, &**bytes)).collect();
        let (sources, _) = folders::sort(&files);
        let mut all = Self::default();
        for source in sources.iter().filter(|it| matches!(it.kind, Kind::Service | Kind::Backend)) {
            for piece in read(source) {
                all.add(piece);
            }
        }
        all
    }

    fn add(&mut self, piece: Piece) {
        for Document { name, service, value } in &piece.documents {
            let owner = if piece.kind == Kind::Service { name } else { service };
            let Some(owner) = owner else { continue };
            let place = usize::from(piece.kind == Kind::Backend);
            self.documents.entry(owner.clone()).or_default()[place].insert(value.to_string());
            match (piece.kind, name) {
                (Kind::Service, _) => {
                    self.declared.insert(owner.clone());
                    let domains = self.domains.entry(owner.clone()).or_default();
                    domains.extend(texts(&value["domains"]).map(str::to_owned));
                }
                (_, Some(name)) => _ = self.backends.insert(name.clone(), owner.clone()),
                (_, None) => {}
            }
        }
        self.by_path.entry(piece.path.clone()).or_default().push(self.all.len());
        self.all.push(piece);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.all.iter()
    }

    /// True for a file of services or backends.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// The pieces of a file; only the one on a line, where that is given.
    pub(super) fn at(&self, path: &str, line: Option<usize>) -> impl Iterator<Item = &Piece> {
        let all = self.by_path.get(path).into_iter().flatten().map(|index| &self.all[*index]);
        all.filter(move |piece| line.is_none_or(|line| piece.is_cut || piece.lines.contains(&line)))
    }

    /// True where a service is declared by this name.
    pub(super) fn declares(&self, service: &str) -> bool {
        self.declared.contains(service)
    }

    /// Names of all services that are declared.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(String::as_str)
    }

    /// True where anything belongs to this service.
    pub(super) fn has(&self, service: &str) -> bool {
        self.documents.contains_key(service)
    }

    /// True where a service is declared here as it is there.
    pub(super) fn same(&self, other: &Self, service: &str) -> bool {
        self.has(service) && self.documents.get(service) == other.documents.get(service)
    }

    /// The service that has a backend of this name.
    fn of_backend(&self, backend: &str) -> Option<&String> {
        self.backends.get(backend)
    }

    /// The services that a piece belongs to, as far as it tells, and otherwise as far as `last`, which was served before,
    /// has something in its place. Empty where nobody can say.
    pub(super) fn owners(&self, piece: &Piece, last: &Self) -> BTreeSet<String> {
        let mut owners = BTreeSet::new();
        let mut is_unclear = piece.is_cut;
        for Document { name, service, value: _ } in &piece.documents {
            let told = match piece.kind {
                Kind::Service => name.as_ref(),
                _ => service.as_ref().or_else(|| last.of_backend(name.as_ref()?)),
            };
            match told {
                Some(owner) => _ = owners.insert(owner.clone()),
                None => is_unclear = true,
            }
        }
        if !is_unclear {
            return owners;
        }
        owners.extend(piece.seen.iter().cloned());
        // What was in this file and is nowhere else now is what it most likely declares.
        let before = last.at(&piece.path, None).filter(|it| it.kind == piece.kind);
        let before = before.flat_map(|it| last.owners(it, last));
        owners.extend(before.filter(|it| piece.is_cut || !self.declares(it)));
        if owners.is_empty() && piece.kind == Kind::Service {
            owners.insert(piece.path.clone());
        }
        owners
    }

    /// The services of this inventory whose backends a piece declares for others.
    pub(super) fn robbed(&self, piece: &Piece) -> BTreeSet<String> {
        let backends = piece.documents.iter().filter(|_| piece.kind == Kind::Backend);
        backends.filter_map(|it| self.of_backend(it.name.as_ref()?)).cloned().collect()
    }

    /// True where a piece seems to take the place of a service of this inventory: it stands in its file, or has one of its
    /// names or backends.
    pub(super) fn is_succeeded(&self, service: &str, piece: &Piece) -> bool {
        let is_in_its_file = || {
            piece.kind == Kind::Service && self.at(&piece.path, None).any(|it| self.owners(it, self).contains(service))
        };
        let has_its_name =
            || self.domains.get(service).into_iter().flatten().any(|it| piece.text.contains(it.as_str()));
        self.robbed(piece).contains(service) || piece.kind == Kind::Service && has_its_name() || is_in_its_file()
    }

    /// What a service claims for itself alone: host names with paths, and addresses and names of backends.
    pub(super) fn claims(&self, service: &str) -> BTreeSet<String> {
        let Some([services, backends]) = self.documents.get(service) else { return BTreeSet::new() };
        let read = |text: &String| serde_json::from_str::<Value>(text).unwrap_or_default();
        let mut claims = BTreeSet::new();
        for value in services.iter().map(read) {
            let paths: Vec<String> = texts(&value["paths"]).map(path_key).collect();
            let paths = if paths.is_empty() { vec![path_key("/")] } else { paths };
            for host in texts(&value["domains"]).map(host_key) {
                claims.extend(paths.iter().map(|path| format!("host {host}{path}")));
            }
        }
        for value in backends.iter().map(read) {
            claims.insert(format!("address {} {}", value["addr"], value["port"]));
            claims.insert(format!("backend {}", value["name"]));
        }
        claims
    }

    /// A file without some of its pieces.
    pub(super) fn without(&self, path: &str, bytes: &[u8], is_out: impl Fn(&Piece) -> bool) -> Left {
        let (out, left): (Vec<&Piece>, Vec<&Piece>) = self.at(path, None).partition(|piece| is_out(piece));
        if out.is_empty() {
            return Left::All;
        }
        if left.iter().all(|piece| piece.documents.is_empty()) {
            return Left::Nothing;
        }
        let text = String::from_utf8_lossy(bytes);
        let mut remaining = String::with_capacity(text.len());
        for piece in self.at(path, None) {
            let text = &text[piece.bytes.clone()];
            if is_out(piece) {
                // An empty document declares nothing. The marker stays: it ends the document before.
                remaining.push_str(if is_marker(text) { "---" } else { "" });
                remaining.extend(std::iter::repeat_n('\n', text.matches('\n').count()));
            } else {
                remaining.push_str(text);
            }
        }
        Left::Some(remaining)
    }
}

impl Piece {
    /// True where nobody knows all that it declares.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// True where its documents are not all that is written.
    pub(super) const fn is_flawed(&self) -> bool {
        self.is_cut || self.is_flawed
    }
}

/// What was served of a service, as files of documents in the form of JSON, which is YAML.
pub(super) fn kept_files(service: &str, last: &Pieces) -> Vec<(String, String)> {
    let Some([services, backends]) = last.documents.get(service) else { return Vec::new() };
    let file = |kind: Kind, documents: &BTreeSet<String>| {
        let text: String = documents.iter().flat_map(|it| ["---\n", it, "\n"]).collect();
        (!text.is_empty()).then(|| (format!("{}/{service}.kept.yaml", kind.folder()), text))
    };
    [file(Kind::Service, services), file(Kind::Backend, backends)].into_iter().flatten().collect()
}

fn read(source: &folders::Source<'_>) -> Vec<Piece> {
    let folders::Source { file: _, kind, path, bytes } = *source;
    let piece = |text: &str, first: usize, start: usize| Piece {
        kind,
        path: path.to_owned(),
        lines: first..first + text.lines().count().max(1),
        bytes: start..start + text.len(),
        documents: Vec::new(),
        is_cut: false,
        is_flawed: false,
        seen: BTreeSet::new(),
        text: text.to_owned(),
    };
    let text = String::from_utf8_lossy(bytes);
    let stream = std::str::from_utf8(bytes).map(yaml::read).unwrap_or_default();
    let is_cut = stream.is_cut || std::str::from_utf8(bytes).is_err();
    let documents = stream.documents.iter().map(|document| {
        let root = &document.root;
        let text = |key| root.text(key).filter(|text| !text.is_empty()).map(str::to_owned);
        (root.place.line, Document { name: text("name"), service: text("service"), value: root.to_value() })
    });
    if is_cut {
        let documents = documents.map(|(_, document)| document).collect();
        return vec![Piece { documents, is_cut, seen: spoken_of(kind, &text), ..piece(&text, 1, 0) }];
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut start, mut first, mut at) = (0, 1, 0);
    for (line, text_of_line) in (1..).zip(text.split_inclusive('\n')) {
        if is_marker(text_of_line) && at > 0 {
            pieces.push(piece(&text[start..at], first, start));
            (start, first) = (at, line);
        }
        at += text_of_line.len();
    }
    pieces.push(piece(&text[start..], first, start));
    let index = |line: usize| pieces.partition_point(|piece| piece.lines.start <= line).saturating_sub(1);
    let documents: Vec<(usize, Document)> = documents.map(|(line, document)| (index(line), document)).collect();
    let flawed: Vec<usize> = stream.faults.iter().map(|fault| index(fault.place.line)).collect();
    for (index, document) in documents {
        pieces[index].documents.push(document);
    }
    for index in flawed {
        pieces[index].is_flawed = true;
    }
    pieces
}

/// A line that begins with `---` begins a document, whatever stands around it (YAML 1.2.2, section 9.1.2).
fn is_marker(text: &str) -> bool {
    text.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The services that a text names which cannot be read: rather one too many, which stays as it was, than one too few.
fn spoken_of(kind: Kind, text: &str) -> BTreeSet<String> {
    let key = if kind == Kind::Service { "name" } else { "service" };
    let is_of_name = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    let value = |(at, _): (usize, &str)| {
        let is_whole = !text[..at].ends_with(is_of_name);
        let rest = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
        let rest = rest.trim_start_matches([' ', '\t', '"', '\'']);
        let name = &rest[..rest.find(|it| !is_of_name(it)).unwrap_or(rest.len())];
        (is_whole && !name.is_empty()).then(|| name.to_owned())
    };
    text.match_indices(key).filter_map(value).collect()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn host_key(host: &str) -> String {
    host.parse::<crate::core::model::Hostname>().map_or_else(|_| host.to_owned(), |host| host.to_string())
}

fn path_key(path: &str) -> String {
    path.parse::<crate::core::model::PathPrefix>().map_or_else(|_| path.to_owned(), |path| path.to_string())
}
