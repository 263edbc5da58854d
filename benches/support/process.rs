//! Child processes that play another part of a benchmark, so that each part is measured by itself, and what a process costs.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// Linux tells process times in this unit on every architecture (proc(5), `/proc/pid/stat`).
const TICKS_A_SECOND: f64 = 100.0;

/// This same program in another process, with its part as the first argument. It says lines when it is ready, and how much
/// it has done when it is asked. It ends when its standard input does, so also when this process dies.
pub(crate) struct Part {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Part {
    pub(crate) fn start(args: &[String]) -> Result<Self, Fault> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, stdin, stdout })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn hear<T: FromStr<Err: Into<Fault>>>(&mut self) -> Result<T, Fault> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        line.trim().parse().map_err(Into::into)
    }

    /// How much it has done up to now.
    pub(crate) fn done(&mut self) -> Result<u64, Fault> {
        self.stdin.write_all(b"\n")?;
        self.hear()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills a child and waits for it. Both fail only where it has ended already.
pub(crate) fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// The child's side of [`Part`]: says how much is done at each line of standard input, until that ends.
pub(crate) async fn tell(done: Arc<AtomicU64>) -> Result<(), Fault> {
    let told = move || {
        for line in std::io::stdin().lines() {
            line?;
            println!("{}", done.load(Ordering::Relaxed));
        }
        Ok(())
    };
    tokio::task::spawn_blocking(told).await?
}

/// User and system time of a process, all threads.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64, Fault> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses, and may itself contain blanks.
    let (_, fields) = stat.rsplit_once(')').ok_or("no program name")?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next().ok_or("no utime")??, times.next().ok_or("no stime")??);
    Ok((user + system) / TICKS_A_SECOND)
}

pub(crate) fn resident_mb(pid: u32) -> Result<f64, Fault> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kb / 1024.0)
}
