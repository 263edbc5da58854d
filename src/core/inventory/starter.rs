//! What `bascule init` writes: a commented inventory of two sites, to be edited.

use super::schema::Kind;

macro_rules! starter_files {
    ($($path:literal),* $(,)?) => {
        [$((concat!("inventory/", $path), include_str!(concat!("starter/", $path)))),*]
    };
}

const FILES: [(&str, &str); 6] = starter_files![
    "sites/dijon.yaml",
    "sites/thory.yaml",
    "services/api.yaml",
    "backends/api-dijon-1.yaml",
    "backends/api-thory-1.yaml",
    "edges/ovh.yaml",
];

/// Paths with texts: the inventory, and the schemas that its files point an editor to.
pub fn starter() -> Vec<(&'static str, &'static str)> {
    let schema = |kind: Kind| {
        let path = match kind {
            Kind::Site => ".bascule/schemas/site.json",
            Kind::Service => ".bascule/schemas/service.json",
            Kind::Backend => ".bascule/schemas/backend.json",
            Kind::Edge => ".bascule/schemas/edge.json",
        };
        (path, kind.schema())
    };
    FILES.into_iter().chain(Kind::ALL.map(schema)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::inventory::load;
    use crate::core::model::{FileSet, Revision};

    #[test]
    fn the_starter_is_clean() {
        let inventory =
            |(path, text): (&'static str, &'static str)| Some((path.strip_prefix("inventory/")?, text.as_bytes()));
        let files: FileSet = starter().into_iter().filter_map(inventory).collect();
        assert_eq!(files.len(), FILES.len());
        let loaded = load(&files, Revision::new("starter"));
        assert_eq!(loaded.diagnostics, []);
    }
}
