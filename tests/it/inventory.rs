//! See `src/core/inventory.rs`.

mod examples;
mod explanations;
mod fixtures;
mod formats;
mod formatting;
mod guard;
mod report;
mod schemas;

use std::path::Path;

use bascule::core::inventory::{Loaded, load};
use bascule::core::model::{FileSet, Revision};

/// All inventory files below a folder.
fn files_of(folder: &Path) -> FileSet {
    let mut files = FileSet::new();
    collect(folder, folder, &mut files);
    files
}

fn collect(root: &Path, folder: &Path, files: &mut FileSet) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        let below = path.strip_prefix(root).expect("below the root").to_str().expect("a UTF-8 name").to_owned();
        if path.is_dir() {
            collect(root, &path, files);
        } else if FileSet::is_inventory_file(&below) {
            files.insert(below, std::fs::read(&path).expect("a file can be read"));
        }
    }
}

fn load_files(files: &FileSet) -> Loaded {
    load(files, Revision::new("test"))
}
