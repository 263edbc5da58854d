mod layers;

use std::fmt::Write as _;

use self::layers::{write_events, write_site};
use super::{BackendDto, EdgeDto, EdgeState, ForgeDto, OverrideDto, SeverDto, StatusDto};
use crate::core::model::{Timestamp, counted};

/// Whether text may carry terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI colours.
    Colour,
}

impl Paint {
    pub(super) fn good(self, text: &str) -> String {
        self.wrap(text, "32")
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.wrap(text, "31")
    }

    pub(super) fn doubtful(self, text: &str) -> String {
        self.wrap(text, "33")
    }

    fn wrap(self, text: &str, code: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Shows a status to people: what is wrong first, then the layers from edges over
/// sites with their tunnels to services with their backends, and what happened lately.
pub fn text(status: &StatusDto, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(&mut out, status, paint);
    out
}

/// Shows overrides to people, a line each.
pub fn overrides_text(overrides: &[OverrideDto], now: Timestamp, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_overrides(&mut out, overrides, now, paint);
    out
}

fn write_overrides(out: &mut String, overrides: &[OverrideDto], now: Timestamp, paint: Paint) -> std::fmt::Result {
    for it in overrides {
        let (decision, left) = (it.decision(now), span(it.remaining_seconds));
        write!(out, "{} {}: {decision}, {left} left", paint.doubtful("override"), it.target)?;
        writeln!(out, "{}", if it.declared { "" } else { "; not in the inventory, so it does nothing" })?;
    }
    Ok(())
}

fn write_text(out: &mut String, status: &StatusDto, paint: Paint) -> std::fmt::Result {
    let now = status.at;
    match &status.revision {
        Some(revision) => {
            write!(out, "revision {}", revision.short())?;
            if !revision.subject.is_empty() {
                write!(out, "  {} ({})", revision.subject, revision.author)?;
            }
            writeln!(out)?;
        }
        None => writeln!(out, "revision {}", paint.doubtful("none yet"))?,
    }
    // Where the source has gone on since, that is a fault and is told there.
    if let Some(pin) = status.pin.as_ref().filter(|pin| pin.newest.is_none()) {
        writeln!(out, "{} for {}: {}", paint.doubtful("by hand"), span(pin.age_seconds), pin.words())?;
    }
    for fault in &status.faults {
        let age = age(now, Some(fault.since));
        writeln!(out, "{} {}: {} (for {age})", paint.bad("fault"), fault.scope, fault.message)?;
        // The message may tell the first of them already.
        for line in fault.details.iter().filter(|line| !fault.message.contains(line.as_str())) {
            writeln!(out, "      {line}")?;
        }
    }
    write_overrides(out, &status.overrides, now, paint)?;
    for edge in &status.edges {
        let state = match edge.state {
            EdgeState::InSync => paint.good("in sync"),
            EdgeState::Stalled => paint.bad("stalled"),
            EdgeState::Pending => paint.doubtful("pending"),
            EdgeState::Retrying => paint.doubtful("retrying"),
        };
        write!(out, "\nedge {}  {state}", edge.name)?;
        if edge.since.is_some() {
            write!(out, " for {}", age(now, edge.since))?;
        }
        write!(out, "  {}", edge.admin)?;
        write_digests(out, edge, now)?;
        writeln!(out, "  {}, {}", counted(edge.pushes, "push"), counted(edge.drifts, "drift"))?;
        for leaving in &edge.leaving {
            writeln!(out, "  {} {leaving}", paint.doubtful("leaving"))?;
        }
    }
    match &status.sever {
        Some(SeverDto::On { connections }) => {
            writeln!(out, "\nsever  {}  {} ended", paint.good("on"), counted(*connections, "connection"))?;
        }
        Some(SeverDto::Unable { reason }) => writeln!(out, "\nsever  {}  {reason}", paint.bad("unable"))?,
        None => {}
    }
    if let Some(forge) = &status.forge {
        write_forge(out, forge, now, paint)?;
    }
    if !status.sites.is_empty() {
        writeln!(out)?;
    }
    for site in &status.sites {
        write_site(out, site, now, paint)?;
    }
    for service in &status.services {
        let serving = match service.serving.as_str() {
            "full" => paint.good("full"),
            "degraded" => paint.doubtful("degraded"),
            other => paint.bad(&other.replace('_', " ")),
        };
        let returning = service.returning.map(|percent| format!("  {percent} % has returned")).unwrap_or_default();
        let refused = status.edges.iter().flat_map(|edge| &edge.refused).map(|it| &it.service);
        let mut held = status.quarantine.iter().map(|it| &it.service).chain(refused);
        let held = if held.any(|it| *it == service.name) { paint.doubtful("  in quarantine") } else { String::new() };
        writeln!(out, "\nservice {}  {serving}{returning}{held}  {}", service.name, service.domains.join(", "))?;
        for backend in &service.backends {
            write_backend(out, backend, now, paint)?;
        }
    }
    write_events(out, &status.events, paint)?;
    Ok(())
}

fn write_forge(out: &mut String, forge: &ForgeDto, now: Timestamp, paint: Paint) -> std::fmt::Result {
    let ForgeDto { forge, repository, state, waiting, posted, posted_at } = forge;
    let state = match state.as_str() {
        "in_sync" => paint.good("in sync"),
        "failing" => paint.bad("failing"),
        other => paint.doubtful(other),
    };
    write!(out, "\nforge {forge}  {state}  {repository}  {} posted", counted(*posted, "status"))?;
    if posted_at.is_some() {
        write!(out, ", the last {} ago", age(now, *posted_at))?;
    }
    if *waiting > 0 {
        write!(out, "  {waiting} to post")?;
    }
    writeln!(out)
}

/// What an edge runs, where that is known, and what it should run, where that is something else.
fn write_digests(out: &mut String, edge: &EdgeDto, now: Timestamp) -> std::fmt::Result {
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    if edge.state == EdgeState::Retrying {
        match &edge.applied {
            Some(applied) => {
                write!(out, "  ran {} when seen {} ago", short(&applied.digest), age(now, Some(applied.at)))?;
            }
            None => write!(out, "  not seen to run anything of ours")?,
        }
    } else if let Some(applied) = &edge.applied {
        write!(out, "  runs {}, seen {} ago", short(&applied.digest), age(now, Some(applied.at)))?;
    }
    match &edge.rendered {
        Some(wanted) if edge.state != EdgeState::InSync => write!(out, "  wanted {}", short(wanted)),
        Some(_) | None => Ok(()),
    }
}

fn write_backend(out: &mut String, backend: &BackendDto, now: Timestamp, paint: Paint) -> std::fmt::Result {
    // Padded before it is painted: the width must not count colour codes.
    let verdict = format!("{:7}", backend.state);
    let verdict = match backend.state.as_str() {
        "up" => paint.good(&verdict),
        "down" => paint.bad(&verdict),
        _ => paint.doubtful(&verdict),
    };
    let rotation = if backend.in_rotation { "in " } else { "out" };
    write!(out, "  {rotation} {verdict} {:24} {:21} {}", backend.name, backend.upstream, backend.site)?;
    if backend.weight != 1 {
        write!(out, "  weight {}", backend.weight)?;
    }
    if backend.since.is_some() {
        write!(out, "  for {}", age(now, backend.since))?;
    }
    if backend.state != backend.verdict {
        write!(out, "  last seen {} ago, verdict {}", span(backend.age_seconds.unwrap_or(0)), backend.verdict)?;
    }
    if let Some(last) = &backend.last {
        match &last.failure {
            Some(failure) => write!(out, "  {failure}")?,
            None => write!(out, "  {:.1} ms", last.latency_ms)?,
        }
    }
    if let Some(availability) = backend.availability {
        let length = backend.availability_seconds.map_or_else(|| "24h".to_owned(), span);
        write!(out, "  {:.1} % of {length}", availability * 100.0)?;
    }
    if let Some(reason) = &backend.reason {
        write!(out, "  ({reason})")?;
    }
    for warning in &backend.warnings {
        write!(out, "  {}", paint.doubtful(warning))?;
    }
    writeln!(out)
}

/// An age in its largest unit: people compare, they do not calculate.
fn age(now: Timestamp, since: Option<Timestamp>) -> String {
    span(since.map_or(0, |since| now.since(since).as_secs()))
}

/// A length of time in its largest unit.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
