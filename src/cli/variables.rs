//! What variables mean that stand in for flags.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

/// The command and everything below it.
pub(super) fn without_empty(command: Command) -> Command {
    let subcommands: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let command = command.mut_args(without_empty_one);
    subcommands.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_empty))
}

/// An empty variable is one that is not set, as compose files and unit files leave it; clap takes it for an empty value.
fn without_empty_one(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}

/// Says that a value that is refused is a variable's, where it is one: clap names the flag, which nobody has typed.
pub(super) fn named(mut error: Error, root: &Command, typed: &[OsString]) -> Error {
    let Some(ContextValue::String(refused)) = error.get(ContextKind::InvalidArg) else { return error };
    let (command, path) = called(root, typed);
    let is_refused = |arg: &&Arg| arg.to_string() == *refused;
    let Some(arg) = command.get_arguments().find(is_refused) else { return error };
    let (Some(variable), Some(long)) = (arg.get_env().and_then(OsStr::to_str), arg.get_long()) else { return error };
    let flag = format!("--{long}");
    let is_flag = |word: &OsString| {
        word.to_str()
            .and_then(|word| word.strip_prefix(&flag))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    if std::env::var_os(variable).is_none() || typed.iter().any(is_flag) {
        return error;
    }
    let told = format!("the variable `{variable}` says so, and `{path}` does not take it: give `{flag}`, or unset it");
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![told.into()]));
    error
}

/// The command that was typed, with its name: the words of a command come before what belongs to it.
fn called<'c>(root: &'c Command, typed: &[OsString]) -> (&'c Command, String) {
    let mut found = (root, root.get_name().to_owned());
    for word in typed.iter().skip(1) {
        if let Some(inner) = found.0.find_subcommand(word) {
            found = (inner, format!("{} {}", found.1, inner.get_name()));
        }
    }
    found
}
