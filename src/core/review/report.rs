use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::escape::code;
use super::{Kind, Review, ServiceReview, Standing};
use crate::core::model::{BackendName, EdgeName, counted};
use crate::core::simulate::{Share, by_site, sites};

/// Longest Markdown: GitHub takes 65,536 characters in a comment, and some room is left for a marker and a heading.
const MARKDOWN_MAX: usize = 65_000;
/// Backends that are out, in one line.
const NAMED_MAX: usize = 10;

/// A review for people at a terminal.
pub fn text(review: &Review) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(standing) = &review.live {
        let _ = writeln!(text, "{}", standing_line(standing));
    }
    for service in &review.services {
        let _ = writeln!(text, "{} service {}", sign(service.kind), line(service));
        for moved in moves(service) {
            let _ = writeln!(text, "    {moved}");
        }
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
    let _ = writeln!(text, "{}\nChecksum: {}", summary(review), review.checksum);
    text
}

/// A review for a pull request: the summary and a table first, details folded. What would make it too long for a comment is left
/// out, and that is said.
pub fn markdown(review: &Review) -> String {
    let mut text = format!("**{}**\n\nChecksum: `{}`\n", summary(review), review.checksum);
    if let Some(standing) = &review.live {
        let _ = writeln!(text, "\n{}", standing_line(standing));
    }
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
        let (name, before, after) = (&it.service, shares(&it.before), after_words(it));
        format!("| {} | `{name}`{} | {before} | {after} |\n", sign(it.kind), critical(it))
    });
    push_all(text, rows, up_to(2));
    let detailed: Vec<_> = review
        .services
        .iter()
        .map(|it| (it, moves(it)))
        .filter(|(it, moves)| it.details.len() + moves.len() > 0)
        .collect();
    if !detailed.is_empty() {
        text.push_str("\n<details><summary>Details</summary>\n\n");
        let details = detailed.iter().flat_map(|(it, moves)| {
            std::iter::once(format!("- `{}`\n", it.service))
                .chain(moves.iter().chain(&it.details).map(|detail| format!("  - {}\n", code(detail))))
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
        Kind::Added => format!("{name}  {}", after_words(service)),
        Kind::Removed => name,
        Kind::Changed if by_site(before) == by_site(after) => format!("{name}  {}", after_words(service)),
        Kind::Changed => format!("{name}  {} -> {}", shares(before), after_words(service)),
    }
}

/// Shares by site after the change, and those that time alone leads to.
fn after_words(service: &ServiceReview) -> String {
    let later = service.later.as_ref().map(|later| format!(", later {}", shares(later)));
    shares(&service.after) + &later.unwrap_or_default()
}

/// The backends whose shares differ, in percent: `api-dijon-1: 67 % -> 100 %`. None of a service that comes or goes, whose
/// backends all do.
fn moves(service: &ServiceReview) -> Vec<String> {
    let ServiceReview { kind, before, after, later, .. } = service;
    if *kind != Kind::Changed {
        return Vec::new();
    }
    let steps: Vec<&[Share]> =
        [Some(before), Some(after), later.as_ref()].into_iter().flatten().map(|it| &it[..]).collect();
    let names: BTreeSet<&BackendName> = steps.iter().copied().flatten().map(|it| &it.backend).collect();
    let of = |shares: &[Share], name: &BackendName| {
        let share = shares.iter().find(|it| it.backend == *name).map_or(0.0, |it| it.share);
        format!("{:.0} %", share * 100.0)
    };
    let moved = |name: &BackendName| {
        let words: Vec<String> = steps.iter().map(|shares| of(shares, name)).collect();
        let is_moved = words.iter().any(|it| *it != words[0]);
        is_moved.then(|| format!("{name}: {}", words.join(" -> ")))
    };
    names.into_iter().filter_map(moved).collect()
}

/// What it was made against: `Live at revision 0123456789ab; out or down: api-thory-1 (down)`.
fn standing_line(Standing { revision, out }: &Standing) -> String {
    let named: Vec<_> = out.iter().take(NAMED_MAX).map(|(name, reason)| format!("{name} ({reason})")).collect();
    let out = match out.len().saturating_sub(NAMED_MAX) {
        _ if out.is_empty() => "nothing is out or down".to_owned(),
        0 => format!("out or down: {}", named.join(", ")),
        more => format!("out or down: {} and {more} more", named.join(", ")),
    };
    format!("Live at revision {}; {out}", revision.short())
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
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveDto<'a>>,
    checksum: &'a str,
}

/// What it was made against.
#[derive(Debug, Serialize)]
struct LiveDto<'a> {
    revision: &'a str,
    /// Backends that are out, or kept in though they are down, each with the reason.
    out: BTreeMap<&'a str, &'a str>,
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
    /// Where time alone changes them once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    later: Option<BTreeMap<String, f64>>,
    /// The same shares by site.
    sites: BTreeMap<String, SiteSharesDto>,
    details: &'a [String],
    /// Targets whose loss it survives no longer.
    no_longer_survives: Vec<String>,
}

impl<'a> ReviewDto<'a> {
    fn of(review: &'a Review) -> Self {
        let by_backend =
            |shares: &[Share]| shares.iter().map(|it| (it.backend.to_string(), it.share)).collect::<BTreeMap<_, _>>();
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
            later: it.later.as_deref().map(by_backend),
            sites: by_sites(it),
            details: &it.details,
            no_longer_survives: it.exposed.iter().map(|site| format!("site:{site}")).collect(),
        };
        let Review { services, pushes, edges, left, live, checksum } = review;
        let edges = edges.iter().map(|(edge, differences)| (edge.as_str(), &differences[..])).collect();
        let live = live.as_ref().map(|Standing { revision, out }| LiveDto {
            revision: revision.as_str(),
            out: out.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect(),
        });
        let services = services.iter().map(service).collect();
        Self { services, pushes, edges, edges_left: left, live, checksum: checksum.as_str() }
    }
}

/// Shares of a service at one site, from 0 to 1.
#[derive(Debug, Default, Serialize)]
struct SiteSharesDto {
    before: f64,
    after: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    later: Option<f64>,
}

fn by_sites(service: &ServiceReview) -> BTreeMap<String, SiteSharesDto> {
    let ServiceReview { before, after, later, .. } = service;
    let mut all: BTreeMap<String, SiteSharesDto> = BTreeMap::new();
    for (site, share) in sites(before) {
        all.entry(site.to_string()).or_default().before = share;
    }
    for (site, share) in sites(after) {
        all.entry(site.to_string()).or_default().after = share;
    }
    let Some(later) = later else { return all };
    for (site, share) in sites(later) {
        all.entry(site.to_string()).or_default().later = Some(share);
    }
    for site in all.values_mut() {
        site.later = site.later.or(Some(0.0));
    }
    all
}
