use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a filter is made of, for who wrote another one.
const CURE: &str =
    "give error, warn, info, debug, trace or off, alone or for a part of the program as in `info,bascule::probe=debug`";

/// Starts logging to stderr.
pub(super) fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    if let Some(level) = wrong_level(filter) {
        bail!("`--log {filter}`: `{level}` is no level; {CURE}");
    }
    let filter = EnvFilter::try_new(filter).with_context(|| format!("`--log {filter}` is no log filter; {CURE}"))?;
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal() && !is_refused).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The first word of a filter that should be a level and is none. The library takes any single word for a part of the
/// program, and `--log verbose` would log nothing at all.
fn wrong_level(filter: &str) -> Option<&str> {
    // Filters by span hold commas and signs of their own; the library judges them.
    if filter.contains('[') {
        return None;
    }
    filter.split(',').map(str::trim).filter(|part| !part.is_empty()).find_map(|part| {
        let (level, may_be_a_part) = match part.split_once('=') {
            Some((_, level)) => (level, false),
            None => (part, part.starts_with("bascule") || part.contains("::")),
        };
        (!may_be_a_part && level.parse::<LevelFilter>().is_err()).then_some(level)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_found() {
        for (filter, expected) in [
            ("info,notify=error,pgp=error", None),
            ("WARN, bascule::probe=debug,", None),
            ("bascule", None),
            ("off", None),
            ("[pass{edge=ovh,n=1}]=debug", None),
            ("nonsense=foo", Some("foo")),
            ("verbose", Some("verbose")),
            ("a=b=c", Some("b=c")),
        ] {
            assert_eq!(wrong_level(filter), expected, "{filter}");
        }
    }
}
