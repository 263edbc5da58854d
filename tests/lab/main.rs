//! The lab: sites behind real WireGuard tunnels, in network namespaces on one machine, a real Caddy and Bascule at the hub,
//! clients outside; what clients see when a site is cut, with Bascule and with others.
//!
//! `make lab` is the long form. As a test binary this runs three cases and speaks enough of libtest's command line for cargo
//! and nextest. The program is also what it starts: `backend`, `forge`.

mod actors;
mod backends;
mod contender;
mod cuts;
mod experiment;
mod faults;
mod judge;
mod load;
mod long;
mod measure;
mod namespace;
mod peers;
mod process;
mod proof;
mod report;
mod short;
mod silence;
mod waiting;
mod world;

use std::panic::catch_unwind;
use std::process::ExitCode;

use self::short::{TESTS, Test};

/// How libtest exits when a test failed.
const TEST_FAILED: u8 = 101;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["backend", name, address] => backends::serve(name, address),
        ["forge", address, folder] => actors::serve_git(address, folder),
        ["check"] => check(),
        ["run", rest @ ..] => long::main(rest.iter().map(|&it| it.to_owned())),
        arguments => test(arguments),
    }
}

/// Says whether the lab can run here.
fn check() -> ExitCode {
    let Some(reason) = world::obstacle() else { return ExitCode::SUCCESS };
    eprintln!("the lab cannot run here: {reason}\n`make test LAB=no` runs everything else");
    ExitCode::FAILURE
}

/// What `cargo test` and nextest ask of a test binary: the list of tests, or to run those that are named.
fn test(arguments: &[&str]) -> ExitCode {
    let has = |flag: &str| arguments.contains(&flag);
    if has("--list") {
        // None is ignored, and nextest asks for the ignored ones by themselves.
        let listed = TESTS.iter().filter(|_| !has("--ignored"));
        listed.for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> = arguments.iter().copied().filter(|it| !it.starts_with('-')).collect();
    let fits = |test: &Test, name: &str| if has("--exact") { test.name == name } else { test.name.contains(name) };
    let is_named = |test: &&Test| names.is_empty() || names.iter().any(|name| fits(test, name));
    let (mut passed, mut failed) = (0, 0);
    for test in TESTS.iter().filter(is_named) {
        let is_passed = catch_unwind(test.run).is_ok();
        println!("test {} ... {}\n", test.name, if is_passed { "ok" } else { "FAILED" });
        *(if is_passed { &mut passed } else { &mut failed }) += 1;
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let left_out = TESTS.len() - passed - failed;
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(TEST_FAILED) }
}
