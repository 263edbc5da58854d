use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;

use super::secret::{secret, unreadable};
use crate::forge::{ForgeKind, ForgeSettings, Patience, Remote, Token};
use crate::git::Location;

/// The variable with the token itself.
pub(super) const TOKEN: &str = "BASCULE_FORGE_TOKEN";

/// Where a forge is, and what opens it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ForgeArgs {
    /// The forge that is told: `gitea` is for Forgejo too. `run` sets a status on the commit of each revision, `review` a
    /// status and a comment on a pull request.
    #[arg(long, env = "BASCULE_FORGE", value_enum)]
    forge: Option<ForgeArg>,
    /// The repository there; for GitLab with all of its groups, or the project's number. Without it, the remote of the
    /// repository says it, or the environment of the CI.
    #[arg(long, env = "BASCULE_FORGE_REPOSITORY", value_name = "OWNER/NAME", value_parser = NonEmptyStringValueParser::new())]
    forge_repository: Option<String>,
    /// The forge's address, or that of its API. Default: the remote's host, or the public one of that name.
    #[arg(long, env = "BASCULE_FORGE_URL", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    forge_url: Option<String>,
    /// File with the token for the forge, read at each request. Or set `BASCULE_FORGE_TOKEN`.
    #[arg(long, env = "BASCULE_FORGE_TOKEN_FILE", value_name = "FILE")]
    forge_token_file: Option<PathBuf>,
}

/// Whose API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ForgeArg {
    /// github.com, GitHub Enterprise Server.
    Github,
    /// gitlab.com, or a GitLab of one's own.
    Gitlab,
    /// Gitea and Forgejo.
    #[value(alias = "forgejo")]
    Gitea,
}

impl From<ForgeArg> for ForgeKind {
    fn from(arg: ForgeArg) -> Self {
        match arg {
            ForgeArg::Github => Self::Github,
            ForgeArg::Gitlab => Self::Gitlab,
            ForgeArg::Gitea => Self::Gitea,
        }
    }
}

/// What the environment of a CI says of its forge.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) kind: ForgeKind,
    pub(super) repository: Option<String>,
    pub(super) url: Option<String>,
    pub(super) token: Option<String>,
}

impl ForgeArgs {
    /// The forge that `run` tells; none where none is named.
    pub(super) fn of_source(&self, location: &Location) -> anyhow::Result<Option<ForgeSettings>> {
        let Self { forge, forge_repository, forge_url, forge_token_file: _ } = self;
        let Some(forge) = forge else {
            let more = [("--forge-repository", forge_repository.is_some()), ("--forge-url", forge_url.is_some())];
            if let Some((flag, _)) = more.iter().find(|(_, is_given)| *is_given) {
                bail!("`{flag}` is for a forge, and none is named: add `--forge github`, `gitlab` or `gitea`");
            }
            return Ok(None);
        };
        ensure!(
            !matches!(location, Location::Directory(_)),
            "`--forge` tells how commits stand, and a plain folder has none: name a repository with `--repo`"
        );
        let token = self.token()?.with_context(|| {
            format!(
                "`--forge` takes a token: put it into a file, and name that with `--forge-token-file`, or set `{TOKEN}`"
            )
        })?;
        let remote = location.remote_address().and_then(|address| Remote::parse(&address));
        let (kind, repository, url) = (ForgeKind::from(*forge), forge_repository.as_deref(), forge_url.as_deref());
        Ok(Some(ForgeSettings::new(kind, repository, url, remote.as_ref(), token, Patience::once())?))
    }

    /// The forge that a job of a CI talks to, and none where neither flags nor the environment name one, or nobody gives a
    /// token. The job's own token goes to the job's own forge alone.
    pub(super) fn of_job(&self, told: Option<&Told>) -> anyhow::Result<Option<ForgeSettings>> {
        let Self { forge, forge_repository, forge_url, forge_token_file: _ } = self;
        let named = forge.map(ForgeKind::from);
        let told = told.filter(|told| named.is_none_or(|named| named == told.kind));
        let Some(kind) = named.or(told.map(|told| told.kind)) else { return Ok(None) };
        let own = told.filter(|_| forge_url.is_none()).and_then(|told| told.token.clone()).map(Token::Value);
        let Some(token) = self.token()?.or(own) else { return Ok(None) };
        let repository = forge_repository.as_deref().or(told.and_then(|told| told.repository.as_deref()));
        let url = forge_url.as_deref().or(told.and_then(|told| told.url.as_deref()));
        Ok(Some(ForgeSettings::new(kind, repository, url, None, token, Patience::job())?))
    }

    fn token(&self) -> anyhow::Result<Option<Token>> {
        let Some(file) = &self.forge_token_file else {
            return Ok(secret("", None, TOKEN)?.map(Token::Value));
        };
        secret("--forge-token-file", Some(file), TOKEN)?;
        let whole = std::path::absolute(file).with_context(|| unreadable("--forge-token-file", file))?;
        Ok(Some(Token::File(whole)))
    }
}
