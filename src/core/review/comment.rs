use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::escape::{cell, code, in_comment};
use super::report::{counts, push_all, push_changes};
use super::{Review, review};
use crate::core::inventory::{Backend, Desired, Loss, RevisionGuard, Service, lost_services};
use crate::core::model::{Diagnostic, ServiceName, Severity, counted};
use crate::core::routing::Target;
use crate::core::simulate::{Outcome, by_site, simulate, single_losses};

/// Longest comment, in bytes. GitHub takes 65,535 characters, and the others more.
const LENGTH_MAX: usize = 65_535;
/// What faults may take of it, and losses: what changes has the rest, 38 kB, where both are full.
const FAULTS_MAX: usize = 15_000;
const LOSSES_MAX: usize = 12_000;
/// Names in one line.
const NAMED_MAX: usize = 5;

/// An inventory that is to take the place of another.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// Its folder from the root of the repository, with a slash at its end; empty for the root.
    pub folder: &'a str,
    /// What it is compared with, as people name it.
    pub against: &'a str,
    /// How many files it has.
    pub files: usize,
    /// What is wrong with it.
    pub diagnostics: &'a [Diagnostic],
    /// What was declared; none where that has errors.
    pub before: Option<&'a Desired>,
    /// What it declares; none where it has errors.
    pub after: Option<&'a Desired>,
    /// Whether critical services must survive every single loss, and the proposal itself.
    pub is_required: bool,
}

/// What is told about a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// What the text begins with, and is found by again: the same for each proposal in this folder.
    pub marker: String,
    /// The text, as Markdown.
    pub markdown: String,
    /// True where nothing speaks against it.
    pub is_good: bool,
    /// All of it in one line of plain text.
    pub words: String,
    /// Critical services that would be down or are removed, each with what takes it down; empty where none is required.
    pub failed: Vec<String>,
}

/// A service that a loss takes down: what is lost, and which.
type Fall = (String, ServiceName);

/// What one loss does.
#[derive(Debug, Default)]
struct Harm {
    down: Vec<ServiceName>,
    /// With what is left of each, by site.
    degraded: Vec<(ServiceName, String)>,
}

/// What each loss of one site or one backend does, sites first. Losses that do nothing are not in it.
type Harms = BTreeMap<(bool, String), Harm>;

/// What a proposal does to traffic, and to what survives.
struct Effects {
    /// None where there is nothing to compare with.
    review: Option<Review>,
    /// Services that survived a loss, or were not there, and go down with it now.
    new_falls: Vec<Fall>,
    harms: Harms,
    failed: Vec<String>,
    /// Critical services that it removes; none where none is required.
    removed: Vec<ServiceName>,
    /// What it takes out, where a controller with the default guard does not let that pass by itself.
    held: Option<Loss>,
}

/// Tells about a proposal: a summary first, then faults, what changes, and what losses do; most of it folded. Nothing that is
/// written in an inventory can pass for any other part of it.
pub fn comment(proposal: &Proposal<'_>) -> Comment {
    let effects = proposal.after.map(|after| Effects::of(proposal, after));
    let failed = effects.as_ref().map(|effects| effects.failed.clone()).unwrap_or_default();
    let is_good = proposal.after.is_some() && failed.is_empty();
    let folder = proposal.folder.trim_end_matches('/');
    let marker = format!("<!-- bascule review {} -->", in_comment(if folder.is_empty() { "." } else { folder }));
    let mut text = format!("{marker}\n");
    push_head(&mut text, proposal, effects.as_ref());
    push_faults(&mut text, proposal);
    if let Some(effects) = &effects {
        // What is shorter comes last, and is made first: what changes has the room that is left.
        let losses = losses(effects);
        let end = end(proposal);
        let length_max = LENGTH_MAX - losses.len() - end.len();
        if let Some(review) = effects.review.as_ref().filter(|review| !review.is_empty()) {
            text.push_str("\n#### What changes\n");
            push_changes(&mut text, review, length_max);
        }
        text.push_str(&losses);
        text.push_str(&end);
    }
    Comment { marker, markdown: text, is_good, words: words(proposal, effects.as_ref()), failed }
}

impl Effects {
    fn of(proposal: &Proposal<'_>, after: &Desired) -> Self {
        let harms = harms(after);
        let falls = falls(&harms);
        let required = proposal.is_required.then_some(&falls).into_iter().flatten();
        let is_critical = |service: &ServiceName| after.services.get(service).is_some_and(|it| it.critical);
        let down = required
            .filter(|(_, service)| is_critical(service))
            .map(|(lost, service)| format!("service {service} is critical, and down with {lost} lost"));
        let removed = proposal.before.filter(|_| proposal.is_required).map(|before| lost_services(before, after));
        let removed: Vec<_> = removed.into_iter().flatten().filter(|service| service.critical).collect();
        let gone = |service: &&Service| {
            let name = &service.name;
            format!(
                "service {name} is critical, and removed; if that is meant, take `critical` off it in a change before"
            )
        };
        let failed = removed.iter().map(gone).chain(down).collect();
        let removed = removed.into_iter().map(|service| service.name.clone()).collect();
        let fallen = proposal.before.map(|before| self::falls(&self::harms(before))).unwrap_or_default();
        let is_known = proposal.before.is_some();
        let new_falls = falls.into_iter().filter(|fall| is_known && !fallen.contains(fall)).collect();
        let loss = proposal.before.map(|before| Loss::between(before, after));
        let held = loss.filter(|loss| loss.is_beyond(RevisionGuard::default()));
        Self { review: proposal.before.map(|before| review(before, after)), new_falls, harms, failed, removed, held }
    }
}

/// Services do not depend on each other, so each is asked about its own backends alone: of 500 services and 10,000 backends
/// all forecasts together would be five million.
fn harms(desired: &Desired) -> Harms {
    let mut backends: BTreeMap<&ServiceName, Vec<&Arc<Backend>>> = BTreeMap::new();
    for backend in desired.backends.values() {
        backends.entry(&backend.service).or_default().push(backend);
    }
    let mut harms = Harms::new();
    for (name, service) in &desired.services {
        let own = backends.remove(name).unwrap_or_default();
        let alone = Desired {
            revision: desired.revision.clone(),
            sites: desired.sites.clone(),
            services: BTreeMap::from([(name.clone(), Arc::clone(service))]),
            backends: own.into_iter().map(|backend| (backend.name.clone(), Arc::clone(backend))).collect(),
            edges: BTreeMap::new(),
        };
        for forecast in simulate(&alone, &single_losses(&alone)) {
            let is_backend = matches!(forecast.lost[..], [Target::Backend(_)]);
            let place = (is_backend, forecast.lost_words());
            for it in forecast.services {
                match it.outcome {
                    Outcome::Down => harms.entry(place.clone()).or_default().down.push(it.service),
                    Outcome::Degraded => {
                        let left = by_site(&it.shares);
                        harms.entry(place.clone()).or_default().degraded.push((it.service, left));
                    }
                    Outcome::Survives | Outcome::Maintenance => {}
                }
            }
        }
    }
    harms
}

fn falls(harms: &Harms) -> BTreeSet<Fall> {
    let of = |((_, lost), harm): (&(bool, String), &Harm)| {
        harm.down.iter().map(|service| (lost.clone(), service.clone())).collect::<Vec<_>>()
    };
    harms.iter().flat_map(of).collect()
}

/// Errors and warnings.
fn count(diagnostics: &[Diagnostic]) -> (usize, usize) {
    let errors = diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
    (errors, diagnostics.len() - errors)
}

fn push_head(text: &mut String, proposal: &Proposal<'_>, effects: Option<&Effects>) {
    let (errors, warnings) = count(proposal.diagnostics);
    let (sign, title) = match effects {
        None => (
            ":x:",
            "it has errors: a controller keeps the services that have them as they are, or waits with all of it",
        ),
        Some(effects) if !effects.removed.is_empty() => (":x:", "it removes a critical service"),
        Some(effects) if !effects.failed.is_empty() => (":x:", "a critical service would not survive a loss"),
        Some(effects) if effects.held.is_some() => (":warning:", "it takes out so much that a controller holds it"),
        Some(effects) if warnings > 0 || !effects.new_falls.is_empty() => {
            (":warning:", "it can be served; there is something to look at")
        }
        Some(_) => (":white_check_mark:", "it can be served"),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "### {sign} Bascule: {title}\n");
    let check = match (errors, warnings) {
        (0, 0) => "no errors and no warnings".to_owned(),
        (0, _) => counted(warnings, "warning"),
        (_, 0) => counted(errors, "error"),
        (_, _) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    let _ = writeln!(text, "| | |\n| --- | --- |\n| check | {check} in {} |", counted(proposal.files, "file"));
    let Some(effects) = effects else { return };
    let against = cell(proposal.against);
    match &effects.review {
        Some(review) => {
            let _ = writeln!(text, "| against {against} | {} |", counts(review));
        }
        None => {
            let _ = writeln!(text, "| against {against} | it has errors: there is nothing to compare with |");
        }
    }
    if let Some(loss) = &effects.held {
        // Names of sites and numbers alone.
        let (out, trailer) = (loss.words(), code(&loss.trailer()));
        let _ =
            writeln!(text, "| takes out | :warning: {out}; by default that needs the trailer {trailer} on a commit |");
    }
    let _ = writeln!(text, "| losses | {} |", falls_in_words(effects));
    if !effects.failed.is_empty() {
        let _ = writeln!(text, "| required | :x: {} |", failed_in_words(&effects.failed));
    }
}

/// Names and numbers alone.
fn falls_in_words(effects: &Effects) -> String {
    if effects.review.is_none() {
        let down: BTreeSet<_> = effects.harms.values().flat_map(|harm| &harm.down).collect();
        return format!("some take {} down", counted(down.len(), "service"));
    }
    let mut by_service: BTreeMap<&ServiceName, Vec<&str>> = BTreeMap::new();
    for (lost, service) in &effects.new_falls {
        by_service.entry(service).or_default().push(lost);
    }
    if by_service.is_empty() {
        return "none takes down what it did not before".to_owned();
    }
    let named = |(service, lost): (&&ServiceName, &Vec<&str>)| {
        let more = lost.len().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{service} ({}{more})", lost[0])
    };
    let mut names: Vec<_> = by_service.iter().take(NAMED_MAX).map(named).collect();
    if by_service.len() > NAMED_MAX {
        names.push(format!("and {} more", by_service.len() - NAMED_MAX));
    }
    format!(":warning: {} newly down with one: {}", counted(by_service.len(), "service"), names.join(", "))
}

fn failed_in_words(failed: &[String]) -> String {
    match failed {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

fn push_faults(text: &mut String, proposal: &Proposal<'_>) {
    let of = |severity| proposal.diagnostics.iter().filter(move |it| it.severity == severity);
    let line = |it: &Diagnostic| fault(it, proposal.folder);
    let (errors, warnings) = count(proposal.diagnostics);
    let start = text.len();
    if errors > 0 {
        text.push_str("\n#### Faults\n\n");
        push_all(text, of(Severity::Error).map(line), start + FAULTS_MAX * 2 / 3);
    }
    if warnings > 0 {
        let _ = writeln!(text, "\n<details><summary>{}</summary>\n", counted(warnings, "warning"));
        push_all(text, of(Severity::Warning).map(line), start + FAULTS_MAX);
        text.push_str("\n</details>\n");
    }
}

fn fault(diagnostic: &Diagnostic, folder: &str) -> String {
    let Diagnostic { code: name, severity, file, place, message, hint, related } = diagnostic;
    let mut line = format!("- **{severity}** `{name}`");
    if !file.is_empty() {
        let at = place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
        let _ = write!(line, " at {}", code(&format!("{folder}{file}{at}")));
    }
    let _ = write!(line, ": {}", code(message));
    for it in related {
        let at = format!("{folder}{}:{}:{}", it.file, it.place.line, it.place.column);
        let _ = write!(line, "; {} at {}", code(&it.message), code(&at));
    }
    if let Some(hint) = hint {
        let _ = write!(line, "; help: {}", code(hint));
    }
    line.push('\n');
    line
}

/// The losses that take something down, those first that did not before.
fn losses(effects: &Effects) -> String {
    let mut text = String::new();
    if !effects.new_falls.is_empty() {
        text.push_str("\n#### What a loss newly takes down\n\n");
        let lines =
            effects.new_falls.iter().map(|(lost, service)| format!("- :warning: `{service}` with `{lost}` lost\n"));
        push_all(&mut text, lines, LOSSES_MAX / 2);
    }
    let fatal = effects.harms.iter().filter(|(_, harm)| !harm.down.is_empty());
    let rows = fatal.map(|((_, lost), harm)| {
        let down = several(harm.down.iter().map(|service| format!("`{service}`")));
        let degraded = several(harm.degraded.iter().map(|(service, left)| format!("`{service}` ({left})")));
        format!("| `{lost}` | {down} | {degraded} |\n")
    });
    let rows: Vec<_> = rows.collect();
    let _ = writeln!(text, "\n<details><summary>What losses take down: {}</summary>\n", counted(rows.len(), "loss"));
    if rows.is_empty() {
        text.push_str("No loss of one site or one backend takes a service down.\n");
    } else {
        text.push_str("| lost | down | with less |\n| --- | --- | --- |\n");
        push_all(&mut text, rows.into_iter(), LOSSES_MAX - 200);
    }
    text.push_str("\n</details>\n");
    text
}

/// The first few of some names, and how many more there are.
fn several(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut shown: Vec<_> = names.take(NAMED_MAX).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

fn end(proposal: &Proposal<'_>) -> String {
    let compared = code(proposal.against);
    format!("\n<sub>Compared with {compared}. No edge was asked, and every backend counts as up.</sub>\n")
}

/// All of it in one line, for a status.
fn words(proposal: &Proposal<'_>, effects: Option<&Effects>) -> String {
    let Some(effects) = effects else {
        let mut errors = proposal.diagnostics.iter().filter(|it| it.severity == Severity::Error);
        let first = errors.next().map(|it| format!("{}{it}", if it.file.is_empty() { "" } else { proposal.folder }));
        let first = first.unwrap_or_else(|| "it declares nothing".to_owned());
        return match errors.count() {
            0 => first,
            more => format!("{} errors: {first}", more + 1),
        };
    };
    if !effects.failed.is_empty() {
        return failed_in_words(&effects.failed);
    }
    let falls: BTreeSet<_> = effects.new_falls.iter().map(|(_, service)| service).collect();
    let falls = match falls.len() {
        0 => String::new(),
        count => format!("; {} newly down with a loss", counted(count, "service")),
    };
    let changes = effects.review.as_ref().map_or_else(|| "no errors; nothing to compare with".to_owned(), counts);
    let held = effects.held.as_ref().map(|loss| format!("; held unless a commit says {}", loss.trailer()));
    format!("{changes}{falls}{}", held.unwrap_or_default())
}
