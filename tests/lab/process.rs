//! Programs of a run: started in a namespace, killed with the run whatever happens to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How much of a log is shown.
const LOG_SHOWN_BYTES: usize = 3000;

/// A running program. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program; what it says goes to `NAME.log` in `folder`.
    pub(crate) fn start(command: &mut Command, folder: &Path, name: &str) -> Self {
        Self::spawn(command.stdin(Stdio::null()), folder, name, None)
    }

    /// Starts a program of this run that is told things on standard input and tells things on standard output.
    pub(crate) fn start_talking(command: &mut Command, folder: &Path, name: &str) -> (Self, ChildStdin, ChildStdout) {
        let mut program = Self::spawn(command.stdin(Stdio::piped()), folder, name, Some(Stdio::piped()));
        let stdin = program.child.stdin.take().expect("it is piped");
        let stdout = program.child.stdout.take().expect("it is piped");
        (program, stdin, stdout)
    }

    fn spawn(command: &mut Command, folder: &Path, name: &str, stdout: Option<Stdio>) -> Self {
        use std::os::unix::process::CommandExt as _;
        let path = folder.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(&path).expect("the run's folder is writable");
        let also = log.try_clone().expect("a file handle can be doubled");
        // A group of its own: Ctrl-C is for the run, which then ends its programs in order.
        command.process_group(0).stdout(stdout.unwrap_or_else(|| also.into())).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started ({command:?}): {error}"));
        Self { child, log: path }
    }

    /// Panics with the end of its log if it has ended.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be asked") {
            panic!("{} ended ({status}):\n{}", self.log.display(), self.log_end());
        }
    }

    /// SIGKILL to it and to what it has started, and waits for its end. Workers of a killed nginx would keep its port.
    pub(crate) fn kill(&mut self) {
        // Fails only where all have ended already.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for its end; SIGKILL after five seconds, as Caddy's systemd unit has it (`TimeoutStopSec`).
    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let ended = super::waiting::wait(std::time::Duration::from_secs(5), || {
            self.child.try_wait().expect("a child can be asked")
        });
        if ended.is_none() {
            self.kill();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that runs can be signalled");
    }

    /// Everything that it has written so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let from = log.ceil_char_boundary(log.len().saturating_sub(LOG_SHOWN_BYTES));
        log[from..].to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end and gives what it prints. Panics with what it says when it fails.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Where a program is on `PATH`, or in the folders of system programs, which a plain user's `PATH` lacks.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// What would run one of the machine's tools, wherever it is.
pub(crate) fn tool(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| name.into()))
}
