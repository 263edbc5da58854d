//! The long form: `make lab ARGS=…`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bascule::core::model::TimeSpan;
use clap::Parser;

use super::contender::Contender;
use super::experiment::{self, Case, Timing};
use super::load::Offer;
use super::report::{self, Entry};
use super::world::World;
use super::{peers, waiting, world};

/// Cuts sites of a small world of real machines, and judges what clients saw of it. Needs root.
#[derive(Debug, Parser)]
#[command(name = "make lab")]
struct Args {
    /// Put other edges beside Bascule: plain Caddy, tuned Caddy, HAProxy, nginx, Envoy.
    #[arg(long)]
    compare: bool,
    /// With `--compare`: only these beside Bascule.
    #[arg(long, value_enum, value_delimiter = ',', requires = "compare")]
    with: Vec<Contender>,
    /// Only these cases, such as `wan,crash,bascule-killed`.
    #[arg(long, value_delimiter = ',', value_parser = parse_case)]
    only: Vec<Case>,
    /// Short requests a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// How often everything is done.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// How long a cut lasts.
    #[arg(long, default_value = "12s")]
    cut: TimeSpan,
    /// How long a client waits for an answer.
    #[arg(long, default_value = "10s")]
    patience: TimeSpan,
    /// Write all figures to a file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn parse_case(text: &str) -> Result<Case, String> {
    let all = Case::all();
    let names = || all.iter().map(|case| case.name()).collect::<Vec<_>>().join(", ");
    all.iter().find(|case| case.name() == text).copied().ok_or_else(|| format!("the cases are {}", names()))
}

pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let args = Args::parse_from(std::iter::once("make lab".to_owned()).chain(arguments));
    let Args { compare, with, only, rate, runs, cut, patience, json } = args;
    let contenders: Vec<_> = Contender::ALL
        .into_iter()
        .filter(|it| *it == Contender::Bascule || (compare && (with.is_empty() || with.contains(it))))
        .collect();
    if let Some(reason) = world::obstacle().or_else(|| peers::obstacle(&contenders)) {
        eprintln!("the lab cannot run here: {reason}");
        return ExitCode::FAILURE;
    }
    let cases: Vec<_> = Case::all().into_iter().filter(|case| only.is_empty() || only.contains(case)).collect();
    let offer = Offer { rate, patience: patience.get() };
    let timing = Timing { before: Duration::from_secs(3), cut: cut.get(), after: Duration::from_secs(2) };
    waiting::catch_signals();
    let (begun, mut world) = (Instant::now(), World::build());
    println!("{rate} requests/s, cuts of {} s, clients wait {} s\n", timing.cut.as_secs(), offer.patience.as_secs());
    report::print_legend();
    let (mut rounds, mut findings) = (Vec::new(), Vec::new());
    for round in 1..=runs {
        if runs > 1 {
            println!("round {round} of {runs}\n");
        }
        let mut entries = Vec::new();
        for case in &cases {
            for contender in contenders.iter().filter(|it| case.is_for(**it)) {
                let figures = experiment::run(&mut world, *contender, *case, offer, timing);
                entries.push(Entry { case: *case, contender: *contender, figures });
            }
            let of_case: Vec<_> = entries.iter().filter(|entry| entry.case == *case).collect();
            report::print_case(*case, &of_case);
            println!();
        }
        findings.extend(report::findings(&entries));
        rounds.push(entries);
    }
    drop(world);
    if compare {
        report::print_comparison(&rounds);
    }
    if let Some(path) = json {
        report::write_json(&path, &rounds);
    }
    let all_held = report::print_judgement(&findings);
    println!("\n{} s", begun.elapsed().as_secs());
    if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
