use std::path::Path;

use bascule::core::inventory::{Kind, embedded, schemas};

#[test]
fn committed_schemas_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (kind, generated) in schemas() {
        let path = folder.join(format!("{kind}.json"));
        if std::env::var_os("BASCULE_UPDATE").is_some() {
            std::fs::write(&path, &generated).expect("schemas/ can be written");
            continue;
        }
        let committed = std::fs::read_to_string(&path).expect("schemas/ holds one file a kind");
        assert!(
            committed == generated,
            "{} is not what the types say; run `bascule schema --write` and commit what it changes",
            path.display()
        );
        assert_eq!(embedded(kind), committed, "the program was built from another {kind}.json");
    }
    assert_eq!(std::fs::read_dir(folder).expect("schemas/ can be listed").count(), Kind::ALL.len());
}
