use std::collections::BTreeMap;

use crate::core::inventory::Kind;
use crate::core::inventory::suggest::{closest, listed};
use crate::core::model::{Diagnostic, FileSet, Severity};

/// A file to read.
#[derive(Debug, Clone, Copy)]
pub(in crate::core::inventory) struct Source<'f> {
    /// Position in the file set.
    pub(in crate::core::inventory) file: usize,
    /// What its folder says that it declares.
    pub(in crate::core::inventory) kind: Kind,
    /// Path below the inventory's root.
    pub(in crate::core::inventory) path: &'f str,
    /// What is in it.
    pub(in crate::core::inventory) bytes: &'f [u8],
}

/// Picks the files of an inventory, and warns of YAML in folders that mean nothing, once for each folder. Hidden folders
/// belong to other tools.
pub(in crate::core::inventory) fn sort<'f>(files: &[(&'f str, &'f [u8])]) -> (Vec<Source<'f>>, Vec<Diagnostic>) {
    let mut sources = Vec::new();
    let mut strays: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (file, &(path, bytes)) in files.iter().enumerate() {
        let is_hidden = path.split('/').any(|part| part.starts_with('.'));
        if is_hidden || !FileSet::is_inventory_file(path) {
            continue;
        }
        let folder = path.split_once('/').map_or("", |(folder, _)| folder);
        match Kind::of_folder(folder) {
            Some(kind) => sources.push(Source { file, kind, path, bytes }),
            None => strays.entry(folder).or_insert((path, 0)).1 += 1,
        }
    }
    let warnings = strays.into_iter().map(|(folder, (path, count))| unknown_folder(folder, path, count)).collect();
    (sources, warnings)
}

fn unknown_folder(folder: &str, path: &str, count: usize) -> Diagnostic {
    let folders = Kind::ALL.map(Kind::folder);
    let others = if count > 1 { format!(" (and {} more there)", count - 1) } else { String::new() };
    let message = if folder.is_empty() {
        format!("this file is in no folder, so it declares nothing{others}")
    } else {
        format!("the folder `{folder}` means nothing, so this file declares nothing{others}")
    };
    let hint = match closest(folder, folders) {
        Some(near) => format!("did you mean `{near}/`?"),
        None => format!("move it to one of {}", listed(folders)),
    };
    Diagnostic {
        code: "unknown-folder",
        severity: Severity::Warning,
        file: path.to_owned(),
        place: None,
        message,
        hint: Some(hint),
        related: Vec::new(),
    }
}
