use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Answer;
use super::client::{Call, path_part};
use super::error::Deed;
use super::{Forge, ForgeError, ForgeKind};
use crate::core::model::Revision;

/// How a commit stands in one regard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    /// The commit.
    pub revision: Revision,
    /// The regard: a later status with the same one takes the place of this.
    pub context: String,
    /// How it stands.
    pub state: CommitState,
    /// Why, in one line.
    description: String,
}

/// The longest description that any of them takes.
const DESCRIPTION_MAX: usize = 255;

impl CommitStatus {
    /// A status with a reason, of which the beginning is kept: 255 characters, and what the forge takes when it is sent.
    pub fn new(revision: Revision, context: impl Into<String>, state: CommitState, description: &str) -> Self {
        Self { revision, context: context.into(), state, description: one_line(description, DESCRIPTION_MAX) }
    }

    /// Why, in one line.
    pub fn description(&self) -> &str {
        &self.description
    }
}

/// How a commit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// Nobody can say yet.
    Pending,
    /// Well.
    Success,
    /// Badly: somebody must look.
    Failure,
}

impl CommitState {
    /// The state in GitHub's and Gitea's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    const fn in_words_of(self, kind: ForgeKind) -> &'static str {
        match (kind, self) {
            (ForgeKind::Gitlab, Self::Failure) => "failed",
            _ => self.as_str(),
        }
    }
}

impl Forge {
    /// Sets a status on a commit.
    ///
    /// GitHub: `POST /repos/{owner}/{repo}/statuses/{sha}`; GitLab: `POST /projects/:id/statuses/:sha`; Gitea: `POST
    /// /repos/{owner}/{repo}/statuses/{sha}`.
    pub async fn set_status(&self, status: &CommitStatus) -> Result<(), ForgeError> {
        let mut tries = self.tries();
        loop {
            match self.try_set_status(status).await {
                Ok(()) => return Ok(()),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    async fn try_set_status(&self, status: &CommitStatus) -> Result<(), ForgeError> {
        let CommitStatus { revision, context, state, description } = status;
        let kind = self.settings.kind;
        let sha = path_part(revision.as_str());
        let path = format!("{}/statuses/{sha}", self.repository_path());
        let description = one_line(description, kind.description_max());
        let name = if kind == ForgeKind::Gitlab { "name" } else { "context" };
        let body = json!({ "state": state.in_words_of(kind), name: context, "description": description });
        let answer = self.send(Call::post(path, body)).await?;
        if is_pending_already(kind, *state, &answer) {
            return Ok(());
        }
        self.judge(Deed::Status, answer).map(drop)
    }
}

/// GitLab takes a status for a job that runs, and refuses with 400 to make pending what is pending or runs already.
fn is_pending_already(kind: ForgeKind, state: CommitState, answer: &Answer) -> bool {
    let says = || answer.json().as_ref().and_then(message).is_some_and(|it| it.starts_with("Cannot transition status"));
    kind == ForgeKind::Gitlab && state == CommitState::Pending && answer.status.as_u16() == 400 && says()
}

/// What a forge says is wrong. GitLab's `message` may be an object by field; GitHub's says less than its first error.
pub(super) fn message(body: &Value) -> Option<String> {
    let said = body.get("message").or(body.get("error"))?;
    let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    let detail = body.pointer("/errors/0/message").and_then(Value::as_str);
    Some(detail.map_or_else(|| said.clone(), |detail| format!("{said}: {detail}")))
}

/// A text on one line, cut to so many characters with a sign that it was.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let spaced: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let line = spaced.trim();
    if line.chars().count() <= chars_max {
        return line.to_owned();
    }
    let start: String = line.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_one_line_and_no_longer_than_it_may_be() {
        assert_eq!(one_line(" two\nlines\t", 140), "two lines");
        assert_eq!(one_line(&"é".repeat(140), 140).chars().count(), 140);
        let cut = one_line(&"é".repeat(141), 140);
        assert!(cut.chars().count() == 140 && cut.ends_with("é…"), "{cut}");
        assert_eq!(one_line("four and more", 5), "four…");
    }
}
