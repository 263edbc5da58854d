//! Real HTTP backends on loopback addresses, whose behaviour a test switches while they run.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a backend does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// 200, with the backend's name as body.
    Ok,
    /// This status, with the backend's name as body.
    Status(u16),
    /// This status to whoever asks this path, 200 to everybody else.
    StatusAt(&'static str, u16),
    /// 503 to whoever asks `/health`, 200 to everybody else: what probes say is then all that is against it.
    Unwell,
    /// Reads the request and never answers, until the behaviour changes.
    Hang,
    /// Reads the request and closes the connection without a byte.
    Close,
}

/// A running HTTP/1.1 backend with keep-alive. Stops when dropped.
pub struct HttpBackend {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    behaviour: watch::Sender<Behaviour>,
    /// The listener and every connection; gone while the backend is stopped.
    tasks: JoinSet<()>,
}

struct Shared {
    name: String,
    connections: AtomicU64,
    requests: AtomicU64,
    by_path: Mutex<BTreeMap<String, u64>>,
}

impl HttpBackend {
    /// Starts a backend on 127.0.0.1 and a free port.
    pub async fn start(name: &str) -> Self {
        Self::start_on(name, Ipv4Addr::LOCALHOST).await
    }

    /// Starts a backend on any address of 127.0.0.0/8 and a free port.
    pub async fn start_on(name: &str, ip: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback address has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            by_path: Mutex::default(),
        });
        let (behaviour, _) = watch::channel(Behaviour::Ok);
        let mut backend = Self { name: name.to_owned(), address, shared, behaviour, tasks: JoinSet::new() };
        backend.listen(listener);
        backend
    }

    /// The name that its answers carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens, or did before it was stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The IP address of [`Self::address`].
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The port of [`Self::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it does from now on, also with requests that hang.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Requests read so far, answered or not.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Requests for this path and query.
    pub fn requests_to(&self, path: &str) -> u64 {
        self.shared.by_path.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
    }

    /// Stops listening and drops every connection: from now on connections are refused.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Listens again on the same address after [`Self::stop`].
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.listen(listener);
    }

    fn listen(&mut self, listener: TcpListener) {
        let (shared, behaviour) = (self.shared.clone(), self.behaviour.subscribe());
        self.tasks.spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, shared.clone(), behaviour.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
    }
}

/// Serves one connection to its end. How it ends is the client's affair.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>, mut behaviour: watch::Receiver<Behaviour>) {
    let mut bytes = Vec::new();
    while let Ok(Some((path, body))) = read_request(&mut stream, &mut bytes).await {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        *shared.by_path.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default() += 1;
        let Ok(now) = behaviour.wait_for(|now| *now != Behaviour::Hang).await.map(|now| *now) else { return };
        let status = match now {
            Behaviour::Unwell if path == "/health" => 503,
            Behaviour::StatusAt(bad, status) if path == bad => status,
            Behaviour::Ok | Behaviour::StatusAt(..) | Behaviour::Unwell => 200,
            Behaviour::Status(status) => status,
            Behaviour::Hang | Behaviour::Close => return,
        };
        let (name, length) = (&shared.name, shared.name.len());
        let head = format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Type: text/plain\r\nX-Backend: {name}\r\nX-Received: {body}\r\n"
        );
        let answer = format!("{head}Content-Length: {length}\r\n\r\n{name}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one request with its body; gives its path and the length of the body, or none where the client has ended.
async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<(String, usize)>> {
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let length = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
    bytes.drain(..head_end + length);
    Ok(Some((head.split(' ').nth(1).unwrap_or_default().to_owned(), length)))
}

mod tests {
    use std::time::Duration;

    use super::*;
    use crate::support::wait::{SOON, wait_until_equal};

    #[tokio::test]
    async fn a_backend_behaves_as_told_and_counts() {
        let mut backend = HttpBackend::start_on("dijon-1", Ipv4Addr::new(127, 0, 0, 21)).await;
        assert_eq!((backend.name(), backend.ip()), ("dijon-1", IpAddr::from([127, 0, 0, 21])));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let url = format!("http://{}:{}/health?full=1", backend.ip(), backend.port());
        let ask = async || {
            let response = client.post(&url).body("some body").send().await.ok()?;
            Some((response.status().as_u16(), response.text().await.ok()?))
        };
        let named = |status| Some((status, "dijon-1".to_owned()));
        assert_eq!(ask().await, named(200));
        backend.behave(Behaviour::Status(503));
        assert_eq!(ask().await, named(503));
        assert_eq!((backend.connections(), backend.requests()), (1, 2), "the connection was kept");
        backend.behave(Behaviour::Close);
        assert_eq!(ask().await, None);
        backend.behave(Behaviour::Hang);
        let hanging = tokio::time::timeout(Duration::from_millis(100), ask()).await;
        assert!(hanging.is_err(), "{hanging:?}");
        let (hanging, ()) = tokio::join!(ask(), async {
            wait_until_equal(5, SOON, || async { backend.requests_to("/health?full=1") }).await;
            backend.behave(Behaviour::Ok);
        });
        assert_eq!(hanging, named(200));
        backend.stop().await;
        assert_eq!(ask().await, None);
        backend.start_again().await;
        assert_eq!(ask().await, named(200));
        assert_eq!(backend.requests_to("/"), 0);
    }

    #[tokio::test]
    async fn every_backend_has_an_address_of_its_own() {
        let backends = [HttpBackend::start("dijon-1").await, HttpBackend::start("thory-1").await];
        assert_ne!(backends[0].address(), backends[1].address());
    }
}
