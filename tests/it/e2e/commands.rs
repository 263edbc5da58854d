//! Every command that is not `run`: what it prints, where, and how it exits.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{bascule, program};
use crate::support::caddy::Caddy;
use crate::support::git_repo::GitRepo;
use crate::support::port::ReservedPort;

/// A folder with the starter inventory in `inventory`.
pub(super) fn started() -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ran = bascule(folder.path(), &["init"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    folder
}

/// Writes a file of the folder.
pub(super) fn write(folder: &TempDir, path: &str, text: &str) {
    std::fs::write(folder.path().join(path), text).expect("a file is written");
}

/// Breaks the starter at one place.
pub(super) fn misspell_a_site(folder: &TempDir) {
    write(
        folder,
        "inventory/backends/www-dijon-1.yaml",
        "name: www-dijon-1\nservice: www\nsite: dijno\naddr: 10.200.1.23\nport: 8080\n",
    );
}

#[test]
fn a_starter_is_clean_and_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ran = bascule(folder.path(), &["init", "mine"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for path in ran.stdout.lines() {
        assert!(path.starts_with("mine/inventory/"), "`run` looks for the inventory in `inventory`, not at {path}");
        assert!(folder.path().join(path).is_file(), "{path}");
    }
    let checked = bascule(folder.path(), &["check", "mine"]).succeeded();
    assert!(checked.starts_with("no errors and no warnings in "), "{checked}");

    let ran = bascule(folder.path(), &["init", "inventory"]);
    assert!(ran.stdout.starts_with("inventory/sites/dijon.yaml\n"), "the folder itself may be named: {}", ran.stdout);

    write(&folder, "notes", "");
    for path in ["notes", "notes/below"] {
        let ran = bascule(folder.path(), &["init", path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.starts_with("error: `notes` is a file; name a folder"), "{}", ran.stderr);
    }

    let site = folder.path().join("mine/inventory/sites/dijon.yaml");
    std::fs::write(&site, "mine").expect("a file is written");
    std::fs::remove_file(folder.path().join("mine/inventory/edges/local.yaml")).expect("a file is removed");
    let again = bascule(folder.path(), &["init", "mine"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""));
    assert!(again.stderr.contains("is already there; nothing was written"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(site).expect("a file"), "mine");
    assert!(!folder.path().join("mine/inventory/edges/local.yaml").exists(), "something was written");
}

#[test]
fn check_tells_people_and_programs_what_is_wrong() {
    let folder = started();
    for path in [".", "inventory"] {
        bascule(folder.path(), &["check", path]).succeeded();
        assert_eq!(bascule(folder.path(), &["check", path, "--format", "json"]).succeeded(), "[]\n");
    }
    misspell_a_site(&folder);
    let ran = bascule(folder.path(), &["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
    for part in [
        "error[unknown-site]",
        "inventory/backends/www-dijon-1.yaml:3:7",
        "site: dijno",
        "did you mean `dijon`?",
        "1 error",
    ] {
        assert!(ran.stdout.contains(part), "no {part} in:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "colours are for terminals");

    let ran = bascule(folder.path(), &["check", "--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""));
    let diagnostics: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let errors: Vec<_> =
        diagnostics.as_array().expect("an array").iter().filter(|it| it["severity"] == "error").collect();
    assert_eq!(errors.len(), 1, "{diagnostics}");
    assert_eq!(
        (&errors[0]["code"], &errors[0]["file"], &errors[0]["line"], &errors[0]["column"]),
        (&"unknown-site".into(), &"inventory/backends/www-dijon-1.yaml".into(), &3.into(), &7.into())
    );
}

#[test]
fn a_folder_without_an_inventory_is_said() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (path, why) in [(".", "no inventory in `.`"), ("nowhere", "`nowhere` is not a folder")] {
        let ran = bascule(folder.path(), &["check", path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(why), "{}", ran.stderr);
    }
}

#[test]
fn render_is_the_same_every_time_and_names_the_edges_there_are() {
    let folder = started();
    let first = bascule(folder.path(), &["render", "--edge", "local"]).succeeded();
    assert_eq!(first, bascule(folder.path(), &["render", "inventory"]).succeeded(), "the only edge need not be named");
    let config: Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(config["apps"]["http"]["servers"]["bascule-http"]["listen"], serde_json::json!([":8080"]));

    let ran = bascule(folder.path(), &["render", "--edge", "lcoal"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("no edge is named `lcoal`; there is local"), "{}", ran.stderr);

    write(
        &folder,
        "inventory/edges/other.yaml",
        "name: other\nadmin: http://127.0.0.1:2020\nlisten: [\":8081\"]\ntls: { mode: \"off\" }\n",
    );
    let ran = bascule(folder.path(), &["render"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("name one with `--edge`"), "{}", ran.stderr);

    misspell_a_site(&folder);
    for command in ["render", "plan", "apply"] {
        let ran = bascule(folder.path(), &[command, "--edge", "local"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{command}");
        assert!(ran.stderr.contains("www-dijon-1.yaml:3:7"), "{command}: {}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_what_apply_then_does() {
    let (caddy, port, folder) = (Caddy::start().await, ReservedPort::take(), started());
    let edge = format!(
        "name: local\nadmin: {}\nlisten: [\"127.0.0.1:{}\"]\ntls: {{ mode: \"off\" }}\nrelay: {{ enabled: false }}\n",
        caddy.address(),
        port.get()
    );
    write(&folder, "inventory/edges/local.yaml", &edge);
    // Caddy will ask the backends whether they are healthy: on loopback, where nobody is.
    for file in ["sites/dijon", "sites/thory", "backends/www-dijon-1", "backends/www-thory-1"] {
        let path = format!("inventory/{file}.yaml");
        let text = std::fs::read_to_string(folder.path().join(&path)).expect("a file");
        write(&folder, &path, &text.replace("10.200.", "127.200."));
    }
    let run = |args: &[&str]| bascule(folder.path(), args);
    let plan = run(&["plan"]).succeeded();
    let expected = "edge local, which runs nothing yet:\n  + server bascule-http\n  ~ apps.http.grace_period\n  \
                    + service www -> 127.200.1.23:8080, 127.200.2.23:8080\nPlan: 3 changes on 1 of 1 edge\nChecksum: ";
    let checksum = plan.strip_prefix(expected).expect(&plan).trim_end().to_owned();
    let reviewed = run(&["plan", "--checksum", &checksum]);
    assert_eq!((reviewed.code, &reviewed.stdout, reviewed.stderr.as_str()), (Some(0), &plan, ""));
    let detailed = run(&["plan", "--detailed-exitcode"]);
    assert_eq!((detailed.code, &detailed.stdout, detailed.stderr.as_str()), (Some(2), &plan, ""));
    assert_eq!(caddy.access().config().await, Value::Null, "a plan writes nothing");
    let json: Value = serde_json::from_str(&run(&["plan", "--format", "json"]).succeeded()).expect("JSON");
    assert_eq!((&json["edges"][0]["edge"], &json["checksum"]), (&"local".into(), &checksum.clone().into()));
    assert!(json["edges"][0]["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{json}");

    let applied = run(&["apply", "--edge", "local"]).succeeded();
    assert!(applied.starts_with("edge local: applied "), "{applied}");
    let nothing = run(&["plan", "--detailed-exitcode"]).succeeded();
    assert!(nothing.starts_with("edge local: no changes\nPlan: 0 changes on 0 of 1 edge\nChecksum: "), "{nothing}");
    let applied_since = run(&["plan", "--checksum", &checksum]);
    assert_eq!((applied_since.code, &applied_since.stdout), (Some(5), &nothing), "{applied_since:?}");
    let told = format!("and not {checksum}; review it anew");
    assert!(applied_since.stderr.contains(&told), "{}", applied_since.stderr);
    let again = run(&["apply"]).succeeded();
    assert!(again.starts_with("edge local: no changes"), "{again}");
    let rendered: Value = serde_json::from_str(&run(&["render"]).succeeded()).expect("JSON");
    assert_eq!(caddy.access().config().await["apps"], rendered["apps"]);

    let backend = "inventory/backends/www-dijon-1.yaml";
    let text = std::fs::read_to_string(folder.path().join(backend)).expect("a file");
    assert!(text.contains("\nweight: 1\n"), "{text}");
    write(&folder, backend, &text.replace("\nweight: 1\n", "\nweight: 3\n"));
    let expected = "edge local:\n  ~ service www: weights 127.200.1.23:8080 = 3, 127.200.2.23:8080 = 1\n\
                    Plan: 1 change on 1 of 1 edge\n";
    let plan = run(&["plan"]).succeeded();
    assert!(plan.starts_with(expected), "{plan}");

    drop(caddy);
    for command in ["plan", "apply"] {
        let ran = run(&[command]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{command}");
        assert!(ran.stderr.contains("edge local"), "{command}: {}", ran.stderr);
    }
}

#[test]
fn schemas_that_were_edited_are_told() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let run = |args: &[&str]| bascule(folder.path(), args);
    assert_eq!(run(&["schema", "--check"]).code, Some(1), "nothing is there yet");
    assert_eq!(run(&["schema", "--write"]).succeeded().lines().count(), 4);
    run(&["schema", "--check"]).succeeded();
    let path = folder.path().join("schemas/site.json");
    let text = std::fs::read_to_string(&path).expect("a schema");
    assert_eq!(
        text,
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/site.json")).expect("a schema")
    );
    std::fs::write(&path, text + " ").expect("a file is written");
    let ran = run(&["schema", "--check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("schemas/site.json differs; mend it with `bascule schema --write"), "{}", ran.stderr);
    assert_eq!(run(&["schema"]).code, Some(1), "either one or the other");
    assert_eq!(run(&["schema", "--write", "--check"]).code, Some(1), "not both");
}

#[test]
fn schemas_go_to_the_folder_that_is_named() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let run = |args: &[&str]| bascule(folder.path(), args);
    let written = run(&["schema", "--write", "editor/schemas"]).succeeded();
    assert_eq!(written.lines().next(), Some("editor/schemas/site.json"), "{written}");
    assert!(!folder.path().join("schemas").exists());
    assert_eq!(run(&["schema", "--check", "editor/schemas"]).succeeded(), "");
    write(&folder, "editor/schemas/edge.json", "{}");
    let ran = run(&["schema", "--check", "editor/schemas"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("editor/schemas/edge.json differs"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`bascule schema --write editor/schemas`"), "{}", ran.stderr);
}

/// The examples are what editors offer; without them the two say the same, so they take the same.
#[test]
fn schemas_with_an_inventorys_names_take_what_the_others_take() {
    fn without_examples(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                map.remove("examples");
                map.values_mut().for_each(without_examples);
            }
            Value::Array(items) => items.iter_mut().for_each(without_examples),
            _ => {}
        }
    }
    let folder = started();
    let run = |args: &[&str]| bascule(folder.path(), args);
    let read = |path: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder.path().join(path)).expect("a schema")).expect("JSON")
    };
    write(&folder, "inventory/sites/lyon.yaml", "name: lyon\nsubnets: [10.200.3.0/24]\n");
    let names = |place: &str| read("inventory/.bascule/schemas/backend.json")["properties"][place]["examples"].clone();
    assert_eq!(names("site"), serde_json::json!(["dijon", "thory"]), "`init` writes those of the starter");
    assert_eq!(names("service"), serde_json::json!(["www"]));
    run(&["schema", "--write", "plain"]).succeeded();
    run(&["schema", "--write", "--names", ".", "named"]).succeeded();
    let (backend, service) = (read("named/backend.json"), read("named/service.json"));
    let sites = serde_json::json!(["dijon", "lyon", "thory"]);
    assert_eq!(backend["properties"]["site"]["examples"], sites);
    assert_eq!(backend["properties"]["service"]["examples"], serde_json::json!(["www"]));
    assert_eq!(service["properties"]["routing"]["properties"]["sites"]["items"]["examples"], sites);
    for kind in ["site", "service", "backend", "edge"] {
        let [mut plain, mut named] = ["plain", "named"].map(|folder| read(&format!("{folder}/{kind}.json")));
        without_examples(&mut plain);
        without_examples(&mut named);
        assert_eq!(plain, named);
    }
    // They grow old with the inventory, which is told and breaks nothing.
    run(&["schema", "--check", "--names", "inventory", "named"]).succeeded();
    std::fs::remove_file(folder.path().join("inventory/sites/lyon.yaml")).expect("a file is removed");
    let ran = run(&["schema", "--check", "--names", ".", "named"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("`bascule schema --write --names . named`"), "{ran:?}");
    misspell_a_site(&folder);
    assert_eq!(run(&["schema", "--write", "--names", ".", "named"]).code, Some(3));
}

#[test]
fn a_controller_that_is_not_there_is_said() {
    let port = ReservedPort::take();
    let server = format!("http://127.0.0.1:{}", port.get());
    let up = ["override", "up", "a", "--for", "1h", "--reason", "b"];
    for command in [&["status"][..], &["healthcheck"], &["failback", "a"], &["override", "clear", "a"], &up] {
        let ran = bascule(Path::new("/"), &[command, &["--server", &server]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{command:?}");
        assert!(ran.stderr.contains(&format!("no controller answers at {server}")), "{command:?}: {}", ran.stderr);
    }
}

#[test]
fn what_is_mistyped_is_never_taken_for_changes() {
    let run = |args: &[&str]| bascule(Path::new("/"), args);
    for args in [
        &["plan", "--detailed-exitcodes"][..],
        &["plan", "--checksum", "0123"],
        &["paln"],
        &[],
        &["run", "--listen", "here"],
        &["override", "down", "api-dijon-1", "--reason", "x"],
        &["override", "down", "api-dijon-1", "--for", "1h"],
        &["override", "down", "api-dijon-1", "--for", "31d", "--reason", "x"],
        &["override", "off", "api-dijon-1", "--for", "1h", "--reason", "x"],
        &["--log", "a=b=c", "version"],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
    let version = format!("bascule {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["version"]).succeeded(), version);
    assert_eq!(run(&["--version"]).succeeded(), version);
    assert!(run(&["--help"]).succeeded().contains("\n  healthcheck "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).succeeded().contains("healthcheck"), "{shell}");
    }
}

#[test]
fn help_names_all_orders_that_a_token_is_for() {
    for command in [&["run"][..], &["failback"], &["suspend"], &["override", "drain"]] {
        let help = bascule(Path::new("/"), &[command, &["--help"]].concat()).succeeded();
        for order in ["override", "failback", "suspend", "resume", "rollback", "allow", "reconcile"] {
            assert!(help.contains(&format!("`{order}`")), "{command:?} does not name {order}:\n{help}");
        }
    }
}

#[test]
fn every_flag_is_a_variable_too() {
    let mut settings = 0;
    let commands = ["run", "check", "render", "plan", "review", "apply", "status", "healthcheck", "demo", "failback"]
        .map(|it| vec![it]);
    // What `override drain` needs each time is no setting: a variable that is forgotten would decide.
    for command in commands.into_iter().chain([vec!["override", "list"], vec!["override", "clear"]]) {
        let help = bascule(Path::new("/"), &[&command[..], &["--help"]].concat()).succeeded();
        let command = command.join(" ");
        let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        let flags = flags.filter_map(|line| line.split([' ', '=', '[']).next());
        for flag in flags.filter(|flag| *flag != "help" && *flag != "version") {
            let variable = format!("[env: BASCULE_{}=", flag.to_uppercase().replace('-', "_"));
            assert!(help.contains(&variable), "--{flag} of {command} has no variable:\n{help}");
            settings += 1;
        }
    }
    assert!(settings >= 40, "only {settings} settings were found");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let folder = started();
    let path = folder.path();
    for args in [&["render"][..], &["completions", "bash"], &["run", "--help"]] {
        let mut child =
            program(path).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bascule starts");
        drop(child.stdout.take());
        let status = child.wait().expect("bascule ends");
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn run_refuses_a_folder_inside_a_repository() {
    let repo = GitRepo::with(&[("inventory/sites/dijon.yaml", "name: dijon\n")]);
    for folder in ["work/inventory", "work/inventory/sites"] {
        let folder = repo.beside(folder);
        let ran = bascule(&folder, &["run", "--repo", ".", "--listen", "127.0.0.1:0"]);
        let below = folder.strip_prefix(repo.path()).expect("it is below");
        let cure = format!("`--repo {} --path {}`", repo.path().display(), below.display());
        assert!(ran.code == Some(1) && ran.stderr.contains(&cure), "{ran:?}");
        assert!(!folder.join("bascule.db").exists(), "nothing was begun");
    }
}
