use std::fmt::Write as _;

use super::{Paint, age, span};
use crate::core::model::{Timestamp, counted};
use crate::core::status::{EventDto, SiteDto, SiteState, TunnelDto, TunnelState};

/// Events that people see: the last few, the state file has more.
const EVENTS_SHOWN: usize = 10;

pub(super) fn write_site(out: &mut String, site: &SiteDto, now: Timestamp, paint: Paint) -> std::fmt::Result {
    let state = match site.state {
        SiteState::Up => paint.good("up"),
        SiteState::Down => paint.bad("down"),
        SiteState::Partial => paint.doubtful("partial"),
        SiteState::Stale => paint.doubtful("stale"),
        SiteState::Unknown => paint.doubtful("unknown"),
    };
    write!(out, "site {}  {state}", site.name)?;
    write_times(out, site.since, site.age_seconds, now)?;
    write!(out, "  {} of {} up, {} down", site.up, site.backends, site.down)?;
    if site.stale > 0 {
        write!(out, ", {} stale", site.stale)?;
    }
    if let Some(cause) = &site.cause {
        write!(out, "  ({cause})")?;
    }
    writeln!(out)?;
    match &site.tunnel {
        Some(tunnel) => write_tunnel(out, tunnel, now, paint),
        None => Ok(()),
    }
}

fn write_tunnel(out: &mut String, tunnel: &TunnelDto, now: Timestamp, paint: Paint) -> std::fmt::Result {
    let state = match tunnel.state {
        TunnelState::Up => paint.good("up"),
        TunnelState::Down => paint.bad("down"),
        TunnelState::Stale => paint.doubtful("stale"),
        TunnelState::Unknown => paint.doubtful("unknown"),
    };
    write!(out, "  tunnel  {state}")?;
    write_times(out, tunnel.since, tunnel.age_seconds, now)?;
    if let Some(wireguard) = &tunnel.wireguard {
        write!(out, "  {}", wireguard.interface)?;
    }
    writeln!(out, "  {}", tunnel.cause)
}

/// Since when something is so, and how old what is known of it is.
fn write_times(out: &mut String, since: Option<Timestamp>, seen: Option<u64>, now: Timestamp) -> std::fmt::Result {
    if since.is_some() {
        write!(out, " for {}", age(now, since))?;
    }
    match seen {
        Some(seconds) => write!(out, ", seen {} ago", span(seconds)),
        None => Ok(()),
    }
}

pub(super) fn write_events(out: &mut String, events: &[EventDto], paint: Paint) -> std::fmt::Result {
    if !events.is_empty() {
        writeln!(out, "\nlately")?;
    }
    for event in events.iter().take(EVENTS_SHOWN) {
        let EventDto { at: _, age_seconds, subject, from: _, to, cause, backends } = event;
        let is_down = to == "down";
        let to = if is_down { paint.bad(to) } else { paint.good(to) };
        write!(out, "  {:>4} ago  {subject} {to}", span(*age_seconds))?;
        if is_down && *backends > 0 {
            write!(out, " with {}", counted(u64::from(*backends), "backend"))?;
        }
        writeln!(out, ": {cause}")?;
    }
    Ok(())
}
