//! What `bascule init --ci` writes: it is read as a forge reads it, and its commands are run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::program::{Ran, bascule};
use crate::support::git_repo::GitRepo;

const FORGES: [(&str, &str); 3] = [
    ("github", ".github/workflows/bascule.yml"),
    ("gitlab", ".gitlab-ci.yml"),
    ("forgejo", ".forgejo/workflows/bascule.yml"),
];
/// Two places of an inventory, seen from the repository's root; one needs quotes wherever it stands.
const FOLDERS: [&str; 2] = [".", "it's the \"edge\" of town"];

/// A repository with a remote that has an earlier `main`, and the starter with what is written for a forge.
fn started(forge: &str, folder: &str) -> GitRepo {
    let repo = GitRepo::with(&[("README", "Nothing yet.\n")]);
    repo.publish();
    repo.git(&["checkout", "--quiet", "-b", "proposal"]);
    let ran = bascule(&repo.path(), &["init", folder, "--ci", forge]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for path in ran.stdout.lines() {
        assert!(repo.path().join(path).is_file(), "{path} is said to be there");
    }
    repo.commit("Declare two sites");
    repo
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a text");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()))
}

/// The commands of a workflow in their order, and the variables that it sets.
fn commands(of: &Value, commands: &mut Vec<String>, variables: &mut BTreeMap<String, String>) {
    match of {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("run", Value::String(command)) => commands.push(command.clone()),
                    ("script" | "before_script", Value::Array(lines)) => {
                        commands.extend(lines.iter().map(|line| line.as_str().expect("a command").to_owned()));
                    }
                    ("env" | "variables", Value::Object(set)) => {
                        let text =
                            |value: &Value| value.as_str().expect("a text").replace("${{ github.base_ref }}", "main");
                        // A runner has one; none is given here, so nothing is posted.
                        let text = |value: &Value| text(value).replace("${{ github.token }}", "");
                        variables.extend(set.iter().map(|(name, value)| (name.clone(), text(value))));
                    }
                    (_, value) => self::commands(value, commands, variables),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| self::commands(item, commands, variables)),
        _ => {}
    }
}

/// Where `bascule` is, as somebody has it in `PATH`.
fn path_variable() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_bascule")).parent().expect("a folder");
    format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH"))
}

/// Runs each command of a workflow as runners do; gives those that fail, with their codes.
fn failures(repo: &GitRepo, workflow: &str) -> Vec<(String, i32)> {
    let (mut found, mut variables) = (Vec::new(), BTreeMap::new());
    commands(&yaml(&repo.path().join(workflow)), &mut found, &mut variables);
    assert!(found.len() >= 5, "{found:?}");
    for part in [
        "check \"$INVENTORY\" --format",
        "fmt \"$INVENTORY\" --check",
        "review \"$INVENTORY\" --against",
        "simulate \"$INVENTORY\" --require",
    ] {
        assert!(found.iter().any(|command| command.contains(part)), "{workflow} has no `{part}`");
    }
    let run = |command: &String| {
        let output = Command::new("bash")
            .args(["-e", "-c", command])
            .current_dir(repo.path())
            .env_clear()
            .envs(&variables)
            .env("PATH", path_variable())
            .env("HOME", repo.beside("home"))
            .env("GITHUB_STEP_SUMMARY", repo.beside("summary.md"))
            // GitLab's shells keep what one line sets for the next.
            .env("BASE", variables.get("BASE").map_or("origin/main", String::as_str))
            .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")
            .output()
            .expect("bash runs");
        output.status.code().expect("a code")
    };
    found.iter().map(|command| (command.clone(), run(command))).filter(|(_, code)| *code != 0).collect()
}

#[test]
fn the_commands_of_every_workflow_pass_on_the_starter_and_fail_on_what_is_broken() {
    for ((forge, workflow), folder) in FORGES.into_iter().flat_map(|forge| FOLDERS.map(|folder| (forge, folder))) {
        let repo = started(forge, folder);
        assert_eq!(failures(&repo, workflow), [], "{forge} {folder}");
        let summary = match forge {
            "github" => Some(repo.beside("summary.md")),
            "gitlab" => Some(repo.path().join("bascule-review.md")),
            _ => None,
        };
        if let Some(summary) = summary {
            let text = fs::read_to_string(summary).expect("a summary");
            assert!(
                text.starts_with("<!-- bascule review ") && text.contains("1 to add, 0 to change, 0 to remove"),
                "{text}"
            );
        }
        let failing = |path: &str, text: &str| {
            let path = repo.path().join(folder).join("inventory").join(path);
            let before = fs::read_to_string(&path).expect("a text");
            fs::write(&path, text).expect("a file is written");
            let failures = failures(&repo, workflow);
            fs::write(&path, before).expect("a file is written");
            failures
        };
        let fails = |failures: &[(String, i32)], part: &str, code: i32| {
            assert!(
                failures.iter().any(|(command, found)| command.contains(part) && *found == code),
                "{forge} {folder}: {part} does not fail: {failures:?}"
            );
        };
        let broken = failing(
            "backends/www-thory-1.yaml",
            "{ name: a, service: www, site: nowhere, addr: 10.200.2.23, port: 1 }\n",
        );
        for part in [" check ", " review ", " simulate "] {
            fails(&broken, part, 3);
        }
        let ugly = failing("sites/thory.yaml", "name:   thory\nsubnets: [10.200.2.0/24]\n");
        fails(&ugly, " fmt ", 1);
        assert_eq!(ugly.len(), 1, "{ugly:?}");
        let service = repo.path().join(folder).join("inventory/services/www.yaml");
        fs::write(service, "name: www\ndomains: [www.example.org]\ncritical: true\n").expect("a file is written");
        let off = "{ name: a, service: www, site: thory, addr: 10.200.2.23, port: 1, state: disabled }\n";
        let alone = failing("backends/www-thory-1.yaml", off);
        for part in [" review ", " simulate "] {
            fails(&alone, part, 4);
        }
    }
}

/// Commits everything with the hooks of the repository.
fn commit(repo: &GitRepo) -> Ran {
    let identity = ["-c", "user.name=Camille", "-c", "user.email=camille@example.org"];
    let mut command = Command::new("git");
    command.current_dir(repo.path()).env_clear().env("PATH", path_variable()).env("HOME", "/nonexistent");
    command.env("GIT_CONFIG_NOSYSTEM", "1").args(identity);
    command.args(["commit", "--all", "--allow-empty", "--quiet", "-m", "Change it"]).output().expect("git runs").into()
}

#[test]
fn the_hooks_let_a_good_commit_through_and_no_broken_one() {
    for folder in FOLDERS {
        let repo = started("github", folder);
        repo.git(&["config", "core.hooksPath", ".githooks"]);
        let ran = commit(&repo);
        assert_eq!(ran.code, Some(0), "{ran:?}");

        let hooks = yaml(&repo.path().join(".pre-commit-config.yaml"));
        let hooks = hooks["repos"][0]["hooks"].as_array().expect("hooks").clone();
        let run = |hook: &Value| {
            let entry = hook["entry"].as_str().expect("a command").split(' ');
            let args = hook["args"].as_array().expect("arguments").iter().map(|arg| arg.as_str().expect("a text"));
            let args: Vec<_> = entry.skip(1).chain(args).collect();
            bascule(&repo.path(), &args).code
        };
        assert_eq!(hooks.iter().map(run).collect::<Vec<_>>(), [Some(0), Some(0)]);

        let site = repo.path().join(folder).join("inventory/sites/thory.yaml");
        fs::write(&site, "name:   thory\nsubnets: [10.200.2.0/24]\n").expect("a file is written");
        assert_eq!(hooks.iter().map(run).collect::<Vec<_>>(), [Some(0), Some(1)]);
        let ran = commit(&repo);
        assert!(ran.code == Some(1) && ran.stderr.contains("bascule fmt"), "{ran:?}");
        fs::write(&site, "name: thory\nsubnet: [10.200.2.0/24]\n").expect("a file is written");
        assert_eq!(run(&hooks[0]), Some(3));
        let ran = commit(&repo);
        assert!(ran.code != Some(0) && ran.stderr.contains("unknown-key"), "{ran:?}");
    }
}

#[test]
fn the_editor_finds_a_schema_for_every_file() {
    for folder in [".", "our edges"] {
        let repo = started("github", folder);
        let settings = fs::read_to_string(repo.path().join(".vscode/settings.json")).expect("settings");
        let settings: Value = serde_json::from_str(&settings).expect("JSON");
        let schemas = settings["yaml.schemas"].as_object().expect("schemas");
        assert_eq!(schemas.len(), 4);
        for (schema, globs) in schemas {
            let text = fs::read_to_string(repo.path().join(schema)).expect("the schema is there");
            let title: Value = serde_json::from_str(&text).expect("JSON");
            let kind =
                title["$id"].as_str().expect("an id").rsplit('/').next().expect("a name").trim_end_matches(".json");
            let glob = globs[0].as_str().expect("a pattern");
            // `tests/editor/run` asks the language server itself what it makes of them.
            let below = glob.strip_suffix("/**/*.yaml").expect("all below a folder").replace('*', " ");
            assert!(below.ends_with(&format!("inventory/{kind}s")), "{schema} is for {glob}");
            assert!(repo.path().join(&below).is_dir(), "{below}");
        }
    }
}

#[test]
fn nothing_that_is_there_is_touched() {
    let repo = GitRepo::with(&[
        (".gitlab-ci.yml", "stages: [test]\n"),
        (".vscode/settings.json", "{}\n"),
        (".pre-commit-config.yaml", "repos: []\n"),
        ("inventory/sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n"),
    ]);
    let init = |forge: &str| bascule(&repo.path(), &["init", "--ci", forge]);
    let ran = init("gitlab");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let schemas = ["site", "service", "backend", "edge"].map(|kind| format!("inventory/.bascule/schemas/{kind}.json"));
    let written: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(written[..4], schemas);
    assert_eq!(written[4..], [".gitlab/bascule.yml", ".githooks/pre-commit"]);
    for part in
        ["`inventory` is already", "`.vscode/settings.json` is already", "include: [{ local: .gitlab/bascule.yml }]"]
    {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert_eq!(repo.git(&["status", "--short", "--untracked-files=no"]), "", "no file of somebody is changed");

    // A second time there is nothing left to do.
    for forge in ["gitlab", "gitlab", "github", "github"] {
        init(forge);
    }
    let ran = init("github");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");

    let fresh = started("gitlab", ".");
    let ran = bascule(&fresh.path(), &["init", "--ci", "gitlab"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "its own file is known again: {ran:?}");
}

/// A folder that the settings of an editor cannot name has none, and is told so.
#[test]
fn no_settings_are_written_that_editors_cannot_follow() {
    let repo = GitRepo::with(&[("README", "Nothing yet.\n")]);
    let ran = bascule(&repo.path(), &["init", FOLDERS[1], "--ci", "github"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("No `.vscode/settings.json` is written"), "{}", ran.stderr);
    assert!(!repo.path().join(".vscode").exists());
}

/// The schemas that are added beside an inventory offer its names, and while it has errors the names of the examples.
#[test]
fn the_schemas_of_an_inventory_that_is_there_offer_its_names() {
    for (subnet, offered) in [("10.200.3.0/24", "lyon"), ("10.200.3.0", "dijon")] {
        let site = format!("name: lyon\nsubnets: [{subnet}]\n");
        let edge = "name: local\nadmin: http://127.0.0.1:2019\nlisten: [\":8080\"]\ntls: { mode: \"off\" }\n";
        let repo = GitRepo::with(&[("inventory/sites/lyon.yaml", &site), ("inventory/edges/local.yaml", edge)]);
        let ran = bascule(&repo.path(), &["init", "--ci", "github"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let schema = yaml(&repo.path().join("inventory/.bascule/schemas/backend.json"));
        assert_eq!(schema["properties"]["site"]["examples"], serde_json::json!([offered]), "{subnet}");
    }
}

/// The forge looks at the repository's root, wherever the command was given.
#[test]
fn the_workflow_is_at_the_root_of_the_repository() {
    let repo = GitRepo::with(&[("infra/README", "Nothing yet.\n")]);
    let ran = bascule(&repo.path().join("infra"), &["init", "--ci", "forgejo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let workflow = repo.path().join(".forgejo/workflows/bascule.yml");
    assert_eq!(yaml(&workflow)["env"]["INVENTORY"], "infra/inventory");
    assert!(ran.stdout.lines().map(PathBuf::from).any(|path| path.ends_with(".forgejo/workflows/bascule.yml")));

    let folder = tempfile::tempdir().expect("a scratch folder");
    let ran = bascule(folder.path(), &["init", "new", "--ci", "github"]);
    assert!(ran.stdout.contains("\nnew/.github/workflows/bascule.yml\n"), "without a repository, beside it: {ran:?}");
    assert_eq!(bascule(folder.path(), &["init", "--ci", "sourcehut"]).code, Some(1));
}
