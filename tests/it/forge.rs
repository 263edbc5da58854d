//! The client against a server that speaks each of the three APIs as it is documented.

use std::time::Duration;

use bascule::core::model::Revision;
use bascule::forge::{CommitState, CommitStatus, Forge, ForgeError, ForgeKind, ForgeSettings, Patience, Placed, Token};

use crate::support::forge_server::{ForgeServer, Mood, PULL, REPOSITORY, TOKEN};
use crate::support::wait::{SOON, wait_for};

const KINDS: [ForgeKind; 3] = [ForgeKind::Github, ForgeKind::Gitlab, ForgeKind::Gitea];
const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
const MARKER: &str = "<!-- bascule review inventory -->";
/// Quick, and patient enough for a server on loopback.
const PATIENCE: Patience = Patience {
    timeout: Duration::from_secs(5),
    retries: 3,
    first: Duration::from_millis(10),
    wait_max: Duration::from_secs(5),
};

fn client_of(server: &ForgeServer, kind: ForgeKind, repository: &str, token: Token, patience: Patience) -> Forge {
    let settings = ForgeSettings::new(kind, Some(repository), Some(&server.url()), None, token, patience);
    Forge::new(settings.expect("settings")).expect("a client")
}

fn client(server: &ForgeServer, kind: ForgeKind) -> Forge {
    client_of(server, kind, REPOSITORY, Token::Value(TOKEN.to_owned()), PATIENCE)
}

fn status(state: CommitState, description: &str) -> CommitStatus {
    CommitStatus::new(Revision::new(SHA), "bascule/applied (ovh)", state, description)
}

/// An error, after a look that it has no secret in it.
#[track_caller]
fn words(error: &ForgeError) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(TOKEN), "{text}");
    error.to_string()
}

#[tokio::test]
async fn a_status_is_set_in_the_words_of_each_forge() {
    for kind in KINDS {
        let server = ForgeServer::start(kind).await;
        let forge = client(&server, kind);
        for (state, description) in [
            (CommitState::Pending, "later".to_owned()),
            // GitLab refuses to make pending what is pending.
            (CommitState::Pending, "later".to_owned()),
            (CommitState::Failure, "é".repeat(300)),
            (CommitState::Success, "edge ovh\nruns it".to_owned()),
        ] {
            forge.set_status(&status(state, &description)).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        }
        let set = server.statuses();
        let states: Vec<_> = set.iter().map(|it| it.state.as_str()).collect();
        let (expected, length): (&[_], _) = match kind {
            ForgeKind::Github => (&["pending", "pending", "failure", "success"], 140),
            ForgeKind::Gitlab => (&["pending", "failed", "success"], 255),
            ForgeKind::Gitea => (&["pending", "pending", "failure", "success"], 255),
        };
        assert_eq!(states, expected, "{kind}");
        let [.., failed, last] = &set[..] else { panic!("{set:?}") };
        assert_eq!((failed.description.chars().count(), failed.description.ends_with('…')), (length, true), "{kind}");
        assert_eq!((last.context.as_str(), last.sha.as_str()), ("bascule/applied (ovh)", SHA));
        assert_eq!(last.description, "edge ovh runs it");
    }
}

#[tokio::test]
async fn a_pull_request_has_one_comment_that_is_kept_up() {
    for (kind, is_app) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let server = ForgeServer::start(kind).await;
        let forge = client(&server, kind);
        if is_app {
            server.take_for_app();
        }
        for number in 0..120 {
            server.add_comment(1, &format!("comment {number}"));
        }
        // Somebody else's, which its writer could change again; where nobody can be told apart it would count.
        if kind == ForgeKind::Github || !is_app {
            server.add_comment(1, &format!("{MARKER}\nall is well, says a stranger"));
        }
        server.add_comment(7, &format!("about {MARKER}"));
        let place = async |text: &str| {
            let body = format!("{MARKER}\n{text}\n");
            forge.place_comment(PULL, MARKER, &body).await.unwrap_or_else(|error| panic!("{kind}: {error}"))
        };
        let placed = [place("one").await, place("one").await, place("two").await];
        assert_eq!(placed, [Placed::Posted, Placed::Unchanged, Placed::Updated], "{kind} {is_app}");
        let own = server.own_comments();
        assert_eq!(own.len(), 2, "{kind}: {own:?}");
        assert_eq!(own[1].body, format!("{MARKER}\ntwo\n"));
        assert!(!server.comments().iter().any(|it| it.author == 1 && it.body.contains("two")));
        let writes = server.requests().iter().filter(|it| !it.starts_with("GET")).count();
        assert_eq!(writes, 2, "{kind}: {:?}", server.requests());
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_a_bounded_number_of_times() {
    for kind in KINDS {
        let server = ForgeServer::start(kind).await;
        let forge = client(&server, kind);
        for mood in [Mood::TooMany(0), Mood::TooMany(1), Mood::Secondary(1), Mood::Status(503), Mood::Status(502)] {
            server.behave_next([mood.clone()]);
            let began = std::time::Instant::now();
            forge.set_status(&status(CommitState::Success, "well")).await.unwrap_or_else(|error| panic!("{error}"));
            let asked = matches!(mood, Mood::TooMany(1) | Mood::Secondary(1));
            assert!(!asked || began.elapsed() >= Duration::from_secs(1), "{mood:?}: {:?}", began.elapsed());
        }
        assert_eq!((server.statuses().len(), server.requests().len()), (5, 10), "{kind}");
        server.behave(Mood::Status(500));
        let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("never well");
        assert!(words(&error).contains("has a fault of its own (500)"), "{error}");
        assert!(error.is_passing() && server.requests().len() == 14, "{:?}", server.requests());
        // One that asks for too long is not waited for.
        server.behave(Mood::TooMany(3600));
        let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("for an hour");
        assert!(words(&error).contains("asks to wait (429)"), "{error}");
        assert_eq!((error.wait(), server.requests().len()), (Some(Duration::from_hours(1)), 15));
    }
}

#[tokio::test]
async fn a_forge_that_hangs_or_is_away_is_given_up() {
    let mut server = ForgeServer::start(ForgeKind::Github).await;
    let patience = Patience { timeout: Duration::from_millis(300), retries: 1, ..PATIENCE };
    let token = || Token::Value(TOKEN.to_owned());
    let forge = client_of(&server, ForgeKind::Github, REPOSITORY, token(), patience);
    server.behave(Mood::Hang);
    let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("it hangs");
    assert!(matches!(error, ForgeError::Timeout { .. }) && error.is_passing(), "{error:?}");
    assert_eq!(server.requests().len(), 2);
    server.stop().await;
    let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("nobody listens");
    assert!(matches!(error, ForgeError::Unreachable { .. }) && error.is_passing(), "{error:?}");
    assert!(words(&error).contains("GitHub at 127.0.0.1 does not answer"), "{error}");
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_not_posted_twice() {
    for kind in KINDS {
        let server = ForgeServer::start(kind).await;
        let patience = Patience { timeout: Duration::from_millis(500), ..PATIENCE };
        let forge = client_of(&server, kind, REPOSITORY, Token::Value(TOKEN.to_owned()), patience);
        // Who it is, which comments there are, and the post.
        server.behave_next([Mood::Well, Mood::Well, Mood::Swallow]);
        let body = format!("{MARKER}\none\n");
        let placed = forge.place_comment(PULL, MARKER, &body).await.expect("placed");
        assert_eq!((placed, server.own_comments().len()), (Placed::Unchanged, 1), "{kind}");
    }
}

#[tokio::test]
async fn a_refusal_says_which_permission_is_missing_and_is_not_repeated() {
    for (kind, for_status, for_comment) in [
        (ForgeKind::Github, "`statuses: write`", "`pull-requests: write`"),
        (ForgeKind::Gitlab, "`api` with the role Developer", "`api` with the role Reporter"),
        (ForgeKind::Gitea, "`write:repository`", "`write:issue`"),
    ] {
        let server = ForgeServer::start(kind).await;
        let forge = client(&server, kind);
        server.behave(Mood::Status(403));
        let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("forbidden");
        assert!(words(&error).contains(for_status), "{error}");
        assert!(words(&error).contains("(403): No, …"), "the forge's own words, without the token: {error}");
        let error = forge.place_comment(PULL, MARKER, MARKER).await.expect_err("forbidden");
        assert!(words(&error).contains(for_comment), "{error}");
        server.behave(Mood::Well);
        let asked = server.requests().len();

        let unknown = CommitStatus::new(Revision::new("0".repeat(40)), "c", CommitState::Success, "");
        let error = forge.set_status(&unknown).await.expect_err("no such commit");
        assert!(error.is_of_what_was_asked() && words(&error).contains(REPOSITORY), "{error}");
        let lost = client_of(&server, kind, "you/lost", Token::Value(TOKEN.to_owned()), PATIENCE);
        let error = lost.set_status(&status(CommitState::Success, "well")).await.expect_err("no such repository");
        assert!(words(&error).contains("is `you/lost` right"), "{error}");
        let wrong = client_of(&server, kind, REPOSITORY, Token::Value("another-horse".to_owned()), PATIENCE);
        let error = wrong.set_status(&status(CommitState::Success, "well")).await.expect_err("another token");
        assert!(words(&error).contains("is not valid") && !error.to_string().contains("horse"), "{error}");
        assert_eq!(server.requests().len(), asked + 3, "once each: {:?}", server.requests());
        assert_eq!(server.statuses(), []);
    }
}

#[tokio::test]
async fn a_token_follows_no_redirect_to_another_place() {
    for kind in KINDS {
        let (server, other) = (ForgeServer::start(kind).await, ForgeServer::start(kind).await);
        let forge = client(&server, kind);
        server.behave(Mood::Elsewhere(other.url()));
        let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("elsewhere");
        assert!(words(&error).contains(&other.url()) && words(&error).contains("`--forge-url`"), "{error}");
        assert_eq!(other.requests(), [] as [String; 0], "nothing was sent there");
        server.behave(Mood::Elsewhere(server.url()));
        let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("in a circle");
        assert!(words(&error).contains("does not answer like the API"), "{error}");
        // A repository that was renamed is at the same place, and is followed with what was asked.
        server.behave(Mood::Well);
        let old = if kind == ForgeKind::Gitlab { "/projects/you%2Fold" } else { "/repos/you/old" };
        server.rename_from(old);
        let renamed = client_of(&server, kind, "you/old", Token::Value(TOKEN.to_owned()), PATIENCE);
        renamed.set_status(&status(CommitState::Success, "well")).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.statuses().len(), 1);
    }
}

#[tokio::test]
async fn a_token_is_read_anew_from_its_file() {
    let server = ForgeServer::start(ForgeKind::Github).await;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "of-yesterday\n").expect("a file is written");
    let forge = client_of(&server, ForgeKind::Github, REPOSITORY, Token::File(file.clone()), PATIENCE);
    let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("not valid any more");
    assert!(words(&error).contains("make another one") && !error.to_string().contains("yesterday"), "{error}");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("a file is written");
    let renewed = || async { forge.set_status(&status(CommitState::Success, "well")).await.ok() };
    wait_for("the new token", SOON, renewed).await;
    std::fs::write(&file, "two words\n").expect("a file is written");
    let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("no token");
    assert!(words(&error).contains("no token has"), "{error}");
    std::fs::remove_file(&file).expect("a file is removed");
    let error = forge.set_status(&status(CommitState::Success, "well")).await.expect_err("no file");
    assert!(words(&error).contains("name a file that is there"), "{error}");
}
