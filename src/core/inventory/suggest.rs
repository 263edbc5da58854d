/// The candidate that `text` was most likely meant to be, where one is close enough.
///
/// Close is about a third of the length in edits: `torry` is `thory`, `db` is not `ui`.
pub(in crate::core) fn closest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let text = text.to_lowercase();
    let allowed = ((text.chars().count() + 1) / 3).max(1);
    let rated = candidates.into_iter().filter_map(|candidate| {
        // The distance is at least the difference in length; most candidates of a large inventory end here.
        let lengths_are_close = candidate.len().abs_diff(text.len()) <= allowed;
        let distance = lengths_are_close.then(|| strsim::osa_distance(&text, candidate))?;
        (distance <= allowed).then_some((distance, candidate))
    });
    rated.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Names in back quotes with commas between them.
pub(super) fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_names_are_suggested() {
        for (text, expected) in [
            ("dijno", Some("dijon")),
            ("Dijon", Some("dijon")),
            ("thorry", Some("thory")),
            ("paris", None),
            ("d", None),
            ("", None),
        ] {
            assert_eq!(closest(text, ["dijon", "thory"]), expected, "{text:?}");
        }
    }
}
