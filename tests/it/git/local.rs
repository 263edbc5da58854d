//! Repositories on this machine.

use std::os::unix::ffi::OsStrExt as _;

use bascule::core::model::{Limits, Revision};
use bascule::git::{Moved, Source, SourceError};

use super::{SITE, failure, fetch, local, paths};
use crate::support::git_repo::{GitRepo, git};

#[tokio::test]
async fn a_work_tree_gives_what_is_committed_and_nothing_else() {
    let repo = GitRepo::with(&[SITE, ("README.md", "hello\n"), ("inventory/notes.txt", "no YAML\n")]);
    repo.write("inventory/sites/thory.yaml", "not committed\n");
    repo.write(SITE.0, "half writ");
    let snapshot = fetch(local(&repo.path())).await.expect("the repository can be read");
    assert_eq!(paths(&snapshot), ["sites/dijon.yaml"]);
    let files = snapshot.files.expect("files came");
    assert_eq!(&files.get("sites/dijon.yaml").expect("the file is there")[..], SITE.1.as_bytes());
    assert_eq!(snapshot.info.id.as_str(), repo.head());
    assert_eq!(snapshot.info.author, "Camille <camille@example.org>");
    assert_eq!(snapshot.info.subject, "first");
    assert_eq!(snapshot.moved, Moved::First);
}

#[tokio::test]
async fn a_bare_repository_and_a_linked_work_tree() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    assert_eq!(fetch(local(&bare)).await.expect("bare").info.id.as_str(), repo.head());
    let linked = repo.beside("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "other", linked.to_str().expect("UTF-8")]);
    assert_eq!(fetch(local(&linked)).await.expect("linked").info.id.as_str(), repo.head());
}

#[tokio::test]
async fn the_root_and_a_path_with_slashes() {
    let repo = GitRepo::with(&[SITE]);
    for path in ["", "/", "."] {
        let mut settings = local(&repo.path());
        settings.path = path.to_owned();
        assert_eq!(paths(&fetch(settings).await.expect("the root")), ["inventory/sites/dijon.yaml"], "{path:?}");
    }
    let mut settings = local(&repo.path());
    settings.path = "/inventory/sites/".to_owned();
    assert_eq!(paths(&fetch(settings).await.expect("the folder")), ["dijon.yaml"]);
}

#[tokio::test]
async fn moves_are_told_apart() {
    let repo = GitRepo::with(&[SITE]);
    let first = repo.head();
    let mut source = Source::open(local(&repo.path())).expect("it opens");
    let last = |id: &str| Some(Revision::new(id));
    let same = source.fetch(last(&first)).await.expect("same");
    assert_eq!((same.moved, same.files), (Moved::Unchanged, None));
    let second = repo.commit_files(&[("inventory/sites/thory.yaml", "name: thory\n")], "second");
    let forward = source.fetch(last(&first)).await.expect("forward");
    assert_eq!((forward.moved, forward.info.id.as_str()), (Moved::Forward, second.as_str()));
    assert_eq!(paths(&forward), ["sites/dijon.yaml", "sites/thory.yaml"]);
    repo.git(&["reset", "--quiet", "--hard", &first]);
    let back = source.fetch(last(&second)).await.expect("back");
    assert_eq!((back.moved, back.info.id.as_str()), (Moved::Rewritten, first.as_str()));
    let gone = source.fetch(last(&"0123456789".repeat(4))).await.expect("an id that the repository does not have");
    assert_eq!(gone.moved, Moved::Rewritten);
    let directory = source.fetch(last("dir-0123")).await.expect("the revision of a directory");
    assert_eq!(directory.moved, Moved::First);
}

#[tokio::test]
async fn reading_writes_nothing() {
    let repo = GitRepo::with(&[SITE]);
    let list = || git(&repo.path(), &["count-objects", "-v"]) + &listing(&repo.path().join(".git"));
    let before = list();
    fetch(local(&repo.path())).await.expect("it can be read");
    assert_eq!(list(), before);
}

/// Names, sizes and times of all files.
fn listing(folder: &std::path::Path) -> String {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable")) {
        let metadata = entry.metadata().expect("readable");
        lines.push(format!(
            "{} {} {:?}",
            entry.path().display(),
            metadata.len(),
            metadata.modified().expect("has a time")
        ));
        if metadata.is_dir() {
            lines.push(listing(&entry.path()));
        }
    }
    lines.sort();
    lines.join("\n")
}

#[tokio::test]
async fn a_missing_branch_names_those_there_are() {
    let repo = GitRepo::with(&[SITE]);
    repo.git(&["branch", "staging"]);
    let mut settings = local(&repo.path());
    settings.branch = "mian".to_owned();
    let (error, text) = failure(fetch(settings).await);
    assert!(matches!(error, SourceError::BranchMissing { .. }), "{error:?}");
    assert!(text.contains("`main`, `staging` (did you mean `main`?)"), "{text}");
    let mut settings = local(&repo.path());
    settings.branch = "no such..name".to_owned();
    assert!(matches!(failure(fetch(settings).await).0, SourceError::BranchMissing { suggestion: None, .. }));
}

#[tokio::test]
async fn a_repository_without_commits() {
    let (error, text) = failure(fetch(local(&GitRepo::empty().path())).await);
    assert!(matches!(error, SourceError::BranchMissing { .. }), "{error:?}");
    assert!(text.contains("has no commits yet"), "{text}");
}

#[tokio::test]
async fn a_missing_folder_names_those_there_are() {
    let repo = GitRepo::with(&[SITE, ("docs/a.md", "")]);
    let mut settings = local(&repo.path());
    settings.path = "inventroy".to_owned();
    let (_, text) = failure(fetch(settings).await);
    assert!(text.contains("`docs`, `inventory` (did you mean `inventory`?)"), "{text}");
    let mut settings = local(&repo.path());
    settings.path = "inventory/sits".to_owned();
    let (_, text) = failure(fetch(settings).await);
    assert!(text.contains("there is `inventory/sites` (did you mean `inventory/sites`?)"), "{text}");
}

#[tokio::test]
async fn no_yaml_at_all() {
    let repo = GitRepo::with(&[("inventory/README.md", "hello\n")]);
    let (error, text) = failure(fetch(local(&repo.path())).await);
    assert!(matches!(error, SourceError::NoYaml { .. }), "{error:?}");
    assert!(text.contains("folder `inventory`"), "{text}");
    repo.git(&["rm", "--quiet", "-r", "."]);
    repo.commit("empty tree");
    let mut settings = local(&repo.path());
    settings.path = String::new();
    assert!(matches!(failure(fetch(settings).await).0, SourceError::NoYaml { .. }));
}

#[tokio::test]
async fn links_submodules_and_hidden_files_are_passed_over() {
    let repo = GitRepo::with(&[
        SITE,
        ("secret.yaml", "outside\n"),
        ("inventory/.hidden/a.yaml", ""),
        ("inventory/.b.yaml", ""),
    ]);
    let folder = repo.path().join("inventory");
    std::os::unix::fs::symlink("../secret.yaml", folder.join("link.yaml")).expect("a link can be made");
    std::os::unix::fs::symlink("sites", folder.join("linked")).expect("a link can be made");
    repo.git(&["add", "--all"]);
    let head = repo.head();
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},inventory/module.yaml")]);
    repo.git(&["commit", "--quiet", "-m", "links"]);
    let listed = repo.git(&["ls-tree", "-r", "HEAD"]);
    assert!(listed.contains("120000") && listed.contains("160000"), "git has them: {listed}");
    assert_eq!(paths(&fetch(local(&repo.path())).await.expect("it can be read")), ["sites/dijon.yaml"]);
}

#[tokio::test]
async fn limits_name_the_file_and_the_bound() {
    let repo = GitRepo::with(&[
        SITE,
        ("inventory/sites/big.yaml", &"#".repeat(5000)),
        ("inventory/big.bin", &"#".repeat(9000)),
    ]);
    let check = async |limits, expected: Option<(&str, usize)>| {
        let mut settings = local(&repo.path());
        settings.limits = limits;
        match (fetch(settings).await, expected) {
            (Ok(_), None) => {}
            (Err(SourceError::LimitExceeded { path, limit, .. }), Some(expected)) => {
                assert_eq!((&*path, limit), expected);
            }
            (other, _) => panic!("{limits:?}: {other:?} instead of {expected:?}"),
        }
    };
    let limits = Limits { file_bytes: 5000, files: 2, total_bytes: 5000 + SITE.1.len(), folder_depth: 1 };
    check(limits, None).await;
    check(Limits { file_bytes: 4999, ..limits }, Some(("sites/big.yaml", 4999))).await;
    check(Limits { files: 1, ..limits }, Some(("sites/dijon.yaml", 1))).await;
    let total_bytes = limits.total_bytes - 1;
    check(Limits { total_bytes, ..limits }, Some(("sites/dijon.yaml", total_bytes))).await;
    check(Limits { folder_depth: 0, ..limits }, Some(("sites", 0))).await;
}

#[tokio::test]
async fn folders_within_folders_by_the_million_are_refused_at_once() {
    let repo = GitRepo::with(&[SITE]);
    let mut tree = repo.git(&["rev-parse", "HEAD:inventory"]);
    for _ in 0..7 {
        let lines: Vec<_> = (0..20).map(|number| format!("040000 tree {tree}\tf{number:02}\n")).collect();
        tree = make_tree(&repo, &lines.concat());
    }
    let root = make_tree(&repo, &format!("040000 tree {tree}\tinventory\n"));
    let commit = repo.git(&["commit-tree", "-m", "folders", "-p", "HEAD", &root]);
    repo.git(&["update-ref", "refs/heads/main", &commit]);
    let mut settings = local(&repo.path());
    settings.limits = Limits { files: 1000, ..Limits::default() };
    let (error, _) = failure(fetch(settings).await);
    assert!(matches!(&error, SourceError::LimitExceeded { limit: 1000, .. }), "{error:?}");
}

#[tokio::test]
async fn names_that_no_work_tree_would_take_lead_nowhere() {
    let repo = GitRepo::with(&[SITE]);
    let (blob, sites) = (repo.git(&["rev-parse", "HEAD:inventory/sites/dijon.yaml"]), "HEAD:inventory/sites");
    let sites = repo.git(&["rev-parse", sites]);
    let lines = format!(
        "040000 tree {sites}\t..\n040000 tree {sites}\t.git\n100644 blob {blob}\tC:\\a.yaml\n100644 blob \
         {blob}\t..yaml\n040000 tree {sites}\tsites\n"
    );
    let root = make_tree(&repo, &format!("040000 tree {}\tinventory\n", make_tree(&repo, &lines)));
    let commit = repo.git(&["commit-tree", "-m", "names", "-p", "HEAD", &root]);
    repo.git(&["update-ref", "refs/heads/main", &commit]);
    let snapshot = fetch(local(&repo.path())).await.expect("it can be read");
    assert_eq!(paths(&snapshot), ["C:\\a.yaml", "sites/dijon.yaml"]);
}

/// A tree object, of the lines of `git ls-tree`; returns its id.
fn make_tree(repo: &GitRepo, lines: &str) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new("git")
        .current_dir(repo.path())
        .arg("mktree")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("git runs");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "{lines}");
    String::from_utf8(output.stdout).expect("an id").trim().to_owned()
}

#[tokio::test]
async fn a_huge_blob_is_refused_unread() {
    let repo = GitRepo::with(&[SITE]);
    repo.write("inventory/huge.yaml", vec![b' '; 64 << 20]);
    repo.commit("huge");
    let before = resident_peak_kib();
    let (error, _) = failure(fetch(local(&repo.path())).await);
    assert!(matches!(&error, SourceError::LimitExceeded { path, .. } if path == "huge.yaml"), "{error:?}");
    // Other tests of this process may run meanwhile, but none takes as much as the blob.
    let grown = resident_peak_kib() - before;
    assert!(grown < 48 << 10, "memory grew by {grown} KiB");
}

fn resident_peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn names_that_are_not_utf_8() {
    let repo = GitRepo::with(&[SITE]);
    let folder = repo.path().join("inventory");
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff.txt")), "").expect("the name is taken");
    repo.commit("no inventory file");
    assert_eq!(paths(&fetch(local(&repo.path())).await.expect("it is passed over")), ["sites/dijon.yaml"]);
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff.yaml")), "").expect("the name is taken");
    repo.commit("an inventory file");
    let (error, _) = failure(fetch(local(&repo.path())).await);
    assert!(matches!(error, SourceError::NameNotUtf8 { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_repository_any_more() {
    let repo = GitRepo::with(&[SITE]);
    std::fs::remove_file(repo.path().join(".git/HEAD")).expect("it is there");
    assert!(matches!(failure(fetch(local(&repo.path())).await).0, SourceError::NotARepository { .. }));
    std::fs::remove_dir_all(repo.path()).expect("it is there");
    assert!(matches!(failure(fetch(local(&repo.path())).await).0, SourceError::Unreadable { .. }));
}

#[tokio::test]
async fn a_missing_object_is_said() {
    let repo = GitRepo::with(&[SITE]);
    let blob = repo.git(&["rev-parse", "HEAD:inventory/sites/dijon.yaml"]);
    let (folder, name) = blob.split_at(2);
    std::fs::remove_file(repo.path().join(".git/objects").join(folder).join(name)).expect("it is a loose object");
    let (error, text) = failure(fetch(local(&repo.path())).await);
    assert!(matches!(error, SourceError::Repository { .. }), "{error:?}");
    assert!(text.contains(&blob[..7]), "{text}");
}
