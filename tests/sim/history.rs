//! What happened, in the order in which it happened, and the first thing that must not have.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::clock;

/// What is kept of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Its hash, which tells whether two are the same, and its last lines.
    Tail,
    /// All of it, printed as it happens.
    Printed,
}

/// Lines kept of a history that is not printed.
const TAIL: usize = 60;

pub(crate) struct History {
    kept: Kept,
    lines: Vec<String>,
    hash: DefaultHasher,
    steps: u64,
    fault: Option<Fault>,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its name.
    pub(crate) invariant: &'static str,
    /// How it was broken.
    pub(crate) detail: String,
    /// The step of the history at which it was found.
    pub(crate) step: u64,
}

impl History {
    pub(crate) fn new(kept: Kept) -> Self {
        Self { kept, lines: Vec::new(), hash: DefaultHasher::new(), steps: 0, fault: None }
    }

    /// Adds a step.
    pub(crate) fn note(&mut self, what: &str) {
        self.steps += 1;
        let at = clock::elapsed().as_millis();
        (at, what).hash(&mut self.hash);
        let mut line = String::new();
        let _ = write!(line, "{:>5} {:>4}.{:03} {what}", self.steps, at / 1000, at % 1000);
        if self.kept == Kept::Printed {
            println!("{line}");
        }
        if self.lines.len() == 2 * TAIL {
            self.lines.drain(..TAIL);
        }
        self.lines.push(line);
    }

    /// Remembers the first invariant that did not hold; what follows it may be its consequence.
    pub(crate) fn broken(&mut self, invariant: &'static str, detail: String) {
        self.note(&format!("BROKEN {invariant}: {detail}"));
        if self.fault.is_none() {
            self.fault = Some(Fault { invariant, detail, step: self.steps });
        }
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// The same for the same history.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(crate) fn tail(&self) -> String {
        let from = self.lines.len().saturating_sub(TAIL);
        self.lines[from..].join("\n")
    }
}
