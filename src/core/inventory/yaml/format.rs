//! YAML text in its one style.
//!
//! The text is read as a tree that keeps how each value was written, with the comments in a queue beside it, and written
//! anew. Comments leave the queue only in their order, so none is lost and none overtakes another. What comes out is read
//! again, and is given away only when it says the same.

mod gaps;
mod layout;
mod scalars;
mod tree;

use std::collections::VecDeque;

use self::layout::Layout;
use self::tree::Tree;
use super::read;

/// Longest line that a list or mapping in brackets may fill.
const WIDTH_MAX: usize = 120;

/// Why a text is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unformatted {
    /// It is not YAML that an inventory takes; `check` says where and why.
    Faulty,
    /// What was written says something else, which is a fault of this program.
    Unsure,
}

/// The same values and comments in the one style.
pub fn format(text: &str) -> Result<String, Unformatted> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let before = read(&text);
    if !before.faults.is_empty() {
        return Err(Unformatted::Faulty);
    }
    let tree = Tree::of(&text).ok_or(Unformatted::Unsure)?;
    let comments: Vec<&str> = tree.comments.iter().map(|comment| comment.text).collect();
    let written = Layout::of(&text, VecDeque::from(tree.comments.clone())).write(&tree.documents);
    let after = read(&written);
    let is_same = after.faults.is_empty()
        && before.documents.len() == after.documents.len()
        && before.documents.iter().zip(&after.documents).all(|(a, b)| a.root.to_value() == b.root.to_value())
        && Tree::of(&written).is_some_and(|tree| tree.comments.iter().map(|comment| comment.text).eq(comments));
    if is_same { Ok(written) } else { Err(Unformatted::Unsure) }
}
