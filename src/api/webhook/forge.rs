use axum::http::HeaderMap;

use super::WebhookSecret;

/// A forge, by the headers that its webhooks have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forge {
    Github,
    Gitlab,
    /// Forgejo's are the same, with headers of both names.
    Gitea,
}

impl Forge {
    /// The forge that an address names.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Github, Self::Gitlab, Self::Gitea].into_iter().find(|forge| forge.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }

    /// True where the sender has the secret: it has signed the body with it, or sends it along, as GitLab does.
    pub(super) fn is_proved(self, secret: &WebhookSecret, headers: &HeaderMap, body: &[u8]) -> bool {
        match self {
            Self::Github => first(headers, &["x-hub-signature-256"])
                .and_then(|value| value.strip_prefix("sha256="))
                .is_some_and(|signature| secret.has_signed(body, signature)),
            Self::Gitlab => first(headers, &["x-gitlab-token"]).is_some_and(|token| secret.is(token)),
            Self::Gitea => first(headers, &["x-forgejo-signature", "x-gitea-signature"])
                .is_some_and(|signature| secret.has_signed(body, signature)),
        }
    }

    /// What happened, in the forge's word; empty where it does not say.
    pub(super) fn event(self, headers: &HeaderMap) -> &str {
        let names: &[&str] = match self {
            Self::Github => &["x-github-event"],
            Self::Gitlab => &["x-gitlab-event"],
            Self::Gitea => &["x-forgejo-event", "x-gitea-event"],
        };
        first(headers, names).unwrap_or_default()
    }

    /// The forge's word for a push to a branch; at GitHub and Gitea to a tag as well.
    pub(super) const fn push(self) -> &'static str {
        match self {
            Self::Github | Self::Gitea => "push",
            Self::Gitlab => "Push Hook",
        }
    }

    /// What a delivery is called when it is sent again; none where the forge does not say, as older ones of GitLab.
    pub(super) fn delivery(self, headers: &HeaderMap) -> Option<&[u8]> {
        let names: &[&str] = match self {
            Self::Github => &["x-github-delivery"],
            Self::Gitlab => &["idempotency-key", "x-gitlab-event-uuid"],
            Self::Gitea => &["x-forgejo-delivery", "x-gitea-delivery"],
        };
        first(headers, names).map(str::as_bytes).filter(|id| !id.is_empty())
    }
}

/// The value of the first of these headers that is there.
fn first<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok())
}
