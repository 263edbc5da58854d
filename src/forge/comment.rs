use reqwest::Method;
use serde_json::{Value, json};

use super::client::Call;
use super::error::Deed;
use super::{Forge, ForgeError, ForgeKind};

/// Comments of one page, the most that GitHub and GitLab give.
const PAGE: usize = 100;
/// Pages that are looked through: a pull request with more than 5,000 comments has other troubles.
const PAGES_MAX: usize = 50;

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is new.
    Posted,
    /// One that was there says this now.
    Updated,
    /// One that was there says this already.
    Unchanged,
}

/// Whose comment it can be.
#[derive(Debug, PartialEq, Eq)]
enum Author {
    /// The token's own user.
    Id(u64),
    /// The token is an app's, which has no user that it could ask for: then a bot's.
    Bot,
    /// It could not be learned.
    Anybody,
}

#[derive(Debug)]
struct Found {
    id: u64,
    body: String,
}

impl Forge {
    /// Makes a pull request have one comment that begins with `marker`: the one that is there gets the text, and a new one is
    /// posted where there is none. `marker` is the beginning of `body`.
    ///
    /// A comment of somebody else with the same marker is not taken: its writer could change it again.
    pub async fn place_comment(&self, pull: u64, marker: &str, body: &str) -> Result<Placed, ForgeError> {
        let mut tries = self.tries();
        loop {
            match self.try_place_comment(pull, marker, body).await {
                Ok(placed) => return Ok(placed),
                // All of it again: what did not answer in time may have posted.
                Err(error) => tries.after(error).await?,
            }
        }
    }

    async fn try_place_comment(&self, pull: u64, marker: &str, body: &str) -> Result<Placed, ForgeError> {
        let author = self.author().await?;
        let there = self.find_comment(pull, marker, &author).await?;
        let text = json!({ "body": body });
        let Some(Found { id, body: before }) = there else {
            let answer = self.send(Call::post(self.comments_path(pull), text)).await?;
            return self.judge(Deed::Comment, answer).map(|_| Placed::Posted);
        };
        // Forges may take spaces off its ends, and end lines in their own way.
        if before.replace("\r\n", "\n").trim() == body.trim() {
            return Ok(Placed::Unchanged);
        }
        let (method, path) = match self.settings.kind {
            ForgeKind::Github | ForgeKind::Gitea => {
                (Method::PATCH, format!("{}/issues/comments/{id}", self.repository_path()))
            }
            ForgeKind::Gitlab => (Method::PUT, format!("{}/{id}", self.comments_path(pull))),
        };
        let answer = self.send(Call::post(path, text).with_method(method)).await?;
        self.judge(Deed::Comment, answer).map(|_| Placed::Updated)
    }

    fn comments_path(&self, pull: u64) -> String {
        let repository = self.repository_path();
        match self.settings.kind {
            ForgeKind::Github | ForgeKind::Gitea => format!("{repository}/issues/{pull}/comments"),
            ForgeKind::Gitlab => format!("{repository}/merge_requests/{pull}/notes"),
        }
    }

    /// The token's user. Tokens of apps have none, and are refused the question.
    async fn author(&self) -> Result<Author, ForgeError> {
        let answer = self.send(Call::get("/user".to_owned(), Vec::new())).await?;
        let own = |body: Value| body.get("id").and_then(Value::as_u64).map(Author::Id);
        match self.judge(Deed::Comment, answer) {
            Ok(answer) => Ok(answer.json().and_then(own).unwrap_or(Author::Anybody)),
            Err(error) if error.is_passing() => Err(error),
            Err(_) if self.settings.kind == ForgeKind::Github => Ok(Author::Bot),
            Err(_) => Ok(Author::Anybody),
        }
    }

    async fn find_comment(&self, pull: u64, marker: &str, author: &Author) -> Result<Option<Found>, ForgeError> {
        for page in 1..=PAGES_MAX {
            let query = match self.settings.kind {
                ForgeKind::Github => vec![("per_page", PAGE.to_string()), ("page", page.to_string())],
                ForgeKind::Gitlab => vec![
                    ("per_page", PAGE.to_string()),
                    ("page", page.to_string()),
                    ("sort", "asc".to_owned()),
                    ("order_by", "created_at".to_owned()),
                ],
                // It gives all of them at once.
                ForgeKind::Gitea => Vec::new(),
            };
            let answer = self.send(Call::get(self.comments_path(pull), query)).await?;
            let answer = self.judge(Deed::Comment, answer)?;
            let comments = answer.json();
            let Some(comments) = comments.as_ref().and_then(Value::as_array) else {
                return Err(self.not_a_forge(answer.status));
            };
            let is_own = |it: &&Value| is_by(author, it) && text(it).starts_with(marker);
            if let Some(found) = comments.iter().find(is_own) {
                let id = found.get("id").and_then(Value::as_u64);
                return id
                    .map(|id| Some(Found { id, body: text(found).to_owned() }))
                    .ok_or_else(|| self.not_a_forge(answer.status));
            }
            if !answer.has_next() {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

fn text(comment: &Value) -> &str {
    comment.get("body").and_then(Value::as_str).unwrap_or_default()
}

/// GitLab has an `author`, the others a `user`.
fn is_by(author: &Author, comment: &Value) -> bool {
    let writer = comment.get("user").or(comment.get("author"));
    match author {
        Author::Anybody => true,
        Author::Id(id) => writer.and_then(|it| it.get("id")).and_then(Value::as_u64) == Some(*id),
        Author::Bot => writer.and_then(|it| it.get("type")).and_then(Value::as_str) == Some("Bot"),
    }
}
