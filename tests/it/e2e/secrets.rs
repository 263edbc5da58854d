//! Passwords and tokens stay where they were put.

use std::sync::{Arc, Mutex, PoisonError};

use bascule::core::status::StatusDto;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::world::{DOMAIN, World, backend};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_probe_that_is_missing_is_a_fault_until_it_is_there() {
    let mut world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    let (allowed, elsewhere) = (world.path("secrets"), world.path("elsewhere"));
    std::fs::create_dir(&allowed).expect("a folder");
    std::fs::write(&elsewhere, SECRET).expect("a file is written");
    let token = allowed.join("token");
    let write_with = |world: &World, file: &std::path::Path, more: &str| {
        let headers = format!("{{ X-Key: 'k ${{file:{}}}'{more} }}", file.display());
        let health = format!("{{ path: /health, headers: {headers}, interval: 200ms }}");
        world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\nhealth: {health}\n"));
    };
    let write = |world: &World, file: &std::path::Path| write_with(world, file, "");
    write(&world, &token);
    world.write_backend("api", &only);
    world.commit_and_push("Declare a service");
    let repository = world.path("remote.git").display().to_string();
    world.start_with(
        &repository,
        "30s",
        &["--log", "trace", "--allow-secret", &format!("file:{}/", allowed.display())],
    );

    let is_up = |status: &StatusDto| {
        status.faults.is_empty() && status.services.iter().any(|it| it.backends.iter().any(|it| it.verdict == "up"))
    };
    let status = world.wait_for("the fault", |status| !status.faults.is_empty()).await;
    let [fault] = &status.faults[..] else { panic!("{:?}", status.faults) };
    assert_eq!(fault.scope, "service api");
    let missing = format!("secret `file:{}` cannot be read: No such file or directory", token.display());
    for part in ["the header `X-Key` of its probe cannot be sent", &missing, "put it there", "api-dijon-1"] {
        assert!(fault.message.contains(part), "{part}: {}", fault.message);
    }
    assert!(world.status_text().1.contains(&missing), "{}", world.status_text().1);
    std::fs::write(&token, SECRET).expect("a file is written");
    world.wait_for("an end of it", is_up).await;

    write_with(&world, &elsewhere, ", X-Env: '${env:NOT_THERE}'");
    world.commit_and_push("Name another file, and a variable");
    let status = world.wait_for("a fault of each", |status| status.faults.len() == 2).await;
    let cure = format!("is not allowed: start bascule with `--allow-secret file:{}`", elsewhere.display());
    assert!(status.faults.iter().any(|fault| fault.message.contains(&cure)), "{:?}", status.faults);
    let text = world.status_text().1;
    // What is not named any more is no fault.
    write(&world, &token);
    world.commit_and_push("Name the first file");
    world.wait_for("an end of that", is_up).await;
    assert!(world.terminate().await);
    for (place, text) in [("log", world.log()), ("status", text), ("API", format!("{status:?}"))] {
        assert!(!text.contains(SECRET), "the {place} has the secret");
    }
}

#[test]
fn a_password_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let args = ["run", "--repo", "https://git.example.org/infra.git", "--git-password-file", "nowhere"];
    let ran = super::program::bascule(folder.path(), &args);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("cannot read `nowhere`"), "{}", ran.stderr);
}
