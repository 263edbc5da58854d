//! What the environment of a CI's job says of its forge and its pull request.

use std::path::Path;

use serde_json::Value;

use super::super::forge::Told;
use crate::forge::ForgeKind;

/// A job of a CI.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Its forge.
    pub(super) told: Told,
    /// The pull request that it is of; none for a push.
    pub(super) pull: Option<u64>,
    /// The newest commit of that, which is not the one that is checked out where a forge merges for a trial.
    pub(super) head: Option<String>,
    /// What it goes to, as the checkout names it.
    pub(super) base: Option<String>,
    /// True where it comes from another repository: its jobs have no token, or one that only reads.
    pub(super) is_fork: bool,
}

/// The environment.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;
/// The text of a file.
type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Job {
    /// The job that this process is of; none where it is of none that is known.
    pub(super) fn of(env: Env<'_>, read: Read<'_>) -> Option<Self> {
        let is = |name: &str| env(name).as_deref() == Some("true");
        if is("FORGEJO_ACTIONS") || is("GITEA_ACTIONS") {
            return Some(Self::of_actions(ForgeKind::Gitea, &["FORGEJO_", "GITEA_", "GITHUB_"], env, read));
        }
        if is("GITHUB_ACTIONS") {
            return Some(Self::of_actions(ForgeKind::Github, &["GITHUB_"], env, read));
        }
        is("GITLAB_CI").then(|| Self::of_gitlab(env))
    }

    /// GitHub's variables, which Gitea and Forgejo have too, under names of their own as well.
    fn of_actions(kind: ForgeKind, prefixes: &[&str], env: Env<'_>, read: Read<'_>) -> Self {
        let of = |name: &str| prefixes.iter().find_map(|prefix| env(&format!("{prefix}{name}")));
        let event = of("EVENT_PATH").and_then(|path| read(Path::new(&path)));
        let event: Value = event.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let pull = event.get("pull_request").unwrap_or(&Value::Null);
        let text = |pointer: &str| pull.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (from, to) = (text("/head/repo/full_name"), text("/base/repo/full_name"));
        let url = of("API_URL").or_else(|| of("SERVER_URL"));
        Self {
            told: Told { kind, repository: of("REPOSITORY"), url, token: of("TOKEN") },
            pull: pull.get("number").and_then(Value::as_u64),
            head: text("/head/sha"),
            base: of("BASE_REF").map(|branch| format!("origin/{branch}")),
            // A fork that is gone has no name.
            is_fork: to.is_some() && from != to,
        }
    }

    fn of_gitlab(env: Env<'_>) -> Self {
        let target = env("CI_MERGE_REQUEST_PROJECT_ID");
        let source = env("CI_MERGE_REQUEST_SOURCE_PROJECT_ID");
        let branch = env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME").map(|branch| format!("origin/{branch}"));
        Self {
            told: Told {
                kind: ForgeKind::Gitlab,
                // A merge request from a fork may run there; it is discussed where it goes to.
                repository: target.clone().or_else(|| env("CI_PROJECT_ID")),
                url: env("CI_API_V4_URL"),
                // The job's own token, CI_JOB_TOKEN, may neither comment nor set a status.
                token: env("GITLAB_TOKEN"),
            },
            pull: env("CI_MERGE_REQUEST_IID").and_then(|iid| iid.parse().ok()),
            // Only where the pipeline is of a trial merge is it another commit than the one that is checked out.
            head: env("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA").or_else(|| env("CI_COMMIT_SHA")),
            // What the target has won since is not what the merge request takes out.
            base: env("CI_MERGE_REQUEST_DIFF_BASE_SHA").or(branch),
            is_fork: source.is_some() && source != target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": "you/infra"}},
        "base": {"repo": {"full_name": "you/infra"}}}}"#;

    fn job(variables: &[(&str, &str)], event: &str) -> Option<Job> {
        let env = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        Job::of(&env, &|path| (path == Path::new("/event.json")).then(|| event.to_owned()))
    }

    #[test]
    fn a_pull_request_of_github_is_known_by_its_event() {
        let variables = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_REPOSITORY", "you/infra"),
            ("GITHUB_EVENT_PATH", "/event.json"),
            ("GITHUB_SHA", "the merge"),
            ("GITHUB_BASE_REF", "main"),
            ("GITHUB_TOKEN", "t"),
        ];
        let job = job(&variables, EVENT).expect("a job");
        assert_eq!((job.told.kind, job.pull, job.head.as_deref()), (ForgeKind::Github, Some(7), Some("abc")));
        assert_eq!((job.base.as_deref(), job.is_fork), (Some("origin/main"), false));
        assert_eq!(job.told.url.as_deref(), Some("https://api.github.com"));
        let fork = EVENT.replacen("you/infra", "stranger/infra", 1);
        assert!(self::job(&variables, &fork).expect("a job").is_fork);
        let gone = EVENT.replacen(r#"{"full_name": "you/infra"}"#, "null", 1);
        assert!(self::job(&variables, &gone).expect("a job").is_fork);
        let push = self::job(&variables, r#"{"after": "abc"}"#).expect("a job");
        assert_eq!((push.pull, push.head, push.is_fork), (None, None, false));
    }

    #[test]
    fn gitea_and_forgejo_are_told_from_github() {
        for name in ["GITEA_ACTIONS", "FORGEJO_ACTIONS"] {
            let variables = [
                ("GITHUB_ACTIONS", "true"),
                (name, "true"),
                ("GITHUB_SERVER_URL", "https://codeberg.org"),
                ("GITHUB_REPOSITORY", "you/infra"),
                ("GITHUB_EVENT_PATH", "/event.json"),
                ("FORGEJO_TOKEN", "f"),
                ("GITHUB_TOKEN", "g"),
            ];
            let job = job(&variables, EVENT).expect("a job");
            assert_eq!((job.told.kind, job.pull, job.told.token.as_deref()), (ForgeKind::Gitea, Some(7), Some("f")));
            assert_eq!(job.told.url.as_deref(), Some("https://codeberg.org"));
        }
    }

    #[test]
    fn a_merge_request_of_gitlab_is_known_by_its_variables() {
        let mut variables = vec![
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", "https://gitlab.com/api/v4"),
            ("CI_PROJECT_ID", "42"),
            ("CI_COMMIT_SHA", "abc"),
        ];
        let push = job(&variables, "").expect("a job");
        assert_eq!((push.pull, push.told.repository.as_deref(), push.is_fork), (None, Some("42"), false));
        variables.extend([
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_MERGE_REQUEST_PROJECT_ID", "41"),
            ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "42"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ]);
        let fork = job(&variables, "").expect("a job");
        assert_eq!((fork.pull, fork.told.repository.as_deref(), fork.is_fork), (Some(7), Some("41"), true));
        assert_eq!((fork.head.as_deref(), fork.base.as_deref()), (Some("abc"), Some("origin/main")));
        variables.extend([("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "def"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "base")]);
        let merged = job(&variables, "").expect("a job");
        assert_eq!((merged.head.as_deref(), merged.base.as_deref()), (Some("def"), Some("base")));
    }

    #[test]
    fn nothing_is_made_up() {
        assert!(job(&[], EVENT).is_none());
        let bare = job(&[("GITHUB_ACTIONS", "true")], EVENT).expect("a job");
        assert!(bare.pull.is_none() && bare.told.url.is_none() && bare.told.repository.is_none());
    }
}
