//! A real sshd on 127.0.0.1, one process a connection.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Where sshd is, which is in the `PATH` of few users.
const PLACES: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];

/// Finds sshd. Without one the test fails, unless `BASCULE_TEST_WITHOUT` says that this is so on purpose.
pub(super) fn sshd() -> Option<PathBuf> {
    let found = PLACES.into_iter().map(PathBuf::from).find(|place| place.exists());
    if found.is_none() {
        let without = std::env::var("BASCULE_TEST_WITHOUT").unwrap_or_default();
        assert!(
            without.split(',').any(|name| name == "sshd"),
            "no sshd on this machine: install openssh-server, or set BASCULE_TEST_WITHOUT=sshd"
        );
        println!("this test did not run: BASCULE_TEST_WITHOUT has sshd");
    }
    found
}

/// Accepts one user with one key. Stops when dropped.
pub(super) struct SshServer {
    port: u16,
    folder: TempDir,
    _tasks: JoinSet<()>,
}

/// A passphrase of the second key of the user.
pub(super) const PASSPHRASE: &str = "correct horse";

impl SshServer {
    /// Starts it with new keys. It has an ed25519 host key.
    pub(super) async fn start(sshd: PathBuf) -> Self {
        Self::start_with(sshd, &["host_ed25519"]).await
    }

    /// Starts it with new keys, of which it shows these as a host.
    pub(super) async fn start_with(sshd: PathBuf, host_keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temp dir can be made");
        let at = |name: &str| folder.path().join(name);
        for (name, kind, passphrase) in [
            ("host_ed25519", "ed25519", ""),
            ("host_rsa", "rsa", ""),
            ("host_ecdsa", "ecdsa", ""),
            ("other_host", "ed25519", ""),
            ("user", "ed25519", ""),
            ("locked", "ed25519", PASSPHRASE),
            ("stranger", "ed25519", ""),
        ] {
            keygen(&["-q", "-t", kind, "-N", passphrase, "-C", name, "-f", at(name).to_str().expect("UTF-8")]);
        }
        let authorized = [read(&at("user.pub")), read(&at("locked.pub"))].concat();
        fs::write(at("authorized"), authorized).expect("writable");
        let config = format!(
            "{2}AuthorizedKeysFile {0}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n\
             SetEnv PATH={1}\n",
            folder.path().display(),
            std::env::var("PATH").unwrap_or_default(),
            host_keys.iter().map(|key| format!("HostKey {}\n", at(key).display())).collect::<Vec<_>>().concat(),
        );
        fs::write(at("config"), config).expect("writable");
        // sshd wants it for its unprivileged part and does not make it. Only root may, and only root's sshd needs it.
        let _ = fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("bound").port();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, sshd, at("config"), at("log")));
        Self { port, folder, _tasks: tasks }
    }

    pub(super) fn url(&self, path: &Path) -> String {
        let user = Command::new("id").arg("-un").output().expect("id can be run").stdout;
        format!("ssh://{}@127.0.0.1:{}{}", String::from_utf8_lossy(&user).trim(), self.port, path.display())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name of this host in `known_hosts`.
    pub(super) fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// A `known_hosts` with the public key in file `key` for `names`.
    pub(super) fn known_hosts(&self, names: &str, key: &str) -> PathBuf {
        let file = self.file(&format!("known-{key}"));
        fs::write(&file, format!("# a comment\n\n{names} {}", read(&self.file(&format!("{key}.pub")))))
            .expect("writable");
        file
    }

    /// What sshd says.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

/// Hands each connection to an sshd of its own, so that no port has to be chosen beforehand.
async fn serve(listener: TcpListener, sshd: PathBuf, config: PathBuf, log: PathBuf) {
    // The children are killed when this is dropped.
    let mut children = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let stream = stream.into_std().expect("a socket");
        stream.set_nonblocking(false).expect("a socket");
        let output = stream.try_clone().expect("a socket");
        let child = tokio::process::Command::new(&sshd)
            .arg("-i")
            .arg("-f")
            .arg(&config)
            .arg("-E")
            .arg(&log)
            .stdin(Stdio::from(OwnedFd::from(stream)))
            .stdout(Stdio::from(OwnedFd::from(output)))
            .kill_on_drop(true)
            .spawn()
            .expect("sshd can be run");
        children.push(child);
    }
}

/// Runs `ssh-keygen`.
pub(super) fn keygen(args: &[&str]) {
    let output = Command::new("ssh-keygen").args(args).output().expect("ssh-keygen can be run");
    assert!(output.status.success(), "ssh-keygen {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it is there")
}
