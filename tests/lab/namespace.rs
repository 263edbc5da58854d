//! Network namespaces: made by a run, entered by its threads and programs, removed at its end.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::process::{find, run, tool};

/// Every namespace of every run is named so, followed by the run's process id and a place.
const PREFIX: &str = "bascule-lab-";

/// A network namespace. Removed when dropped, with whatever still runs in it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// The chain of what is dropped between places, and the one of what is dropped inside of one.
    pub(crate) const UNDERLAY: &str = "underlay";
    pub(crate) const LOOPBACK: &str = "loopback";

    /// Makes a namespace for a place of this run, with loopback up and an empty packet filter.
    pub(crate) fn add(place: &str) -> Self {
        let name = run_prefix() + place;
        run(tool("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace.nft("add table inet lab");
        for chain in [Self::UNDERLAY, Self::LOOPBACK] {
            namespace.nft(&format!("add chain inet lab {chain} {{ type filter hook input priority 0; }}"));
        }
        namespace
    }

    /// Runs `ip` for it.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) {
        run(tool("ip").args(["-n", &self.name]).args(arguments.split_whitespace()));
    }

    /// Sets a kernel parameter of it. `/proc/sys/net` is that of whoever opens it.
    pub(crate) fn set(&self, parameter: &str, value: &str) {
        let path = Path::new("/proc/sys").join(parameter);
        let written = self.within(|| std::fs::write(&path, value));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Runs a script of `nft` in it.
    #[track_caller]
    fn nft(&self, script: &str) {
        run(tool("ip").args(["netns", "exec", &self.name]).arg(find("nft").expect("it was looked for")).arg(script));
    }

    /// Drops what arrives and matches: whoever sent it notices nothing, as where packets are lost on the way.
    pub(crate) fn drop(&self, chain: &str, what: &str) {
        self.nft(&format!("add rule inet lab {chain} {what} drop"));
    }

    /// Drops nothing in a chain any more.
    pub(crate) fn flush(&self, chain: &str) {
        self.nft(&format!("flush chain inet lab {chain}"));
    }

    /// What would run a program in it. The program's process id is that of the child, and it dies with the thread that
    /// starts it, also when this process is killed.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = tool("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// Moves the calling thread into it: every socket that the thread makes from now on is there.
    pub(crate) fn enter(&self) {
        enter(&self.name);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Does something in it, on a thread of its own.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// One GET from inside: status and body. None when there is no whole answer in time.
    pub(crate) fn get(&self, address: SocketAddr, path: &str, patience: Duration) -> Option<(u16, String)> {
        self.within(|| get(address, path, patience))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Moves the calling thread into a namespace by its name.
pub(crate) fn enter(name: &str) {
    let path = PathBuf::from("/run/netns").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))
        .expect("root may enter a network namespace");
}

/// One GET from the calling thread's namespace.
pub(crate) fn get(address: SocketAddr, path: &str, patience: Duration) -> Option<(u16, String)> {
    use std::io::Read as _;
    let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// What the things of this run are named by: namespaces and the folder.
pub(crate) fn run_prefix() -> String {
    format!("{PREFIX}{}-", std::process::id())
}

/// Removes what runs left behind that were killed before they could: namespaces, folders, and control sockets of WireGuard.
pub(crate) fn sweep() {
    let list = run(tool("ip").args(["netns", "list"]));
    list.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| is_left_behind(name)).for_each(remove);
    for folder in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().filter_map(Result::ok) {
        if folder.file_name().to_str().is_some_and(is_left_behind) {
            // What another sweep removes at the same time is gone all the same.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

/// True for a process of a run that has ended.
pub(crate) fn is_gone(pid: &str) -> bool {
    pid == std::process::id().to_string() || !Path::new("/proc").join(pid).exists()
}

/// True for the name of a thing whose run has ended.
fn is_left_behind(name: &str) -> bool {
    let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
    pid.is_some_and(is_gone)
}

/// Ends whatever runs in a namespace, and the namespace. Says what it cannot do: it is called on the way out.
fn remove(name: &str) {
    let pids = tool("ip").args(["netns", "pids", name]).output().map(|output| output.stdout).unwrap_or_default();
    for pid in String::from_utf8_lossy(&pids).lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)) {
        // Fails only where it has ended already.
        let _ = kill_process(pid, Signal::KILL);
    }
    let removed = tool("ip").args(["netns", "delete", name]).stderr(Stdio::inherit()).status();
    if !removed.is_ok_and(|status| status.success()) {
        eprintln!("the namespace {name} could not be removed: `ip netns delete {name}` does it");
    }
}
