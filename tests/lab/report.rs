//! What a run prints: a table for each case, what holds and what does not, ratios at the end; and the same as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::contender::Contender;
use super::experiment::Case;
use super::judge::{Finding, Rule, judge};
use super::measure::{Failed, Figures, Ms, Recovery};

/// One experiment of a run.
pub(crate) struct Entry {
    pub(crate) case: Case,
    pub(crate) contender: Contender,
    pub(crate) figures: Figures,
}

/// Clients that are later than this measure the machine, and not an edge.
const BUSY: Ms = Ms(100);

const HEAD: [&str; 12] = [
    "edge",
    "requests",
    "GET failed",
    "POST failed",
    "twice",
    "resent",
    "stall",
    "in flight",
    "moved",
    "back",
    "lost",
    "reloads",
];

/// Says how to read the tables.
pub(crate) fn print_legend() {
    println!(
        "GET failed, POST failed: begun before the cut + begun in the first second after it + begun later\n\
         twice: POSTs carried out more than once    resent: GETs that a client sent again on its own\n\
         stall, in flight: longest wait of a request begun after the cut, and of one in flight at it, in ms\n\
         moved: when the last request began that the cut site answered, delayed or failed, in ms after the cut\n\
         back: from when the hub reached the cut backends until each had answered a client again, in ms\n\
         lost: streams and downloads lost of those that were not cut    reloads: configurations given to the edge\n"
    );
}

/// The table of one case.
pub(crate) fn print_case(case: Case, entries: &[&Entry]) {
    println!("{}: {}", case.name(), case.about());
    let rows: Vec<_> = entries.iter().map(|entry| row(entry)).collect();
    print_table(&HEAD.map(str::to_owned), &rows);
    for entry in entries {
        let Figures { failures, faults, out, recovery, path, p50, p99, late, .. } = &entry.figures;
        let name = entry.contender.name();
        let counts: Vec<_> = failures.iter().map(|(what, times)| format!("{times} x {what}")).collect();
        let recovery = match recovery {
            Recovery::NotAsked => String::new(),
            Recovery::After(time) => format!("; well again after {}", time.0),
            Recovery::Never => "; never well again".to_owned(),
        };
        let status = out.map(|out| format!("; {out} out of rotation; faults: {}", or_none(&faults.join(" | "))));
        if *late > BUSY {
            println!("  {name}: THE MACHINE WAS BUSY: clients were up to {} ms late; measure again", late.0);
        }
        println!(
            "  {name}: p50 {} ms, p99 {} ms before; the way back took {}{}{}; failures: {}",
            p50.0,
            p99.0,
            ms(*path),
            recovery,
            status.unwrap_or_default(),
            or_none(&counts.join(", ")),
        );
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn row(entry: &Entry) -> Vec<String> {
    let figures = &entry.figures;
    let failed = |it: Failed| match it.all() {
        0 => "0".to_owned(),
        _ => format!("{}+{}+{}", it.in_flight, it.first_second, it.later),
    };
    vec![
        entry.contender.name().to_owned(),
        figures.requests.to_string(),
        failed(figures.get),
        failed(figures.post),
        figures.twice.to_string(),
        figures.resent.to_string(),
        figures.stall.0.to_string(),
        figures.stall_in_flight.0.to_string(),
        ms(figures.moved),
        ms(figures.back),
        format!("{}/{}", figures.lost_elsewhere, figures.streams_elsewhere),
        figures.reloads.map_or_else(|| "-".to_owned(), |times| times.to_string()),
    ]
}

fn ms(time: Option<Ms>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.0.to_string())
}

fn print_table(head: &[String], rows: &[Vec<String>]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).chain([head[column].len()]).max().unwrap_or(0);
    for row in std::iter::once(head).chain(rows.iter().map(Vec::as_slice)) {
        let cells = row.iter().enumerate().map(|(column, cell)| match width(column) {
            width if column == 0 => format!("  {cell:<width$}"),
            width => format!("  {cell:>width$}"),
        });
        println!("{}", cells.collect::<String>().trim_end());
    }
}

/// What Bascule's experiments show; the peers of the same round are what it is compared with.
pub(crate) fn findings(entries: &[Entry]) -> Vec<(Case, Finding)> {
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.contender == Contender::Bascule) {
        let peers = entries.iter().filter(|it| it.case == entry.case && it.contender != Contender::Bascule);
        let best = peers.map(|peer| peer.figures.stall).min();
        found.extend(judge(entry.case, &entry.figures, best).into_iter().map(|finding| (entry.case, finding)));
    }
    found
}

/// Every rule, with the cases in which it does not hold. True when all hold.
pub(crate) fn print_judgement(findings: &[(Case, Finding)]) -> bool {
    let mut by_rule: BTreeMap<Rule, Vec<_>> = BTreeMap::new();
    for (case, finding) in findings {
        by_rule.entry(finding.rule).or_default().push((case, finding));
    }
    println!("What must hold:");
    for (rule, found) in &by_rule {
        let broken: Vec<_> = found.iter().filter(|(_, finding)| !finding.held).collect();
        let verdict = if broken.is_empty() { "held    " } else { "NOT HELD" };
        println!("  {verdict}  {} ({} of {})", rule.words(), found.len() - broken.len(), found.len());
        for (case, finding) in broken {
            println!("              {}: {}", case.name(), finding.seen);
        }
    }
    findings.iter().all(|(_, finding)| finding.held)
}

/// Stalls and failures of every contender in every case, and of each as a multiple of Bascule's. The worst of all rounds.
pub(crate) fn print_comparison(rounds: &[Vec<Entry>]) {
    let mut contenders: Vec<_> = rounds.iter().flatten().map(|entry| entry.contender).collect();
    contenders.sort_unstable();
    contenders.dedup();
    let worst = |case: Case, contender: Contender, of: &dyn Fn(&Figures) -> u64| {
        let entries = rounds.iter().flatten().filter(|entry| entry.case == case && entry.contender == contender);
        entries.map(|entry| of(&entry.figures)).max()
    };
    let stall = |figures: &Figures| figures.stall.0.max(figures.stall_in_flight.0);
    let failed = |figures: &Figures| (figures.get.all() + figures.post.all()) as u64;
    for (title, of) in [
        ("Longest stall of any request, ms (times Bascule's)", &stall as &dyn Fn(&Figures) -> u64),
        ("Failed requests (times Bascule's)", &failed),
    ] {
        println!("{title}:");
        let head: Vec<_> =
            std::iter::once("case".to_owned()).chain(contenders.iter().map(|it| it.name().to_owned())).collect();
        let cases = Case::all().into_iter().filter(|case| matches!(case, Case::Cut(_)));
        let rows: Vec<_> = cases
            .filter(|case| worst(*case, Contender::Bascule, of).is_some())
            .map(|case| {
                let ours = worst(case, Contender::Bascule, of);
                let cells = contenders.iter().map(|contender| match (worst(case, *contender, of), ours) {
                    (None, _) => "-".to_owned(),
                    (Some(value), _) if *contender == Contender::Bascule => value.to_string(),
                    (Some(value), ours) => format!("{value} ({})", ratio(value, ours.unwrap_or_default())),
                });
                std::iter::once(case.name().to_owned()).chain(cells).collect()
            })
            .collect();
        print_table(&head, &rows);
        println!();
    }
}

/// `value` as a multiple of `ours`.
fn ratio(value: u64, ours: u64) -> String {
    match (value, ours) {
        (0, 0) => "=".to_owned(),
        (_, 0) => "inf".to_owned(),
        _ => {
            let tenths = value * 10 / ours;
            format!("{}.{}x", tenths / 10, tenths % 10)
        }
    }
}

/// Everything, for programs.
pub(crate) fn write_json(path: &Path, rounds: &[Vec<Entry>]) {
    let entries: Vec<_> = rounds
        .iter()
        .enumerate()
        .flat_map(|(round, entries)| entries.iter().map(move |entry| (round, entry)))
        .map(|(round, Entry { case, contender, figures })| {
            json!({ "round": round + 1, "case": case.name(), "edge": contender.name(), "figures": figures })
        })
        .collect();
    let text = serde_json::to_string_pretty(&entries).expect("figures are JSON");
    std::fs::write(path, text + "\n").unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}
