use std::path::Path;

use bascule::core::inventory::{Kind, starter};
use bascule::core::model::FileSet;

use super::{files_of, load_files};

/// The line by which an editor finds the schema.
const MODELINE: &str = "# yaml-language-server: $schema=";

#[test]
fn the_example_is_without_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("examples/acecinema/inventory");
    let files = files_of(&folder);
    let loaded = load_files(&files);
    assert_eq!(loaded.diagnostics, []);
    let desired = loaded.desired.expect("no diagnostics");
    assert_eq!((desired.sites.len(), desired.services.len(), desired.edges.len()), (2, 2, 1));
    for service in desired.services.keys() {
        for site in desired.sites.keys() {
            let count = desired.backends.values().filter(|it| it.service == *service && it.site == *site).count();
            assert!(count >= 2, "{service} has {count} backends at {site}");
        }
    }
    let schemas = root.join("schemas").canonicalize().expect("schemas/ is there");
    for (path, bytes) in files.iter() {
        let schema = modeline(path, std::str::from_utf8(bytes).expect("UTF-8"));
        let file = folder.join(path);
        let found = file.parent().expect("a folder").join(schema).canonicalize();
        assert_eq!(found.expect("the modeline leads to a file"), schemas.join(schema_of(path)), "{path}");
    }
}

#[test]
fn the_starter_is_without_fault() {
    let files: FileSet = starter().into_iter().map(|(path, text)| (path, text.as_bytes())).collect();
    let loaded = load_files(&files);
    assert_eq!(loaded.diagnostics, []);
    assert!(loaded.desired.is_some_and(|desired| desired.edges.len() == 1 && desired.backends.len() == 2));
    for (path, bytes) in files.iter() {
        let schema = modeline(path, std::str::from_utf8(bytes).expect("UTF-8"));
        let below_root = schema.strip_prefix("../").expect("each file is one folder deep");
        assert_eq!(below_root, format!(".bascule/schemas/{}", schema_of(path)), "{path}");
    }
}

fn modeline<'t>(path: &str, text: &'t str) -> &'t str {
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix(MODELINE).unwrap_or_else(|| panic!("{path} does not begin with the modeline"))
}

fn schema_of(path: &str) -> String {
    let folder = path.split('/').next().unwrap_or_default();
    format!("{}.json", Kind::of_folder(folder).expect("a kind's folder"))
}
