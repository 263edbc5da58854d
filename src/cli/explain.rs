use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;

use super::print;
use crate::core::inventory::{CODES, closest_code, page};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The code of a fault, as `bascule check` shows it; every code with its meaning where none is named.
    code: Option<String>,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { code } = args;
    let Some(code) = code else {
        print(list())?;
        return Ok(ExitCode::SUCCESS);
    };
    let code = bare(code);
    let Some(page) = page(code) else {
        match closest_code(code) {
            Some(near) => bail!("no code is named `{code}`; did you mean `{near}`?"),
            None => bail!("no code is named `{code}`; `bascule explain` lists them all"),
        }
    };
    print(page)?;
    Ok(ExitCode::SUCCESS)
}

/// The code of `error[unknown-site]:`, as it is copied from a message.
fn bare(text: &str) -> &str {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(text, |(code, _)| code);
    inner.trim()
}

fn list() -> String {
    let width = CODES.iter().map(|(code, _)| code.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (code, meaning) in CODES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{code:width$}  {meaning}");
    }
    text
}
