use std::net::{Ipv4Addr, SocketAddr};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longest head of a request that a test sends.
const HEAD_MAX: usize = 8192;

/// A backend that streams: WebSockets echo, `/events` sends an event whenever it is told to, everything else answers with
/// the head of the request as it arrived. Stops when dropped.
pub(super) struct Talker {
    address: SocketAddr,
    events: watch::Sender<u32>,
    _tasks: JoinSet<()>,
}

impl Talker {
    pub(super) async fn start_on(ip: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback address has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (events, receiver) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, receiver.clone()));
            }
        });
        Self { address, events, _tasks: tasks }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends an event to whoever listens.
    pub(super) fn send_event(&self, number: u32) {
        self.events.send_replace(number);
    }
}

/// Serves one request. How the connection ends is the client's affair.
async fn serve(mut stream: TcpStream, events: watch::Receiver<u32>) {
    let Some(head) = peek_head(&stream).await else { return };
    if head.to_ascii_lowercase().contains("\r\nupgrade: websocket\r\n") {
        let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (mut tx, mut rx) = socket.split();
        while let Some(Ok(message)) = rx.next().await {
            if message.is_text() && tx.send(message).await.is_err() {
                return;
            }
        }
        return;
    }
    let _ = stream.read_exact(&mut vec![0; head.len()]).await;
    let _ = if head.starts_with("GET /events ") {
        send_events(&mut stream, events).await
    } else {
        let length = head.len();
        let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{head}");
        stream.write_all(answer.as_bytes()).await
    };
}

async fn send_events(stream: &mut TcpStream, mut events: watch::Receiver<u32>) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    loop {
        let number = *events.borrow_and_update();
        stream.write_all(format!("data: {number}\n\n").as_bytes()).await?;
        if events.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Waits for a whole head and leaves it in the socket: a WebSocket's handshake is read by somebody else.
async fn peek_head(stream: &TcpStream) -> Option<String> {
    let mut bytes = vec![0; HEAD_MAX];
    loop {
        let length = stream.peek(&mut bytes).await.ok().filter(|length| (1..HEAD_MAX).contains(length))?;
        if let Some(at) = bytes[..length].windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(String::from_utf8_lossy(&bytes[..at + 4]).into_owned());
        }
        // What is there already wakes nobody again.
        tokio::task::yield_now().await;
    }
}
