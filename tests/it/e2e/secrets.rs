//! Passwords and tokens stay where they were put.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::world::World;

/// Something that no log and no status may hold.
const SECRET: &str = "correct-horse-battery";

/// A forge that refuses everybody, and remembers with what they came. Stops when dropped.
struct Forge {
    address: String,
    credentials: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Forge {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let credentials = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&credentials);
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One at a time is enough for one client. How a connection ends is the client's affair.
                let _ = refuse(stream, &seen).await;
            }
        });
        Self { address, credentials, _tasks: tasks }
    }

    /// The user and password of each request that had some.
    fn credentials(&self) -> Vec<String> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn refuse(mut stream: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    if let Some(line) = head.lines().find_map(|line| line.strip_prefix("Authorization: Basic ")) {
        let plain = BASE64_STANDARD.decode(line).expect("Base64");
        let plain = String::from_utf8(plain).expect("text");
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(plain);
    }
    let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"forge\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).await
}

/// Runs until the fault shows, with everything that can be logged, and looks for the secret wherever people look.
async fn assert_kept(mut world: World, forge: &Forge, repository: &str, arguments: &[&str]) {
    world.start_with(repository, "1s", &[&["--log", "trace"], arguments].concat());
    let status = world.wait_for("the fault", |status| !status.faults.is_empty()).await;
    assert_eq!(status.faults[0].scope, "source");
    assert!(status.faults[0].message.contains("refused access"), "{:?}", status.faults);
    let (_, text) = world.status_text();
    assert!(text.contains("refused access"), "{text}");
    assert!(world.terminate().await);
    assert_eq!(forge.credentials().first().map(String::as_str), Some(format!("ops:{SECRET}").as_str()));
    let encoded = BASE64_STANDARD.encode(format!("ops:{SECRET}"));
    for (place, text) in [("log", world.log()), ("status", text), ("API", format!("{status:?}"))] {
        for secret in [SECRET, &encoded] {
            assert!(!text.contains(secret), "the {place} has the secret");
        }
    }
    let state = std::fs::read(world.path("bascule.db")).expect("the state file");
    assert!(!state.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "the state file has the secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_from_a_file_is_used_and_never_shown() {
    let (world, forge) = (World::new().await, Forge::start().await);
    let file = world.path("password");
    // As editors leave it.
    std::fs::write(&file, format!("{SECRET}\n")).expect("a file is written");
    let file = file.display().to_string();
    let repository = format!("http://{}/infra.git", forge.address);
    assert_kept(world, &forge, &repository, &["--git-username", "ops", "--git-password-file", &file]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_url_is_used_and_never_shown() {
    let (world, forge) = (World::new().await, Forge::start().await);
    let repository = format!("http://ops:{SECRET}@{}/infra.git", forge.address);
    assert_kept(world, &forge, &repository, &[]).await;
}

#[test]
fn a_password_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let args = ["run", "--repo", "https://git.example.org/infra.git", "--git-password-file", "nowhere"];
    let ran = super::program::bascule(folder.path(), &args);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("cannot read `nowhere`"), "{}", ran.stderr);
}
