use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use thiserror::Error;

use super::diag::{self, FAMILIES, Reply, Socket};

/// The kernel answers at once; a limit only so that a fault cannot hold a thread for ever.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// The kernel fills at most 32 KiB a read of a list.
const READ_BYTES: usize = 32 * 1024;

/// Why connections cannot be ended.
#[derive(Debug, Error)]
pub enum SeverError {
    /// This process may not.
    #[error("it lacks CAP_NET_ADMIN in its network namespace")]
    NotPermitted,
    /// This kernel cannot.
    #[error("this kernel is built without CONFIG_INET_DIAG_DESTROY")]
    NotSupported,
    /// A connection of its own was ended, and went on all the same.
    #[error("the kernel agreed to end a connection and did not")]
    WithoutEffect,
    /// A step failed by itself.
    #[error("cannot {step}")]
    System {
        /// What was tried.
        step: &'static str,
        /// The operating system's words.
        source: io::Error,
    },
}

impl SeverError {
    fn system(step: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System { step, source: errno.into() }
    }
}

/// Ends connections of this network namespace. Its calls block for some milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Severer(());

impl Severer {
    /// Makes sure that connections can be ended here, by ending one of its own.
    pub fn open() -> Result<Self, SeverError> {
        let failed = |step| move |source| SeverError::System { step, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("listen on the loopback address"))?;
        let address = listener.local_addr().map_err(failed("listen on the loopback address"))?;
        let mut own = TcpStream::connect(address).map_err(failed("connect to the loopback address"))?;
        let severer = Self(());
        severer.sever(address)?;
        // An ended connection fails at once; one that lives takes a byte, and has none to read.
        own.set_read_timeout(Some(Duration::from_millis(1))).map_err(failed("read from a connection of its own"))?;
        let is_alive = own.write_all(&[0]).is_ok()
            && !matches!(own.read(&mut [0]), Err(error) if error.kind() != io::ErrorKind::WouldBlock);
        if is_alive { Err(SeverError::WithoutEffect) } else { Ok(severer) }
    }

    /// Ends every connection to an address, whoever made it; says how many there were.
    pub fn sever(self, upstream: SocketAddr) -> Result<usize, SeverError> {
        let socket = open_diagnosis()?;
        let mut severed = 0;
        for family in FAMILIES {
            for victim in list(&socket, family, upstream)? {
                severed += usize::from(destroy(&socket, &victim)?);
            }
        }
        Ok(severed)
    }
}

fn open_diagnosis() -> Result<OwnedFd, SeverError> {
    let failed = SeverError::system("open a socket for the kernel's socket diagnosis");
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG));
    let socket = socket.map_err(&failed)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_MAX)).map_err(&failed)?;
    Ok(socket)
}

fn list(socket: &OwnedFd, family: u8, upstream: SocketAddr) -> Result<Vec<Socket>, SeverError> {
    let mut found = Vec::new();
    send(socket, &diag::list(family, upstream.port()))?;
    loop {
        for reply in receive(socket)? {
            match reply {
                Reply::Listed(it) => found.push(it),
                Reply::End => {
                    found.retain(|it| it.peer() == upstream);
                    return Ok(found);
                }
                // No such family: a machine without IPv6.
                Reply::Outcome(code) if code == Errno::NOENT.raw_os_error() => return Ok(Vec::new()),
                Reply::Outcome(code) => {
                    let source = io::Error::from_raw_os_error(code);
                    return Err(SeverError::System { step: "list connections", source });
                }
            }
        }
    }
}

/// False where it has ended by itself meanwhile.
fn destroy(socket: &OwnedFd, victim: &Socket) -> Result<bool, SeverError> {
    send(socket, &diag::destroy(victim))?;
    loop {
        for reply in receive(socket)? {
            let Reply::Outcome(code) = reply else { continue };
            let is = |errnos: &[Errno]| errnos.iter().any(|errno| errno.raw_os_error() == code);
            return match code {
                0 => Ok(true),
                _ if is(&[Errno::NOENT]) => Ok(false),
                _ if is(&[Errno::PERM, Errno::ACCESS]) => Err(SeverError::NotPermitted),
                _ if is(&[Errno::OPNOTSUPP, Errno::INVAL]) => Err(SeverError::NotSupported),
                _ => Err(SeverError::System { step: "end a connection", source: io::Error::from_raw_os_error(code) }),
            };
        }
    }
}

fn send(socket: &OwnedFd, message: &[u8]) -> Result<(), SeverError> {
    let kernel = SocketAddrNetlink::new(0, 0);
    let sent = sendto(socket, message, SendFlags::empty(), &kernel);
    sent.map(|_| ()).map_err(SeverError::system("ask the kernel's socket diagnosis"))
}

fn receive(socket: &OwnedFd) -> Result<Vec<Reply>, SeverError> {
    let mut buffer = vec![0; READ_BYTES];
    let (length, _) =
        recv(socket, &mut buffer, RecvFlags::empty()).map_err(SeverError::system("read the kernel's answer"))?;
    Ok(diag::replies(&buffer[..length]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection to a new listener: the side that dialed, and the other.
    fn connection(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let dialed = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        (dialed, listener.accept().expect("a connection").0)
    }

    fn fate(stream: &mut TcpStream) -> Result<usize, io::ErrorKind> {
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a limit");
        stream.read(&mut [0]).map_err(|error| error.kind())
    }

    /// Where the tests may not end connections, they must be told so.
    #[test]
    fn connections_to_one_address_end_and_no_others() {
        let bind = |address: [u8; 4]| TcpListener::bind((Ipv4Addr::from(address), 0)).expect("a port");
        let (gone, other) = (bind([127, 0, 0, 1]), bind([127, 0, 0, 1]));
        let same_port = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), gone.local_addr().expect("one").port()));
        let same_port = same_port.expect("the port is free at another address");
        let (mut dialed, mut accepted) = connection(&gone);
        let (mut beside, _beside) = connection(&other);
        let (mut elsewhere, _elsewhere) = connection(&same_port);
        let upstream = gone.local_addr().expect("an address");
        match Severer::open() {
            Ok(severer) => {
                assert_eq!(severer.sever(upstream).expect("it could a moment ago"), 1);
                assert_eq!(fate(&mut dialed), Err(io::ErrorKind::ConnectionAborted));
                assert_eq!(fate(&mut accepted), Err(io::ErrorKind::ConnectionReset));
                assert_eq!(severer.sever(upstream).expect("it could a moment ago"), 0, "nothing is left");
            }
            Err(SeverError::NotPermitted | SeverError::NotSupported) => {
                assert_eq!(fate(&mut dialed), Err(io::ErrorKind::WouldBlock));
            }
            Err(error) => panic!("{error:?}"),
        }
        for untouched in [&mut beside, &mut elsewhere] {
            assert_eq!(fate(untouched), Err(io::ErrorKind::WouldBlock));
        }
    }
}
