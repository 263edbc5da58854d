//! YAML text to a tree that knows where everything stands.
//!
//! The parser gives events with positions; [`read`] builds trees from them and refuses what an inventory does not need
//! and a reviewer cannot see through: tags, merge keys, keys that are not text, and aliases that multiply.

mod format;
mod lines;
mod node;
mod reader;
mod scalar;

pub use self::format::{Unformatted, format};
pub(super) use self::lines::Lines;
use self::lines::tight_end;
pub(super) use self::node::{Content, Entry, Node, escape};
pub(super) use self::reader::{Document, Fault, read};

/// Deepest nesting of lists and mappings. The deepest valid document has four levels; 32 keeps every recursive walk over
/// a tree far from the end of a thread's stack.
const DEPTH_MAX: usize = 32;

/// What all anchors and aliases of one file may stand for, in nodes (a long text counts as one more for each 32 bytes).
/// An inventory that shares a few settings needs tens; nine levels of ten aliases would need a thousand million.
const ALIAS_NODES_MAX: usize = 10_000;

/// Faults after which reading stops: more than are shown, so that a file of nothing but faults costs no more than others.
const FAULTS_MAX: usize = 200;

/// Values in one document. A site, a service or an edge has tens, and a service with thousands of host names thousands; a
/// file of 4 MB can have two million, each many times its text in memory.
const DOCUMENT_NODES_MAX: usize = 20_000;
