use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::escape::code;
use super::{Kind, Review, ServiceReview};
use crate::core::model::{EdgeName, counted};
use crate::core::simulate::{Share, by_site};

/// Longest Markdown: GitHub takes 65,536 characters in a comment, and some room is left for a marker and a heading.
const MARKDOWN_MAX: usize = 65_000;

/// A review for people at a terminal.
pub fn text(review: &Review) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for service in &review.services {
        let _ = writeln!(text, "{} service {}", sign(service.kind), line(service));
        for detail in &service.details {
            let _ = writeln!(text, "    {detail}");
        }
        for site in &service.exposed {
            let _ = writeln!(text, "  ! no longer survives the loss of site:{site}");
        }
    }
    for (edge, differences) in &review.edges {
        let _ = writeln!(text, "~ edge {edge}: {}", differences.join(", "));
    }
    for edge in &review.left {
        let _ = writeln!(text, "! edge {edge} is no longer declared; it keeps what it runs");
    }
    let _ = writeln!(text, "{}", summary(review));
    text
}

/// A review for a pull request: the summary and a table first, details folded. What would make it too long for a comment is left
/// out, and that is said.
pub fn markdown(review: &Review) -> String {
    let mut text = format!("**{}**\n", summary(review));
    push_changes(&mut text, review, MARKDOWN_MAX);
    text
}

/// What changes, without the summary, as Markdown up to a length of all.
pub(super) fn push_changes(text: &mut String, review: &Review, length_max: usize) {
    let start = text.len();
    // What `part` of the room may be full to.
    let up_to = |part: usize| start + length_max.saturating_sub(start) / 4 * part;
    let exposed: Vec<_> = review.services.iter().filter(|it| !it.exposed.is_empty()).collect();
    if !exposed.is_empty() {
        text.push('\n');
    }
    let warnings = exposed.iter().map(|it| {
        let sites: Vec<_> = it.exposed.iter().map(|site| format!("`site:{site}`")).collect();
        format!("- :warning: `{}`{} no longer survives the loss of {}\n", it.service, critical(it), sites.join(", "))
    });
    push_all(text, warnings, up_to(1));
    let left = review.left.iter();
    let left = left.map(|edge| format!("- :warning: edge `{edge}` is no longer declared; it keeps what it runs\n"));
    let edges = review.edges.iter().map(|(edge, differences)| {
        let differences: Vec<_> = differences.iter().map(|it| code(it)).collect();
        format!("- edge `{edge}`: {}\n", differences.join(", "))
    });
    push_all(text, left.chain(edges), up_to(2));
    if review.services.is_empty() {
        return;
    }
    text.push_str("\n| | service | requests before | requests after |\n| --- | --- | --- | --- |\n");
    let rows = review.services.iter().map(|it| {
        let (name, before, after) = (&it.service, shares(&it.before), shares(&it.after));
        format!("| {} | `{name}`{} | {before} | {after} |\n", sign(it.kind), critical(it))
    });
    push_all(text, rows, up_to(2));
    let detailed: Vec<_> = review.services.iter().filter(|it| !it.details.is_empty()).collect();
    if !detailed.is_empty() {
        text.push_str("\n<details><summary>Details</summary>\n\n");
        let details = detailed.iter().flat_map(|it| {
            std::iter::once(format!("- `{}`\n", it.service))
                .chain(it.details.iter().map(|detail| format!("  - {}\n", code(detail))))
        });
        push_all(text, details, length_max.saturating_sub(200));
        text.push_str("\n</details>\n");
    }
}

/// Takes lines up to a length of all, and says how many are left out.
pub(super) fn push_all(text: &mut String, mut lines: impl Iterator<Item = String>, length_max: usize) {
    while let Some(line) = lines.next() {
        if text.len() + line.len() > length_max {
            let _ = writeln!(text, "\n{} left out, to fit into a comment", counted(lines.count() + 1, "more line"));
            return;
        }
        text.push_str(&line);
    }
}

/// A review for programs.
#[expect(clippy::missing_panics_doc, reason = "text and numbers always serialize")]
pub fn json(review: &Review) -> String {
    let mut text = serde_json::to_string_pretty(&ReviewDto::of(review)).expect("a review is text and numbers");
    text.push('\n');
    text
}

const fn sign(kind: Kind) -> char {
    match kind {
        Kind::Added => '+',
        Kind::Changed => '~',
        Kind::Removed => '-',
    }
}

fn critical(service: &ServiceReview) -> &'static str {
    if service.is_critical { " (critical)" } else { "" }
}

fn shares(shares: &[Share]) -> String {
    if shares.is_empty() { "none".to_owned() } else { by_site(shares) }
}

fn line(service: &ServiceReview) -> String {
    let ServiceReview { service: name, kind, before, after, .. } = service;
    let name = format!("{name}{}", critical(service));
    match kind {
        Kind::Added => format!("{name}  {}", shares(after)),
        Kind::Removed => name,
        Kind::Changed if by_site(before) == by_site(after) => format!("{name}  {}", shares(after)),
        Kind::Changed => format!("{name}  {} -> {}", shares(before), shares(after)),
    }
}

fn summary(review: &Review) -> String {
    format!("Plan: {}", counts(review))
}

/// How much changes, in words that are all bascule's own or names.
pub(super) fn counts(review: &Review) -> String {
    if review.is_empty() {
        return "no changes".to_owned();
    }
    let (added, changed, removed) =
        (review.count(Kind::Added), review.count(Kind::Changed), review.count(Kind::Removed));
    let pushes = match &review.pushes[..] {
        [] => "no push needed".to_owned(),
        edges => {
            let names: Vec<_> = edges.iter().map(EdgeName::as_str).collect();
            format!("{} needed: {}", counted(edges.len(), "push"), names.join(", "))
        }
    };
    let affected = counted(review.services.len(), "service");
    format!("{added} to add, {changed} to change, {removed} to remove; {affected} affected; {pushes}")
}

#[derive(Debug, Serialize)]
struct ReviewDto<'a> {
    services: Vec<ServiceDto<'a>>,
    pushes: &'a [EdgeName],
    /// Settings that differ, by edge.
    edges: BTreeMap<&'a str, &'a [String]>,
    edges_left: &'a [EdgeName],
}

#[derive(Debug, Serialize)]
struct ServiceDto<'a> {
    name: String,
    /// `added`, `changed` or `removed`.
    change: &'static str,
    critical: bool,
    /// Shares of requests by backend, from 0 to 1.
    before: BTreeMap<String, f64>,
    after: BTreeMap<String, f64>,
    details: &'a [String],
    /// Targets whose loss it survives no longer.
    no_longer_survives: Vec<String>,
}

impl<'a> ReviewDto<'a> {
    fn of(review: &'a Review) -> Self {
        let by_backend = |shares: &[Share]| shares.iter().map(|it| (it.backend.to_string(), it.share)).collect();
        let service = |it: &'a ServiceReview| ServiceDto {
            name: it.service.to_string(),
            change: match it.kind {
                Kind::Added => "added",
                Kind::Changed => "changed",
                Kind::Removed => "removed",
            },
            critical: it.is_critical,
            before: by_backend(&it.before),
            after: by_backend(&it.after),
            details: &it.details,
            no_longer_survives: it.exposed.iter().map(|site| format!("site:{site}")).collect(),
        };
        let Review { services, pushes, edges, left } = review;
        let edges = edges.iter().map(|(edge, differences)| (edge.as_str(), &differences[..])).collect();
        Self { services: services.iter().map(service).collect(), pushes, edges, edges_left: left }
    }
}
