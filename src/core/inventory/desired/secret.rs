use std::fmt;
use std::str::FromStr;

/// A text that may name secrets: `Bearer ${env:API_TOKEN}`. The names are in the repository, the secrets are not: whoever
/// sends the text reads them then, where an operator allows that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretText {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Secret(SecretName),
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretName {
    /// An environment variable of the controller.
    Env(String),
    /// A file on the controller's machine, by its absolute path.
    File(String),
}

/// What begins a name within a text.
const OPENS: &str = "${";
/// Longest name of a secret, in bytes.
const NAME_MAX: usize = 256;

impl SecretText {
    /// The text itself, where it names no secret.
    pub fn literal(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// True for text in which something is taken for the name of a secret, or meant to be one.
    pub(in crate::core::inventory) fn has_names(text: &str) -> bool {
        text.contains(OPENS)
    }

    /// The secrets that the text names.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Secret(name) => Some(name),
        })
    }

    /// The text with each secret in its place, or the first one that could not be read.
    pub fn reveal<E>(&self, mut read: impl FnMut(&SecretName) -> Result<String, E>) -> Result<String, E> {
        let mut whole = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Secret(name) => whole.push_str(&read(name)?),
            }
        }
        Ok(whole)
    }
}

impl From<&str> for SecretText {
    /// A text that is taken as it is.
    fn from(text: &str) -> Self {
        Self { pieces: vec![Piece::Text(text.to_owned())] }
    }
}

impl FromStr for SecretText {
    type Err = String;

    /// The error is what is wrong, in words that follow "the value".
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPENS) {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, after) = after.split_once('}').ok_or_else(|| format!("has a `{OPENS}` that no `}}` closes"))?;
            pieces.push(Piece::Secret(name.parse().map_err(|why| format!("names `{OPENS}{name}}}`, and {why}"))?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Secret(name) => write!(f, "{OPENS}{name}}}"),
        })
    }
}

impl FromStr for SecretName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > NAME_MAX {
            return Err("no secret has so long a name");
        }
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("env", _)) => Err("a variable has letters, digits and underscores"),
            Some(("file", path)) if is_plain_path(path) => Ok(Self::File(path.to_owned())),
            Some(("file", _)) => Err("a file is named by its whole path from `/`, without `.` and `..`"),
            _ => Err("a secret is `env:NAME` or `file:/PATH`"),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// POSIX.1-2024, chapter 8: what a portable name of a variable is.
fn is_variable(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()) && name.bytes().all(is_allowed)
}

fn is_plain_path(path: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.strip_prefix('/').is_some_and(|parts| parts.split('/').all(is_plain)) && !path.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_secrets_and_shows_only_their_names() {
        let text: SecretText = "Bearer ${env:API_TOKEN}/${file:/run/secrets/api}!".parse().expect("a text");
        assert_eq!(text.literal(), None);
        assert_eq!(text.to_string(), "Bearer ${env:API_TOKEN}/${file:/run/secrets/api}!");
        let revealed = text.reveal(|name| Ok::<_, ()>(name.to_string().to_uppercase()));
        assert_eq!(revealed.as_deref(), Ok("Bearer ENV:API_TOKEN/FILE:/RUN/SECRETS/API!"));
        assert_eq!(text.reveal(|_| Err("not allowed")), Err("not allowed"));
    }

    #[test]
    fn what_names_none_is_itself() {
        for plain in ["", "health", "$5", "{a}", "a}b"] {
            let text: SecretText = plain.parse().expect("a text");
            assert_eq!(text.literal(), Some(plain));
            assert_eq!(text.to_string(), plain);
        }
    }

    #[test]
    fn a_name_is_a_variable_or_a_whole_path() {
        for wrong in [
            "${env:API_TOKEN",
            "${}",
            "${API_TOKEN}",
            "${env:}",
            "${env:1A}",
            "${env:A-B}",
            "${file:secret}",
            "${file:/}",
            "${file:/run/../etc/shadow}",
            "${file:/run//x}",
            "${vault:x}",
            "${env:A${env:B}}",
        ] {
            assert!(wrong.parse::<SecretText>().is_err(), "{wrong}");
        }
    }
}
