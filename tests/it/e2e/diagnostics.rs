//! What an author and a forge get: reports, explanations, the one style, and a check at each save.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::commands::{misspell_a_site, started, write};
use super::program::{bascule, program};
use crate::support::git_repo::GitRepo;

#[test]
fn forges_get_paths_from_the_root_of_the_repository() {
    let repo = GitRepo::with(&[("README.md", "")]);
    let work = repo.path();
    let below = work.join("deploy/prod");
    std::fs::create_dir_all(&below).expect("a folder");
    assert_eq!(bascule(&below, &["init"]).code, Some(0));
    let site = below.join("inventory/backends/www-dijon-1.yaml");
    std::fs::write(site, "name: www-dijon-1\nservice: www\nsite: dijno\naddr: 10.200.1.23\nport: 8080\n")
        .expect("a file");
    let path = "deploy/prod/inventory/backends/www-dijon-1.yaml";
    for (folder, argument) in [(&below, "."), (&work, "deploy/prod"), (&below, "inventory")] {
        for format in ["github", "sarif", "gitlab"] {
            let ran = bascule(folder, &["check", argument, "--format", format]);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
            let named = match format {
                "github" => ran.stdout.contains(&format!("::error file={path},line=3,")),
                _ => ran.stdout.contains(&format!("\"{path}\"")),
            };
            assert!(named, "{format} of {argument}:\n{}", ran.stdout);
        }
    }
    let outside = started();
    misspell_a_site(&outside);
    let ran = bascule(outside.path(), &["check", "--format", "github"]);
    assert!(ran.stdout.starts_with("::error file=inventory/backends/www-dijon-1.yaml,line=3,"), "{}", ran.stdout);
}

#[test]
fn every_code_is_explained() {
    let run = |args: &[&str]| bascule(Path::new("/"), args);
    let list = run(&["explain"]).succeeded();
    let codes: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.len() > 50 && codes.contains(&"unknown-site"), "{list}");
    for code in codes {
        assert!(run(&["explain", code]).succeeded().starts_with(&format!("# {code}\n")), "{code}");
    }
    assert!(run(&["explain", "error[unknown-site]:"]).succeeded().contains("did you mean `dijon`?"));
    let ran = run(&["explain", "unknwon-site"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(ran.stderr, "error: no code is named `unknwon-site`; did you mean `unknown-site`?\n");
    assert_eq!(run(&["explain", "E0308"]).code, Some(1));
}

#[test]
fn fmt_brings_files_to_one_style_and_touches_nothing_else() {
    let folder = started();
    let run = |args: &[&str]| bascule(folder.path(), args);
    assert_eq!(run(&["fmt", "--check"]).succeeded(), "", "a starter is in the one style");
    let messy = "name:   paris # two\r\nsubnets: [ 10.200.3.0/24 ]\r\n";
    write(&folder, "inventory/sites/paris.yaml", messy);
    write(&folder, "inventory/compose.yaml", "a:   1\n");
    let ran = run(&["fmt", "--check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "inventory/sites/paris.yaml\n"));
    assert_eq!(ran.stderr, "1 file not in the one style; mend with `bascule fmt .`\n");
    let text = |path: &str| std::fs::read_to_string(folder.path().join(path)).expect("a file");
    assert_eq!(text("inventory/sites/paris.yaml"), messy, "--check writes nothing");

    // The file is a link out of its folder, and keeps its permissions.
    let real = folder.path().join("inventory/paris-of-another");
    std::fs::rename(folder.path().join("inventory/sites/paris.yaml"), &real).expect("a file is moved");
    std::fs::set_permissions(&real, Permissions::from_mode(0o640)).expect("permissions");
    std::os::unix::fs::symlink("../paris-of-another", folder.path().join("inventory/sites/paris.yaml"))
        .expect("a link");
    assert_eq!(run(&["fmt"]).succeeded(), "inventory/sites/paris.yaml\n");
    assert_eq!(text("inventory/paris-of-another"), "name: paris  # two\nsubnets: [10.200.3.0/24]\n");
    assert!(folder.path().join("inventory/sites/paris.yaml").is_symlink());
    let mode = real.metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(text("inventory/compose.yaml"), "a:   1\n", "not an inventory's");
    assert_eq!(run(&["fmt", "inventory"]).succeeded(), "");

    write(&folder, "inventory/sites/broken.yaml", "name: [a\n");
    let ran = run(&["fmt"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(ran.stderr.starts_with("inventory/sites/broken.yaml: left as it is"), "{}", ran.stderr);
    assert_eq!(text("inventory/sites/broken.yaml"), "name: [a\n");
}

/// Saves files as editors do, and reads what is said until it is there.
#[test]
fn check_watches_and_checks_again_on_save() {
    let folder = started();
    // As in a work tree whose root is the inventory: files are watched, not a branch.
    std::fs::create_dir(folder.path().join("inventory/.git")).expect("a folder");
    let mut child = Watching::start(folder.path());
    child.wait_for("no errors and no warnings in ");
    misspell_a_site(&folder);
    child.wait_for("did you mean `dijon`?");
    let file = folder.path().join("inventory/backends/www-dijon-1.yaml");
    let text = std::fs::read_to_string(&file).expect("a file").replace("dijno", "dijon");
    // Beside it, and renamed over it.
    std::fs::write(file.with_extension("tmp"), text).expect("a file");
    std::fs::rename(file.with_extension("tmp"), &file).expect("a file is replaced");
    child.wait_for("no errors and no warnings in ");
    std::fs::write(folder.path().join("inventory/sites/paris.yaml"), "name: paris\n").expect("a file");
    child.wait_for("error[missing-key]");
    assert_eq!(child.interrupt(), Some(3), "the last check counts");

    let ran = bascule(folder.path(), &["check", "--watch", "--format", "sarif"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("`--watch` is for people"), "{}", ran.stderr);
}

/// `check --watch`, killed when it is dropped.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(folder: &Path) -> Self {
        let mut command = program(folder);
        let mut child = command.args(["check", "--watch"]).stdout(Stdio::piped()).spawn().expect("bascule starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tx, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = tx.send(line);
            }
        });
        Self { child, lines }
    }

    /// Reads lines until one has this text.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return;
            }
            seen.push(line);
        }
        panic!("no {text:?} came:\n{}", seen.join("\n"));
    }

    fn interrupt(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
