use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use super::super::addresses;

/// What `--against` says for the live edges.
const LIVE: &str = "live";

/// What a plan is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// What the edges run.
    Edges,
    /// What the controller serves whose API listens there.
    Controller(String),
    /// What a revision or a folder declares.
    Declared(String),
}

#[derive(Debug, Args)]
struct ComparedArgs {
    /// What it is compared with: the live edges, a revision of the repository that it is in (`origin/main`), or another
    /// folder. With a revision or a folder no edge is asked, and the shares of traffic are told. Every backend counts as up,
    /// and what a controller took out of live edges shows as a change, unless `--server` says where to ask.
    #[arg(long, env = "BASCULE_AGAINST", value_name = "live|REVISION|DIR", default_value = "live")]
    against: String,
    /// Where a running controller's API listens, such as `http://127.0.0.1:7500`. It is asked in place of the edges: by its
    /// verdicts, its overrides and what it has taken out, the shares of traffic are told before and after. What is compared
    /// with is what it serves, so a revision or a folder cannot be named as well. Where one of the two is a flag and the
    /// other a variable, the flag decides; where both are variables, `BASCULE_AGAINST` does.
    #[arg(long, env = "BASCULE_SERVER", value_name = "URL", value_parser = addresses::server)]
    server: Option<String>,
}

impl FromArgMatches for Compared {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let ComparedArgs { against, server } = ComparedArgs::from_arg_matches(matches)?;
        let is_flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        match (against, server) {
            (against, None) if against == LIVE => Ok(Self::Edges),
            (against, Some(server)) if against == LIVE => Ok(Self::Controller(server)),
            (against, Some(_)) if is_flag("against") && is_flag("server") => Err(conflict(&against)),
            (_, Some(server)) if is_flag("server") => Ok(Self::Controller(server)),
            (against, _) => Ok(Self::Declared(against)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Compared {
    fn augment_args(command: Command) -> Command {
        ComparedArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        ComparedArgs::augment_args_for_update(command)
    }
}

fn conflict(against: &str) -> Error {
    let message = format!(
        "`--against {against}` and `--server` name two things to compare with: what is declared there, with every backend up, \
         and what the controller serves, as things stand; leave one of them out\n"
    );
    Error::raw(ErrorKind::ArgumentConflict, message)
}
