//! The paths that Rust source mentions, with groups taken apart and `super` followed.

/// A path that a source mentions, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Line, from 1.
    pub(super) line: usize,
    /// `std::fs::read`, or `crate::…` for the own crate however it was written.
    pub(super) path: String,
}

/// Source without comments and without what stands in strings; lines stay where they are.
pub(super) fn without_text(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| string(rest, &out)).or_else(|| character(rest));
        let length = skipped.unwrap_or(first.len_utf8());
        if skipped.is_some() {
            out.extend(rest[..length].chars().filter(|c| *c == '\n'));
            out.push(' ');
        } else {
            out.push(first);
        }
        rest = &rest[length..];
    }
    out
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

fn string(rest: &str, before: &str) -> Option<usize> {
    if let Some(inner) = rest.strip_prefix('"') {
        let mut is_escaped = false;
        let end = inner.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        return Some(end.map_or(rest.len(), |end| end + 2));
    }
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|byte| *byte == b'#').count();
    let is_word = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_');
    if is_word || !rest[1 + hashes..].starts_with('"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    Some(rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

/// A character, and not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let length = match inner.strip_prefix('\\') {
        Some(escaped) => 1 + escaped.chars().next()?.len_utf8() + escaped[1..].find('\'')?,
        None => inner.chars().next()?.len_utf8(),
    };
    inner[length..].starts_with('\'').then_some(length + 2)
}

/// Every path of two parts or more of a source as [`without_text`] leaves it. `module` is the
/// source's own, such as `core::routing::plan`.
pub(super) fn mentions(code: &str, module: &str) -> Vec<Mention> {
    let tokens: Vec<(usize, &str)> = (1..)
        .zip(code.lines())
        .flat_map(|(number, line)| tokens(line).into_iter().map(move |it| (number, it)))
        .collect();
    let mut reader = Reader { tokens: &tokens, module, at: 0, found: Vec::new() };
    while reader.at < tokens.len() {
        if reader.peek().is_some_and(is_name) {
            reader.path("");
        } else {
            reader.at += 1;
        }
    }
    reader.found
}

struct Reader<'t> {
    tokens: &'t [(usize, &'t str)],
    module: &'t str,
    at: usize,
    found: Vec<Mention>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(|(_, token)| *token)
    }

    /// Reads one path that continues `prefix`, with the groups in it.
    fn path(&mut self, prefix: &str) {
        let line = self.tokens[self.at].0;
        let mut path = prefix.to_owned();
        while let Some(name) = self.peek().filter(|token| is_name(token)) {
            if !path.is_empty() {
                path.push_str("::");
            }
            path.push_str(name);
            self.at += 1;
            if self.peek() != Some("::") {
                break;
            }
            self.at += 1;
            if self.peek() == Some("{") {
                self.group(&path);
                return;
            }
        }
        if path.contains("::") {
            self.found.push(Mention { line, path: absolute(&path, self.module) });
        }
    }

    fn group(&mut self, prefix: &str) {
        self.at += 1;
        while let Some(token) = self.peek() {
            match token {
                "}" => {
                    self.at += 1;
                    return;
                }
                "as" => self.at += 2,
                name if is_name(name) => self.path(prefix),
                _ => self.at += 1,
            }
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(line: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_name(rest) {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Follows `self` and `super` from a module; every path of the own crate then begins with `crate`.
fn absolute(path: &str, module: &str) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut parts = path.split("::").peekable();
    match parts.peek() {
        Some(&"self") => _ = parts.next(),
        Some(&"super") => {}
        _ => return path.to_owned(),
    }
    while parts.next_if_eq(&"super").is_some() {
        base.pop();
    }
    std::iter::once("crate").chain(base).chain(parts).collect::<Vec<_>>().join("::")
}
