//! What a person wrote wrong, and how to mend it.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The revision is not used.
    Error,
    /// The revision is used; somebody should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A range of one file's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// First line, counted from 1.
    pub line: usize,
    /// First column, counted from 1 in characters.
    pub column: usize,
    /// Offset of the first byte.
    #[serde(skip)]
    pub start: usize,
    /// Offset past the last byte; equal to `start` where there is nothing to underline.
    #[serde(skip)]
    pub end: usize,
}

/// Another place that belongs to the fault: "first declared here".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Related {
    /// File, relative to the inventory's root.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is there.
    pub message: String,
}

/// A fault in an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable identifier, kebab-case: `unknown-site`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// File, relative to the inventory's root; empty where the fault is of the inventory as a whole.
    pub file: String,
    /// Where in it, where that can be said.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What is wrong, without a final stop.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// The order in which diagnostics are shown: by file, place, severity, code.
    pub fn sort_key(&self) -> (&str, Option<Place>, Severity, &str, &str) {
        (&self.file, self.place, self.severity, self.code, &self.message)
    }

    /// The same line as its `Display`, of an inventory whose files have this before their paths: `inventory/`.
    pub fn told(&self, prefix: &str) -> String {
        if self.file.is_empty() { self.to_string() } else { format!("{prefix}{self}") }
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `backends/a.yaml:3:7: error[unknown-site]: no site has this name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
            if let Some(place) = self.place {
                write!(f, "{}:{}:", place.line, place.column)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}[{}]: {}", self.severity, self.code, self.message)
    }
}
