//! All that is known of one revision.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{EntryDto, Paint, RevisionDto, history_text, named, span};
use crate::core::model::Timestamp;

/// The answer of `GET /v1/history/REVISION`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDto {
    /// Which one.
    pub revision: RevisionDto,
    /// Each time that it was read and was not the newest already, newest first.
    pub readings: Vec<EntryDto>,
    /// What passes over edges did for it, oldest first: those that wrote or failed, and the first of each edge.
    pub passes: Vec<PassDto>,
    /// What was served before it; none where nothing was, or nothing is known of it.
    pub before: Option<RevisionDto>,
    /// What it does beside that, for people; none where one of them has errors, or there is none.
    pub changes: Option<String>,
    /// What is wrong with it, by file and line: first what services are in quarantine for, where it was served without.
    pub faults: Vec<String>,
}

/// A pass over an edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassDto {
    /// The edge.
    pub edge: String,
    /// When it ended.
    pub at: Timestamp,
    /// What came of it: `applied`, `unchanged`, `rejected`, `failed` or `conflict`.
    pub outcome: String,
    /// Why; empty where there is nothing to say.
    pub message: String,
    /// Why the pass was made.
    pub trigger: String,
    /// Digest of what the edge should run.
    pub digest: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Shows a revision to people.
pub fn past_text(past: &PastDto, now: Timestamp, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_past(&mut out, past, now, paint);
    out
}

fn write_past(out: &mut String, past: &PastDto, now: Timestamp, paint: Paint) -> std::fmt::Result {
    let PastDto { revision, readings, passes, before, changes, faults } = past;
    let RevisionDto { id, author, subject, committed_at } = revision;
    writeln!(out, "revision {id}")?;
    writeln!(out, "         {subject}, by {author}, {} ago", span(now.since(*committed_at).as_secs()))?;
    let section = |out: &mut String, title: &str| writeln!(out, "\n{title}");
    section(out, "read")?;
    out.push_str(&indented(&history_text(readings, now, paint)));
    if !faults.is_empty() {
        section(out, "faults")?;
        out.push_str(&indented(&faults.join("\n")));
    }
    if let Some(changes) = changes {
        let before = before.as_ref().map_or_else(|| "nothing".to_owned(), named);
        section(out, &format!("changes beside {before}"))?;
        out.push_str(&indented(changes));
    }
    if !passes.is_empty() {
        section(out, "edges")?;
    }
    for PassDto { edge, at, outcome, message, trigger, digest, took_ms } in passes {
        let word = match outcome.as_str() {
            "applied" | "unchanged" => paint.good(outcome),
            _ => paint.bad(outcome),
        };
        let (ago, digest) = (span(now.since(*at).as_secs()), digest.get(..12).unwrap_or(digest));
        write!(out, "  {ago:>4} ago  {edge}: {word} {digest} in {took_ms} ms ({trigger})")?;
        writeln!(out, "{}", if message.is_empty() { String::new() } else { format!(": {message}") })?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}
