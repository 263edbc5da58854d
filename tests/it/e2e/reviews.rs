//! `bascule review` as jobs of each CI run it.

use std::fs;

use bascule::forge::ForgeKind;
use serde_json::json;

use super::program::{Ran, bascule, program};
use crate::support::forge_server::{ForgeServer, Mood, PULL, REPOSITORY, TOKEN};
use crate::support::git_repo::GitRepo;
use crate::support::port::ReservedPort;

/// What a page is told by that is not there.
const BAD: &str = "service: www\nname: bad\nsite: dijno\naddr: 10.200.1.9\nport: 80\n";

/// A clone with a starter on `main`, and a proposal that takes one of its two backends out.
fn proposed() -> GitRepo {
    let repo = GitRepo::empty();
    assert_eq!(bascule(&repo.path(), &["init"]).code, Some(0));
    repo.commit("Declare two sites");
    repo.publish();
    repo.git(&["checkout", "--quiet", "-b", "proposal"]);
    let path = repo.path().join("inventory/backends/www-thory-1.yaml");
    let text = fs::read_to_string(&path).expect("a backend");
    fs::write(&path, format!("{text}state: drain\n")).expect("a file is written");
    repo.commit("Drain thory");
    repo
}

/// The environment of a pull request's job.
fn environment(kind: ForgeKind, repo: &GitRepo, server: &ForgeServer, token: bool) -> Vec<(&'static str, String)> {
    let head = repo.head();
    if kind == ForgeKind::Gitlab {
        let mut variables = vec![
            ("GITLAB_CI", "true".to_owned()),
            ("CI_API_V4_URL", format!("{}/api/v4", server.url())),
            ("CI_PROJECT_ID", REPOSITORY.to_owned()),
            ("CI_MERGE_REQUEST_IID", PULL.to_string()),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main".to_owned()),
            ("CI_COMMIT_SHA", head),
            ("CI_JOB_TOKEN", "a token that may neither comment nor set a status".to_owned()),
        ];
        variables.extend(token.then(|| ("BASCULE_FORGE_TOKEN", TOKEN.to_owned())));
        return variables;
    }
    let event = json!({ "pull_request": {
        "number": PULL,
        "head": { "sha": head, "repo": { "full_name": if token { REPOSITORY } else { "stranger/infra" } } },
        "base": { "repo": { "full_name": REPOSITORY } },
    }});
    let place = repo.beside("event.json");
    fs::write(&place, event.to_string()).expect("a file is written");
    let api = if kind == ForgeKind::Github { "/api/v3" } else { "/api/v1" };
    let mut variables = vec![
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("GITHUB_API_URL", format!("{}{api}", server.url())),
        ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
        ("GITHUB_EVENT_PATH", place.display().to_string()),
        ("GITHUB_BASE_REF", "main".to_owned()),
        // The merge that is tried out, of which nobody hears.
        ("GITHUB_SHA", "1".repeat(40)),
        ("GITHUB_STEP_SUMMARY", repo.beside("summary.md").display().to_string()),
    ];
    variables.extend(token.then(|| ("GITHUB_TOKEN", TOKEN.to_owned())));
    variables.extend((kind == ForgeKind::Gitea).then(|| ("GITEA_ACTIONS", "true".to_owned())));
    variables
}

/// Runs `bascule review` in a job. The test's own server answers meanwhile.
async fn review(repo: &GitRepo, variables: &[(&'static str, String)], args: &[&str]) -> Ran {
    let mut command = program(&repo.path());
    command.envs(variables.iter().map(|(name, value)| (name, value))).arg("review").args(args);
    let ran = tokio::task::spawn_blocking(move || command.output().expect("bascule runs")).await;
    let ran: Ran = ran.expect("it runs").into();
    assert!(!ran.stdout.contains(TOKEN) && !ran.stderr.contains(TOKEN), "{ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_has_one_comment_and_its_head_a_status() {
    for kind in [ForgeKind::Github, ForgeKind::Gitlab, ForgeKind::Gitea] {
        let (repo, server) = (proposed(), ForgeServer::start(kind).await);
        let variables = environment(kind, &repo, &server, true);
        let ran = review(&repo, &variables, &[]).await;
        assert_eq!((ran.code, ran.stderr.trim()), (Some(0), "posted on pull request 3 of you/infra"), "{ran:?}");
        let [comment] = &server.own_comments()[..] else { panic!("{kind}: {:?}", server.own_comments()) };
        assert_eq!(comment.body, ran.stdout);
        assert!(ran.stdout.starts_with("<!-- bascule review inventory -->\n### :warning:"), "{}", ran.stdout);
        for part in ["0 to add, 1 to change", "`site:dijon`", "against `origin/main`"] {
            assert!(ran.stdout.contains(part), "no {part}: {}", ran.stdout);
        }
        let [status] = &server.statuses()[..] else { panic!("{kind}: {:?}", server.statuses()) };
        let found = (status.sha.clone(), status.context.as_str(), status.state.as_str());
        assert_eq!(found, (repo.head(), "bascule/plan", "success"));
        assert!(status.description.starts_with("0 to add, 1 to change, 0 to remove"), "{status:?}");

        // The next commit of it has errors.
        repo.write("inventory/backends/bad.yaml", BAD);
        repo.commit("Misspell a site");
        let ran = review(&repo, &environment(kind, &repo, &server, true), &[]).await;
        assert_eq!((ran.code, ran.stderr.trim()), (Some(3), "updated on pull request 3 of you/infra"), "{ran:?}");
        assert_eq!(server.own_comments().len(), 1);
        assert!(
            server.own_comments()[0].body.contains("`inventory/backends/bad.yaml:3:7`"),
            "{:?}",
            server.own_comments()
        );
        let status = server.statuses().pop().expect("a status");
        assert_eq!((status.sha, status.state.starts_with("fail")), (repo.head(), true));
        assert!(
            status.description.starts_with("inventory/backends/bad.yaml:3:7: error[unknown-site]"),
            "{}",
            status.description
        );
        if kind != ForgeKind::Gitlab {
            let summary = fs::read_to_string(repo.beside("summary.md")).expect("a summary");
            assert_eq!(summary.matches("<!-- bascule review inventory -->").count(), 2, "{summary}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_it_is_told_where_the_job_is_and_the_check_decides() {
    for (kind, words) in [
        (ForgeKind::Github, "as those of forks do not"),
        (ForgeKind::Gitlab, "give the job one in `BASCULE_FORGE_TOKEN`"),
        (ForgeKind::Gitea, "as those of forks do not"),
    ] {
        let (repo, server) = (proposed(), ForgeServer::start(kind).await);
        let variables = environment(kind, &repo, &server, false);
        let ran = review(&repo, &variables, &[]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.starts_with("<!-- bascule review") && ran.stderr.contains(words), "{ran:?}");
        if kind != ForgeKind::Gitlab {
            assert_eq!(fs::read_to_string(repo.beside("summary.md")).expect("a summary"), ran.stdout);
        }
        let ran = review(&repo, &variables, &["--post"]).await;
        assert!(ran.code == Some(1) && ran.stderr.contains("`--forge-token-file`"), "{ran:?}");
        repo.write("inventory/backends/bad.yaml", BAD);
        assert_eq!(review(&repo, &variables, &[]).await.code, Some(3));
        assert_eq!(server.requests(), [] as [String; 0], "nobody is asked without a token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_write_is_said_and_no_failure_unless_it_must_be_posted() {
    let (repo, server) = (proposed(), ForgeServer::start(ForgeKind::Github).await);
    let variables = environment(ForgeKind::Github, &repo, &server, true);
    server.behave(Mood::Status(403));
    let ran = review(&repo, &variables, &[]).await;
    assert!(ran.code == Some(0) && ran.stderr.contains("`statuses: write`"), "{ran:?}");
    let ran = review(&repo, &variables, &["--post"]).await;
    assert!(ran.code == Some(7) && ran.stderr.starts_with("error: not posted: "), "{ran:?}");
    assert!(ran.stderr.contains("`statuses: write`"), "{ran:?}");
    let asked = server.requests().len();
    let ran = review(&repo, &variables, &["--post=off"]).await;
    assert_eq!((ran.code, server.requests().len()), (Some(0), asked), "{ran:?}");
    // The job's token goes to no other place than the job's.
    let other = ForgeServer::start(ForgeKind::Github).await;
    let ran = review(&repo, &variables, &["--forge-url", &other.url()]).await;
    assert_eq!((ran.code, other.requests().len()), (Some(0), 0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_required_decides_too() {
    let (repo, server) = (proposed(), ForgeServer::start(ForgeKind::Github).await);
    let path = repo.path().join("inventory/services/www.yaml");
    let text = fs::read_to_string(&path).expect("a service");
    fs::write(&path, format!("{text}critical: true\n")).expect("a file is written");
    let variables = environment(ForgeKind::Github, &repo, &server, true);
    assert_eq!(review(&repo, &variables, &[]).await.code, Some(0));
    let ran = review(&repo, &variables, &["--require"]).await;
    assert!(ran.code == Some(4) && ran.stderr.contains("required: service www is critical"), "{ran:?}");
    let status = server.statuses().pop().expect("a status");
    assert_eq!(status.state, "failure");
    assert!(status.description.starts_with("service www is critical, and down with"), "{status:?}");

    // Merged as it is, it cannot be removed in one step.
    repo.commit("Mark it");
    repo.git(&["push", "--quiet", "origin", "HEAD:main"]);
    repo.git(&["fetch", "--quiet", "origin"]);
    fs::remove_file(&path).expect("a file is removed");
    fs::remove_dir_all(repo.path().join("inventory/backends")).expect("a folder is removed");
    let backend = "name: other-dijon-1\nservice: other\nsite: dijon\naddr: 10.200.1.9\nport: 80\n";
    repo.write("inventory/backends/other-dijon-1.yaml", backend);
    repo.write("inventory/services/other.yaml", "name: other\ndomains: [other.example.org]\nhealth: { type: tcp }\n");
    let ran = review(&repo, &variables, &["--require"]).await;
    assert!(ran.code == Some(4) && ran.stderr.contains("required: service www is critical, and removed"), "{ran:?}");
    assert_eq!(review(&repo, &variables, &[]).await.code, Some(0));
}

#[test]
fn outside_of_a_job_it_prints_and_says_what_is_missing() {
    let repo = proposed();
    let ran = bascule(&repo.path(), &["review"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("`--against origin/main`"), "{ran:?}");
    let ran = bascule(&repo.path(), &["review", "--against", "origin/main"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("not posted: this is no job"), "{ran:?}");
    let ran = bascule(&repo.path(), &["review", "--against", "nowhere"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    // The state before has errors: what is proposed decides.
    repo.write("inventory/backends/bad.yaml", BAD);
    repo.commit("Misspell a site");
    fs::remove_file(repo.path().join("inventory/backends/bad.yaml")).expect("a file is removed");
    let ran = bascule(&repo.path(), &["review", "--against", "HEAD"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("nothing to compare with"), "{ran:?}");
}

/// Who repairs what needs to know whose fault it is: the inventory's comes first, since it is there whatever the forge does.
#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_is_away_has_another_exit_code_than_an_inventory_with_a_fault() {
    let (repo, server) = (proposed(), ForgeServer::start(ForgeKind::Github).await);
    let variables = environment(ForgeKind::Github, &repo, &server, true);
    let nowhere = format!("http://127.0.0.1:{}", ReservedPort::take().get());
    fs::write(repo.beside("token"), TOKEN).expect("a file is written");
    let token = repo.beside("token").display().to_string();
    let away = ["--post", "--forge-url", &nowhere, "--forge-token-file", &token];
    let ran = review(&repo, &variables, &away).await;
    assert!(ran.code == Some(7) && ran.stderr.contains("error: not posted: "), "{ran:?}");
    assert!(ran.stderr.contains("GitHub at 127.0.0.1 does not answer"), "{ran:?}");
    repo.write("inventory/backends/bad.yaml", BAD);
    let ran = review(&repo, &variables, &away).await;
    assert!(ran.code == Some(3) && ran.stderr.contains("error: not posted: "), "{ran:?}");
    assert!(ran.stdout.contains("unknown-site"), "{ran:?}");
}
