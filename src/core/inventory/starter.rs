/// The commented inventory that `bascule init` writes: path below the inventory's root, and text. It passes every check.
///
/// The line at the top of each file leads an editor to the schemas that go with it, in a hidden folder, without a network.
pub fn starter() -> Vec<(&'static str, &'static str)> {
    vec![
        ("sites/dijon.yaml", include_str!("starter/sites/dijon.yaml")),
        ("sites/thory.yaml", include_str!("starter/sites/thory.yaml")),
        ("services/www.yaml", include_str!("starter/services/www.yaml")),
        ("backends/www-dijon-1.yaml", include_str!("starter/backends/www-dijon-1.yaml")),
        ("backends/www-thory-1.yaml", include_str!("starter/backends/www-thory-1.yaml")),
        ("edges/local.yaml", include_str!("starter/edges/local.yaml")),
    ]
}
