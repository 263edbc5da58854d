/// Characters that are repeated of what a backend says: enough to know an error page by, and one line of a log.
pub const QUOTED_MAX: usize = 60;

/// The beginning of a text that comes from elsewhere, in quotes and on one line.
pub fn quoted(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let start: String = text.chars().take(QUOTED_MAX).map(printable).collect();
    let rest = if text.chars().nth(QUOTED_MAX).is_some() { "…" } else { "" };
    format!("`{start}`{rest}")
}
