use std::fmt;
use std::path::PathBuf;

use reqwest::header::HeaderValue;

use super::{ForgeError, ForgeKind};

/// Where a forge's token comes from. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// A file, which is read at each request: tokens of GitHub Apps live for an hour, and whoever renews one writes a file.
    File(PathBuf),
    /// The token itself, as the environment has it.
    Value(String),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(…)"),
        }
    }
}

impl Token {
    /// The token, without the newline that editors leave.
    pub(super) async fn read(&self) -> Result<String, ForgeError> {
        let text = match self {
            Self::Value(value) => value.clone(),
            Self::File(path) => tokio::fs::read_to_string(path)
                .await
                .map_err(|source| ForgeError::TokenUnreadable { path: path.clone(), source })?,
        };
        let token = text.trim_end_matches(['\r', '\n']);
        if token.is_empty() || !token.chars().all(|letter| letter.is_ascii_graphic()) {
            return Err(ForgeError::TokenStrange);
        }
        Ok(token.to_owned())
    }
}

/// The value of `Authorization`. All three take a token there, and this is the one header that nobody logs.
pub(super) fn authorization(kind: ForgeKind, token: &str) -> Result<HeaderValue, ForgeError> {
    let scheme = match kind {
        ForgeKind::Github | ForgeKind::Gitlab => "Bearer",
        ForgeKind::Gitea => "token",
    };
    let mut value = HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| ForgeError::TokenStrange)?;
    value.set_sensitive(true);
    Ok(value)
}
