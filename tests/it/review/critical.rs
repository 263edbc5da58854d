//! What `--require` refuses.

use bascule::core::review::{Proposal, comment};

use super::{BACKENDS, SERVICES, of, told};

/// Who may take a mark off may remove what is without one, in two changes that each say what they do.
#[test]
fn what_is_critical_is_not_removed_in_one_change() {
    let (before, without_marks) = (of(SERVICES, BACKENDS), SERVICES.replace(", critical: true", ""));
    let (first, others) = SERVICES.split_once("---\n").expect("several services");
    let other_backends = BACKENDS.split_once("{service: docs").map(|(_, rest)| format!("{{service: docs{rest}"));
    let removed = of(others, &other_backends.expect("several backends"));
    let told_of = told(Some(&before), Some(&removed), &[]);
    let line = "service api is critical, and removed; if that is meant, take `critical` off it in a change before";
    assert_eq!((told_of.is_good, &told_of.failed[..], told_of.words.as_str()), (false, &[line.to_owned()][..], line));
    assert!(told_of.markdown.contains("### :x: Bascule: it removes a critical service\n"), "{}", told_of.markdown);
    assert!(told_of.markdown.contains(&format!("| required | :x: {line} |")), "{}", told_of.markdown);

    let unmarked = of(&without_marks, BACKENDS);
    for (before, after) in [
        (&before, &unmarked),
        (&unmarked, &removed),
        (
            &before,
            &of(
                &format!("{}---\n{others}", first.replace("name: api", "name: web")),
                &BACKENDS.replace("service: api", "service: web"),
            ),
        ),
    ] {
        let told_of = told(Some(before), Some(after), &[]);
        assert!(told_of.is_good, "{:?}", told_of.failed);
    }
    let (against, files) = ("origin/main", 9);
    let (before, after) = (Some(&before), Some(&removed));
    let proposal = Proposal { folder: "", against, files, diagnostics: &[], before, after, is_required: false };
    assert!(comment(&proposal).is_good, "nothing is required");
}
