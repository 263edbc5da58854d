use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run of the program came to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// Success, with nothing to complain about.
    #[track_caller]
    pub(super) fn succeeded(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }
}

/// The program, with an environment of its own, and no claim on the usual port of relays.
pub(super) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.current_dir(folder).env_clear().env("HOME", folder).env("BASCULE_RELAY", "off").stdin(Stdio::null());
    command
}

/// Runs the program in a folder, to its end.
pub(super) fn bascule(folder: &Path, args: &[&str]) -> Ran {
    program(folder).args(args).output().expect("bascule runs").into()
}
