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
    // Some of its routes cannot be carried.
    check(&bascule(folder.path(), &import), 6, &["inventory/edges/edge.yaml\n", "proved: "]);
    check(&bascule(folder.path(), &["check"]), 0, &[]);
    check(&bascule(folder.path(), &["fmt", "--check"]), 0, &[]);
    let edge = folder.path().join("inventory/edges/edge.yaml");
    std::fs::write(&edge, "mine").expect("it can be written");
    check(&bascule(folder.path(), &import), 1, &["is there already, and nothing was written: move it away"]);
    assert_eq!(std::fs::read_to_string(&edge).expect("it is there"), "mine");
}

/// That it was written is not all: scripts see that a request goes elsewhere than before, with a reason or without.
#[test]
fn a_request_that_goes_elsewhere_has_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let proxy =
        |number: u8| format!(r#"[{{"handler": "reverse_proxy", "upstreams": [{{"dial": "10.0.0.{number}:80"}}]}}]"#);
    let config = |first: &str| {
        format!(
            r#"{{"apps": {{"http": {{"servers": {{"web": {{"listen": [":8080"], "automatic_https": {{"disable": true}}, "routes": [
                {first}, {{"match": [{{"host": ["a.example.org"]}}], "handle": {}}}]}}}}}}}}}}"#,
            proxy(2)
        )
    };
    let same = format!(r#"{{"match": [{{"host": ["b.example.org"]}}], "handle": {}}}"#, proxy(1));
    let unexplained =
        format!(r#"{{"match": [{{"host": ["*.example.org"], "path": ["/api/*", "/api"]}}], "handle": {}}}"#, proxy(1));
    let explained = r#"{"match": [{"host": ["b.example.org"]}], "handle": [{"handler": "file_server"}]}"#;
    for (name, first, code, words) in [
        ("same", same.as_str(), 0, "proved: "),
        ("unexplained", &unexplained, 6, "NOT EXPLAINED"),
        ("explained", explained, 6, ", explained:"),
    ] {
        let file = format!("{name}.json");
        std::fs::write(folder.path().join(&file), config(first)).expect("it can be written");
        let output = bascule(folder.path(), &["import", "caddy", &file, "--write", name]);
        check(&output, code, &[words, &format!("{name}/edges/edge.yaml")]);
    }
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
