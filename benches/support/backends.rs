//! Backends by the thousand: one child process that answers on every address of loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::process::{Fault, Part, tell};

/// Time between two questions to the same backend, whoever asks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
pub(crate) const HEALTH_PATH: &str = "/health";
/// The first argument of the child.
pub(crate) const SERVE: &str = "serve";
/// Ports that the child listens on, so that an accept queue (4,096 at most on Linux) takes the first round of 10,000.
const LISTENERS: usize = 4;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";

/// The child process, which counts its answers.
pub(crate) struct Backends {
    pub(crate) part: Part,
    pub(crate) ports: Vec<u16>,
}

impl Backends {
    pub(crate) fn start() -> Result<Self, Fault> {
        let mut part = Part::start(&[SERVE.to_owned()])?;
        let ports = (0..LISTENERS).map(|_| part.hear()).collect::<Result<_, _>>()?;
        Ok(Self { part, ports })
    }
}

/// Where a backend is. They differ in address: 127.1.0.1, 127.1.0.2, …
pub(crate) fn address(number: usize, ports: &[u16]) -> Result<SocketAddr, Fault> {
    let [third, fourth] = [number / 250, number % 250 + 1].map(u8::try_from);
    Ok(SocketAddr::new(Ipv4Addr::new(127, 1, third?, fourth?).into(), ports[number % ports.len()]))
}

/// The child: answers keep-alive requests on all of 127.0.0.0/8 until its standard input ends.
pub(crate) async fn serve() -> Result<(), Fault> {
    let answers = Arc::new(AtomicU64::new(0));
    for _ in 0..LISTENERS {
        // Every loopback address at once can only be had with the wildcard; whoever is not on loopback is turned away.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                if peer.ip().is_loopback() {
                    tokio::spawn(answer(stream, Arc::clone(&answers)));
                }
            }
        });
    }
    tell(answers).await
}

async fn answer(mut stream: TcpStream, answers: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            answers.fetch_add(1, Ordering::Relaxed);
            stream.write_all(ANSWER).await?;
        }
    }
}
