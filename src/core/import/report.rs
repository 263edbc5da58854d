use std::fmt::Write as _;

use super::{Difference, Import};
use crate::core::model::counted;

/// Of what is alike, so many are shown where a report is folded.
const SHOWN_MAX: usize = 3;

/// How long a report may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Of what is alike, the first few and how many more there are.
    Folded,
    /// All of it.
    Whole,
}

/// The report for people: what was left out, what is proved, what differs.
pub fn text(import: &Import, extent: Extent) -> String {
    let Import { left_out, proof, .. } = import;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a text takes every line");
    if !left_out.is_empty() {
        line(format!("not carried over, or not as it was ({}):", left_out.len()));
        for (why, places) in alike(left_out.iter().map(|(at, why)| (why, at.clone()))) {
            line(format!("  {}: {why}", named(&places, extent)));
        }
    }
    let reach = if proof.proved.len() == 1 { "reaches" } else { "reach" };
    line(format!("proved: {} {reach} the same upstreams", counted(proof.proved.len(), "request")));
    let (explained, unexplained): (Vec<_>, Vec<_>) = proof.differences.iter().partition(|it| it.reason.is_some());
    for (heading, differences) in [("explained", explained), ("NOT EXPLAINED", unexplained)] {
        if !differences.is_empty() {
            line(format!("{}, {heading}:", counted(differences.len(), "difference")));
        }
        let of = |Difference { request, before, after, reason }: &'_ Difference| {
            ((before.clone(), after.clone(), reason.clone()), format!("{}{}", request.host, request.path))
        };
        for ((before, after, reason), requests) in alike(differences.into_iter().map(of)) {
            line(format!("  {}: {before} before, {after} after", named(&requests, extent)));
            if let Some(reason) = &reason {
                line(format!("    {reason}"));
            }
        }
    }
    text
}

/// What has the same kind together, each kind where its first one stood.
fn alike<K: PartialEq>(items: impl Iterator<Item = (K, String)>) -> Vec<(K, Vec<String>)> {
    let mut kinds: Vec<(K, Vec<String>)> = Vec::new();
    for (kind, item) in items {
        match kinds.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, items)) => items.push(item),
            None => kinds.push((kind, vec![item])),
        }
    }
    kinds
}

fn named(items: &[String], extent: Extent) -> String {
    match items.len().saturating_sub(SHOWN_MAX) {
        more if more > 0 && extent == Extent::Folded => format!("{} and {more} more", items[..SHOWN_MAX].join(", ")),
        _ => items.join(", "),
    }
}
