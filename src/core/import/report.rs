use std::fmt::Write as _;

use super::Import;
use crate::core::model::counted;

/// The report for people: what was left out, what is proved, what differs.
pub fn text(import: &Import) -> String {
    let Import { left_out, proof, .. } = import;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a text takes every line");
    if !left_out.is_empty() {
        line(format!("not carried over, or not as it was ({}):", left_out.len()));
        for (at, why) in left_out {
            line(format!("  {at}: {why}"));
        }
    }
    let reach = if proof.proved.len() == 1 { "reaches" } else { "reach" };
    line(format!("proved: {} {reach} the same upstreams", counted(proof.proved.len(), "request")));
    let (explained, unexplained): (Vec<_>, Vec<_>) = proof.differences.iter().partition(|it| it.reason.is_some());
    for (heading, differences) in [("explained", explained), ("NOT EXPLAINED", unexplained)] {
        if !differences.is_empty() {
            line(format!("{}, {heading}:", counted(differences.len(), "difference")));
        }
        for difference in differences {
            let (host, path) = (&difference.request.host, &difference.request.path);
            line(format!("  {host}{path}: {} before, {} after", difference.before, difference.after));
            if let Some(reason) = &difference.reason {
                line(format!("    {reason}"));
            }
        }
    }
    text
}
