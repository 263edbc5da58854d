//! Flags and variables: what is refused at the start, in which words, and what an empty variable means.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use tempfile::TempDir;

use super::program::{Ran, bascule, program};
use crate::support::port::ReservedPort;

/// A folder with an inventory, and with files that no flag can use.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(bascule(folder.path(), &["init"]).code, Some(0));
    for (name, text) in [("id.pub", "ssh-ed25519 AAAA me@example.org\n"), ("empty", "\n"), ("notes.pem", "no PEM\n")] {
        fs::write(folder.path().join(name), text).expect("a file is written");
    }
    folder
}

#[test]
fn run_refuses_what_cannot_work_before_it_opens_anything() {
    let folder = folder();
    let before = fs::read_dir(folder.path()).expect("a folder").count();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--quiet", "2s"], &["`--quiet 2s`", "`--ceiling 1s`", "a shorter `--quiet`"]),
        (&["--quiet", "2"], &["--quiet", "`2`", "a whole number and a unit"]),
        (&["--listen", "27511"], &["--listen", "'27511'", "such as `127.0.0.1:27511`"]),
        (&["--path", "nowhere"], &["`--path nowhere`", "`--repo`", "`bascule init`"]),
        (&["--repo", "nowhere"], &["--repo", "`nowhere`", "It takes a URL"]),
        (&["--repo", ""], &["--repo"]),
        (&["--repo", ".", "--path", "../inventory"], &["`--path ../inventory`", "such as `inventory`"]),
        (&["--state", "."], &["`--state .` is a folder", "`./bascule.db`"]),
        (&["--state", "var/bascule.db"], &["`--state var/bascule.db`", "no folder `var`", "make it"]),
        (&["--git-ca-file", "nowhere"], &["--git-ca-file", "`nowhere`", "name a file that is there"]),
        (&["--git-known-hosts", "nowhere"], &["--git-known-hosts", "`nowhere`", "name a file"]),
        (&["--git-ssh-key", "nowhere"], &["--git-ssh-key", "`nowhere`", "name a file"]),
        (&["--git-ssh-key", "id.pub"], &["--git-ssh-key", "`id.pub` is a public key", "the private one"]),
        (&["--git-ssh-passphrase-file", "nowhere"], &["--git-ssh-passphrase-file", "`nowhere`", "name a file"]),
        (&["--git-password-file", "empty"], &["--git-password-file", "`empty` is empty", "leave the flag out"]),
        (&["--repo", "https://git.example.org/a.git", "--git-ca-file", "notes.pem"], &["`notes.pem`"]),
        (&["--allowed-signers", "id.pub"], &["`--allowed-signers`", "inventory` is a plain folder", "with `--repo`"]),
        (&["--allowed-pgp-keys", "id.pub"], &["`--allowed-pgp-keys`", "inventory` is a plain folder", "with `--repo`"]),
        (&["--forge", "github"], &["`--forge`", "a plain folder has none", "with `--repo`"]),
        (&["--forge-repository", "a/b"], &["`--forge-repository`", "add `--forge github`"]),
        (
            &["--repo", "https://github.com/you/infra.git", "--forge", "github"],
            &["takes a token", "`--forge-token-file`", "`BASCULE_FORGE_TOKEN`"],
        ),
        (
            &["--repo", "https://github.com/you/infra.git", "--forge", "github", "--forge-token-file", "nowhere"],
            &["--forge-token-file", "`nowhere`", "name a file that is there"],
        ),
        (
            &["--repo", "git@host:infra", "--forge", "github", "--forge-token-file", "notes.pem"],
            &["no repository is named", "`--forge-repository OWNER/NAME`"],
        ),
        (
            &[
                "--repo",
                "git@host:infra",
                "--forge",
                "gitea",
                "--forge-repository",
                "a/b",
                "--forge-token-file",
                "id.pub",
            ],
            &["say where yours is with `--forge-url https://git.example.org`"],
        ),
        (
            &["--repo", "https://git.example.org/a.git", "--allowed-signers", "nowhere"],
            &["cannot read the allowed signers `nowhere`"],
        ),
        (
            &["--repo", "https://git.example.org/a.git", "--allowed-signers", "id.pub"],
            &["`--allowed-signers`", "id.pub:1: `AAAA` is neither a type of key nor an option"],
        ),
        (
            &["--repo", "https://git.example.org/a.git", "--allowed-pgp-keys", "nowhere"],
            &["cannot read the allowed OpenPGP keys `nowhere`"],
        ),
        (
            &["--repo", "https://git.example.org/a.git", "--allowed-pgp-keys", "id.pub"],
            &["`--allowed-pgp-keys`", "id.pub: there is no key", "gpg --armor --export"],
        ),
    ];
    for (args, parts) in cases {
        // A port that nobody has, should one of them be taken after all.
        let listen: &[&str] = if args[0] == "--listen" { &[] } else { &["--listen", "127.0.0.1:0"] };
        let ran = bascule(folder.path(), &[&["run"], listen, *args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{args:?}: {}", ran.stderr);
        for part in *parts {
            assert!(ran.stderr.contains(part), "{args:?} says no {part}: {}", ran.stderr);
        }
        assert!(ran.stderr.starts_with("error: "), "{args:?} announces something: {}", ran.stderr);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), before, "{args:?} leaves something");
    }
}

#[test]
fn nothing_is_announced_before_the_state_file_is_taken() {
    let folder = folder();
    fs::write(folder.path().join("bascule.db"), "somebody's letters").expect("a file is written");
    let ran = bascule(folder.path(), &["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is not a state file of bascule"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("API listens"), "{}", ran.stderr);

    let port = ReservedPort::take();
    let _listener = TcpListener::bind(("127.0.0.1", port.get())).expect("the port is free");
    let address = format!("127.0.0.1:{}", port.get());
    let ran = bascule(folder.path(), &["run", "--state", "other.db", "--listen", &address]);
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("with `--listen`"), "{}", ran.stderr);
    assert!(!folder.path().join("other.db").exists(), "{}", ran.stderr);
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let folder = folder();
    let empty = [
        "BASCULE_LOG",
        "BASCULE_LOG_FORMAT",
        "BASCULE_FORMAT",
        "BASCULE_EDGE",
        "BASCULE_REPO",
        "BASCULE_BRANCH",
        "BASCULE_PATH",
        "BASCULE_STATE",
        "BASCULE_POLL",
        "BASCULE_QUIET",
        "BASCULE_GIT_USERNAME",
        "BASCULE_GIT_CA_FILE",
        "BASCULE_GIT_PASSWORD_FILE",
        "BASCULE_ALLOWED_SIGNERS",
        "BASCULE_ALLOWED_PGP_KEYS",
        "BASCULE_PORT",
        "BASCULE_EXERCISE",
    ];
    let with_empty = |args: &[&str]| {
        let mut command = program(folder.path());
        command.args(args).envs(empty.map(|name| (name, "")));
        let output = command.output().expect("bascule runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, text) = with_empty(&["check"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = with_empty(&["render"]);
    assert_eq!(code, Some(0), "{text}");
    // Everything else of `run` is taken, and this is not.
    let (code, text) = with_empty(&["run", "--state", "."]);
    assert!(code == Some(1) && text.contains("`--state .` is a folder"), "{text}");
    let (code, text) = with_empty(&["demo", "--caddy", "/bin/ls"]);
    assert!(code == Some(1) && text.contains("`/bin/ls run` ended at once"), "{text}");

    let output = program(folder.path()).args(["check"]).env("BASCULE_FORMAT", "json").output().expect("bascule runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[]\n", "a variable that has a value counts");
}

#[test]
fn what_is_no_log_filter_is_told_what_is_one() {
    let folder = folder();
    for (filter, word) in [("nonsense=foo", "`foo`"), ("verbose", "`verbose`")] {
        let ran = bascule(folder.path(), &["--log", filter, "version"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.contains(&format!("`--log {filter}`: {word} is no level; give ")), "{}", ran.stderr);
    }
}

#[test]
fn a_controller_that_is_not_there_is_said_once() {
    let port = ReservedPort::take();
    let address = format!("127.0.0.1:{}", port.get());
    for server in [address.clone(), format!("http://{address}"), format!("http://{address}/")] {
        let ran = bascule(std::path::Path::new("/"), &["status", "--server", &server]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{server}");
        assert_eq!(ran.stderr.matches(&address).count(), 1, "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("refused").count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("start one with `bascule run`"), "{}", ran.stderr);
    }
    let ran = bascule(std::path::Path::new("/"), &["status", "--server", "ftp://vps"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("such as `http://127.0.0.1:7500`"), "{}", ran.stderr);
}

/// Answers whoever asks the same, for as long as the test runs.
fn stranger(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn what_is_no_controller_is_told_from_one_that_is_not_there() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
    let nothing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let word = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    let order = ["suspend", "--reason", "moving racks"];
    for (answer, told) in [
        (page, "answered 200 OK with text/html, as bascule "),
        (nothing, "answered 404 Not Found, as bascule "),
        (word, "is not what bascule "),
    ] {
        let server = stranger(answer);
        for command in [&["status"][..], &["status", "--format", "json"], &["history"], &["override", "list"], &order] {
            let ran = bascule(std::path::Path::new("/"), &[command, &["--server", &server]].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{command:?}: {}", ran.stderr);
            for part in [server.as_str(), told, "another server is there", "with `--server`"] {
                assert!(ran.stderr.contains(part), "{command:?} says no {part}: {}", ran.stderr);
            }
            assert!(!ran.stderr.contains("<html>"), "{}", ran.stderr);
        }
    }
    let ran = bascule(std::path::Path::new("/"), &["healthcheck", "--server", &stranger(page)]);
    assert!(ran.code == Some(1) && ran.stdout.is_empty() && ran.stderr.contains("another server"), "{ran:?}");
}

/// One variable is for commands that do not all take the same: what one does not take is said to be the variable's.
#[test]
fn a_variable_that_a_command_does_not_take_is_named() {
    let folder = folder();
    let run = |args: &[&str], value: &str| -> Ran {
        let mut command = program(folder.path());
        command.args(args).env("BASCULE_FORMAT", value).output().expect("bascule runs").into()
    };
    for (args, value, command, values) in [
        (&["status"][..], "markdown", "bascule status", "text, json"),
        (&["override", "list"], "github", "bascule override list", "text, json"),
        (&["simulate"], "sarif", "bascule simulate", "text, json, markdown"),
        (&["check", "."], "markdown", "bascule check", "text, json, github, sarif, gitlab"),
    ] {
        let ran = run(args, value);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{args:?}");
        let told = format!("the variable `BASCULE_FORMAT` says so, and `{command}` does not take it: give `--format`");
        for part in [format!("'{value}'"), format!("[possible values: {values}]"), told] {
            assert!(ran.stderr.contains(&part), "{args:?} says no {part}: {}", ran.stderr);
        }
    }
    assert_eq!(run(&["check", "--format", "text"], "markdown").code, Some(0), "the flag decides");
    let ran = run(&["check", "--format", "sarfi"], "json");
    assert!(ran.code == Some(1) && !ran.stderr.contains("BASCULE_FORMAT"), "{}", ran.stderr);
}
