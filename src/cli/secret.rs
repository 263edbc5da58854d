use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// Characters of a token, at least: so many of a random one cannot be guessed.
const TOKEN_MIN: usize = 16;

/// The token for orders from another machine.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// File with the token for orders (`override`, `failback`, `suspend`, `resume`, `rollback`, `allow`, `reconcile`) from
    /// another machine. Or set `BASCULE_API_TOKEN`. Without it, orders are taken only from the controller's own machine, over loopback.
    #[arg(long, env = "BASCULE_API_TOKEN_FILE", value_name = "FILE")]
    api_token_file: Option<PathBuf>,
}

impl TokenArgs {
    /// Reads the token, and refuses what no token should be.
    pub(super) fn token(&self) -> anyhow::Result<Option<String>> {
        sent("API token", "--api-token-file", self.api_token_file.as_deref(), "BASCULE_API_TOKEN")
    }
}

/// The secret for webhooks.
#[derive(Debug, clap::Args)]
pub(super) struct WebhookArgs {
    /// File with the secret that the webhooks of a forge are signed with: a push to the branch is then fetched at once. Or set
    /// `BASCULE_WEBHOOK_SECRET`. Without it no webhook is taken.
    #[arg(long, env = "BASCULE_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
}

impl WebhookArgs {
    /// Reads the secret, and refuses what no secret should be.
    pub(super) fn secret(&self) -> anyhow::Result<Option<String>> {
        sent("webhook secret", "--webhook-secret-file", self.webhook_secret_file.as_deref(), "BASCULE_WEBHOOK_SECRET")
    }
}

/// A secret that others send in a header, or sign with, so that it must be sendable and long.
fn sent(what: &str, flag: &str, file: Option<&Path>, variable: &str) -> anyhow::Result<Option<String>> {
    let secret = secret(flag, file, variable)?;
    if let Some(secret) = &secret {
        ensure!(
            secret.chars().all(|letter| letter.is_ascii_graphic()),
            "the {what} has spaces, line ends or letters beyond ASCII, which no HTTP header carries: make another one, such \
             as with `openssl rand -hex 32`"
        );
        ensure!(
            secret.len() >= TOKEN_MIN,
            "the {what} has {} characters, and fewer than {TOKEN_MIN} can be guessed: make a longer one, such as with \
             `openssl rand -hex 32`",
            secret.len()
        );
    }
    Ok(secret)
}

/// A secret from a file, else from the environment. The newline that editors leave at the end of a file is not part of it.
pub(super) fn secret(flag: &str, file: Option<&Path>, variable: &str) -> anyhow::Result<Option<String>> {
    let Some(file) = file else {
        return Ok(std::env::var(variable).ok().filter(|value| !value.is_empty()));
    };
    let text = std::fs::read_to_string(file).with_context(|| unreadable(flag, file))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        bail!("{flag}: `{}` is empty; put the secret into it, or leave the flag out", file.display());
    }
    Ok(Some(secret.to_owned()))
}

/// What to say of a file that a flag names and that cannot be read.
pub(super) fn unreadable(flag: &str, path: &Path) -> String {
    format!("{flag}: cannot read `{}`; name a file that is there and that bascule's user may read", path.display())
}
