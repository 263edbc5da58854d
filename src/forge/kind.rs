use std::fmt;

/// Whose API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForgeKind {
    /// github.com and GitHub Enterprise Server: REST, version 2022-11-28.
    Github,
    /// gitlab.com and GitLab's own servers: REST, v4.
    Gitlab,
    /// Gitea and Forgejo: v1.
    Gitea,
}

impl ForgeKind {
    /// The name as people write it in flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }

    /// Where the API is on a server of one's own.
    pub(super) const fn api_path(self) -> &'static str {
        match self {
            Self::Github => "/api/v3",
            Self::Gitlab => "/api/v4",
            Self::Gitea => "/api/v1",
        }
    }

    /// The API of the forge that everybody means by the name; none where there is no such one.
    pub(super) const fn public_api(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("https://api.github.com"),
            Self::Gitlab => Some("https://gitlab.com/api/v4"),
            Self::Gitea => None,
        }
    }

    /// Characters of a status's description. GitHub refuses more than 140 with 422, GitLab more than 255 (a column of its
    /// database); Gitea takes any number, and shows one line.
    pub(super) const fn description_max(self) -> usize {
        match self {
            Self::Github => 140,
            Self::Gitlab | Self::Gitea => 255,
        }
    }
}

impl fmt::Display for ForgeKind {
    /// The name as its makers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea",
        })
    }
}
