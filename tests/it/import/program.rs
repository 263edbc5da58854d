//! The command.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::fixture;
use crate::support::port::ReservedPort;

fn bascule(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.current_dir(folder).env_clear().stdin(Stdio::null()).args(args).output().expect("bascule runs")
}

#[track_caller]
fn check(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
}

#[test]
fn what_is_written_is_a_good_inventory_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let source = fixture("adapted").display().to_string();
    let import = ["import", "caddy", &source, "--write", "inventory"];
    check(&bascule(folder.path(), &import), 0, &["inventory/edges/edge.yaml\n", "proved: "]);
    check(&bascule(folder.path(), &["check"]), 0, &[]);
    check(&bascule(folder.path(), &["fmt", "--check"]), 0, &[]);
    let edge = folder.path().join("inventory/edges/edge.yaml");
    std::fs::write(&edge, "mine").expect("it can be written");
    check(&bascule(folder.path(), &import), 1, &["is there already, and nothing was written: move it away"]);
    assert_eq!(std::fs::read_to_string(&edge).expect("it is there"), "mine");
}

#[test]
fn faulty_input_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    write("Caddyfile", "acecinema.fr {\n}\n");
    write("other.json", "{\"apps\": {\"layer4\": {}}}");
    let nobody = format!("http://127.0.0.1:{}", ReservedPort::take().get());
    for (source, words) in [
        ("Caddyfile", "`Caddyfile` is not JSON; `caddy adapt --config Caddyfile` makes JSON"),
        ("-", "`-` is not JSON"),
        ("other.json", "no `apps.http.servers`"),
        ("missing.json", "cannot read `missing.json`"),
        ("http://127.0.0.1:2019/config/", "give the admin API itself"),
        (nobody.as_str(), nobody.trim_start_matches("http://")),
    ] {
        check(&bascule(folder.path(), &["import", "caddy", source]), 1, &["error: ", words]);
    }
}
