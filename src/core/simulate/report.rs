use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::{Forecast, Outcome, ServiceForecast, Share};
use crate::core::model::{ServiceName, SiteName, counted};
use crate::core::routing::Target;

/// Names in one line of a summary.
const NAMED_MAX: usize = 5;

/// Forecasts for people: what each loss of a site, or of what was named, does to services; of single backends only what would
/// take a service down.
pub fn text(forecasts: &[Forecast]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for forecast in shown(forecasts) {
        let services = &forecast.services;
        let harmed: Vec<_> = services.iter().filter(|it| it.outcome != Outcome::Survives).collect();
        let _ = writeln!(text, "{} lost", forecast.lost_words());
        let width = harmed.iter().map(|it| label(it).chars().count()).max().unwrap_or_default();
        for service in &harmed {
            let line =
                format!("  {:width$}  {:8}  {}", label(service), service.outcome.as_str(), by_site(&service.shares));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let rest = services.len() - harmed.len();
        if rest > 0 {
            let _ = writeln!(text, "  {} not touched", counted(rest, "service"));
        }
        text.push('\n');
    }
    if let Some(line) = backend_lines(forecasts) {
        let _ = writeln!(text, "{line}\n");
    }
    let _ = writeln!(text, "{}", summary(forecasts));
    text
}

/// Forecasts as Markdown for a pull request: a row for each service that some loss takes down or leaves less of.
pub fn markdown(forecasts: &[Forecast]) -> String {
    let mut text = String::new();
    let columns: Vec<&Forecast> = shown(forecasts).collect();
    let _ = write!(text, "| service |");
    for forecast in &columns {
        let _ = write!(text, " {} lost |", forecast.lost_words());
    }
    let _ = write!(text, "\n| --- |{}\n", " --- |".repeat(columns.len()));
    let rows: BTreeSet<&ServiceName> = columns
        .iter()
        .flat_map(|forecast| &forecast.services)
        .filter(|it| it.outcome != Outcome::Survives)
        .map(|it| &it.service)
        .collect();
    for name in &rows {
        let mut label_of = None;
        let mut cells = String::new();
        for forecast in &columns {
            let Some(service) = forecast.services.iter().find(|it| it.service == **name) else { continue };
            label_of.get_or_insert_with(|| label(service));
            let cell = match service.outcome {
                Outcome::Down => "**down**".to_owned(),
                Outcome::Survives | Outcome::Maintenance => service.outcome.as_str().to_owned(),
                Outcome::Degraded => format!("{}: {}", service.outcome.as_str(), by_site(&service.shares)),
            };
            let _ = write!(cells, " {cell} |");
        }
        let _ = writeln!(text, "| {} |{cells}", label_of.unwrap_or_default());
    }
    text.push('\n');
    if let Some(line) = backend_lines(forecasts) {
        let _ = writeln!(text, "{line}\n");
    }
    let _ = writeln!(text, "{}", summary(forecasts));
    text
}

/// Forecasts for programs.
#[expect(clippy::missing_panics_doc, reason = "text and numbers always serialize")]
pub fn json(forecasts: &[Forecast]) -> String {
    let dtos: Vec<_> = forecasts.iter().map(ForecastDto::of).collect();
    let mut text = serde_json::to_string_pretty(&dtos).expect("a forecast is text and numbers");
    text.push('\n');
    text
}

/// Forecasts that have a part of their own: all, but for single backends among the losses of sites.
fn shown(forecasts: &[Forecast]) -> impl Iterator<Item = &Forecast> {
    let has_sites = forecasts.iter().any(|forecast| !is_backend(forecast));
    forecasts.iter().filter(move |forecast| !(has_sites && is_backend(forecast)))
}

fn is_backend(forecast: &Forecast) -> bool {
    matches!(forecast.lost[..], [Target::Backend(_)])
}

/// What the loss of a single backend takes down, where those have no parts of their own.
fn backend_lines(forecasts: &[Forecast]) -> Option<String> {
    let alone: Vec<_> = forecasts.iter().filter(|forecast| is_backend(forecast)).collect();
    if alone.is_empty() || alone.len() == forecasts.len() {
        return None;
    }
    let down = |forecast: &&Forecast| {
        let services = forecast.services.iter().filter(|it| it.outcome == Outcome::Down);
        let services: Vec<_> = services.map(label).collect();
        (!services.is_empty()).then(|| format!("{} lost: {} down", forecast.lost_words(), services.join(", ")))
    };
    let lines: Vec<_> = alone.iter().filter_map(down).collect();
    Some(match lines.len() {
        0 => format!("{}, each lost alone: no service goes down", counted(alone.len(), "backend")),
        _ => lines.join("\n"),
    })
}

/// Services that some loss takes down, each with what does.
fn downs(forecasts: &[Forecast]) -> BTreeMap<&ServiceName, Vec<String>> {
    let mut downs: BTreeMap<&ServiceName, Vec<String>> = BTreeMap::new();
    for forecast in forecasts {
        for service in forecast.services.iter().filter(|it| it.outcome == Outcome::Down) {
            downs.entry(&service.service).or_default().push(forecast.lost_words());
        }
    }
    downs
}

fn summary(forecasts: &[Forecast]) -> String {
    let services = forecasts.first().map_or(0, |forecast| forecast.services.len());
    let downs = downs(forecasts);
    let losses = match forecasts {
        [one] => one.lost_words(),
        all => format!("any of {}", counted(all.len(), "loss")),
    };
    let head = format!("Simulation: {}, ", counted(services, "service"));
    match downs.len() {
        0 => format!("{head}none goes down with {losses}"),
        count => {
            let mut told: Vec<_> =
                downs.iter().take(NAMED_MAX).map(|(service, by)| format!("{service} ({})", by.join(", "))).collect();
            if count > NAMED_MAX {
                told.push(format!("and {} more", count - NAMED_MAX));
            }
            format!("{head}{count} down with {losses}: {}", told.join(", "))
        }
    }
}

fn label(service: &ServiceForecast) -> String {
    format!("{}{}", service.service, if service.is_critical { " (critical)" } else { "" })
}

/// Shares by site, in words: `dijon 67 %, thory 33 %`.
pub fn by_site(shares: &[Share]) -> String {
    let parts: Vec<_> =
        sites(shares).into_iter().map(|(site, share)| format!("{site} {:.0} %", share * 100.0)).collect();
    parts.join(", ")
}

pub(in crate::core) fn sites(shares: &[Share]) -> BTreeMap<&SiteName, f64> {
    let mut sites: BTreeMap<&SiteName, f64> = BTreeMap::new();
    for share in shares {
        *sites.entry(&share.site).or_default() += share.share;
    }
    sites
}

#[derive(Debug, Serialize)]
struct ForecastDto {
    lost: Vec<String>,
    services: Vec<ServiceDto>,
}

#[derive(Debug, Serialize)]
struct ServiceDto {
    name: String,
    critical: bool,
    /// `survives`, `degraded`, `down` or `maintenance`.
    outcome: &'static str,
    /// Shares of its requests by site, from 0 to 1.
    sites: BTreeMap<String, f64>,
    /// Shares of its requests by backend.
    backends: BTreeMap<String, f64>,
}

impl ForecastDto {
    fn of(forecast: &Forecast) -> Self {
        let Forecast { lost, services } = forecast;
        let service = |it: &ServiceForecast| ServiceDto {
            name: it.service.to_string(),
            critical: it.is_critical,
            outcome: it.outcome.as_str(),
            sites: sites(&it.shares).into_iter().map(|(site, share)| (site.to_string(), share)).collect(),
            backends: it.shares.iter().map(|share| (share.backend.to_string(), share.share)).collect(),
        };
        Self { lost: lost.iter().map(ToString::to_string).collect(), services: services.iter().map(service).collect() }
    }
}
