//! Ports for programs that cannot be given port 0.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which Linux takes ports for outgoing connections (32768 and up), so that no connection of
/// another test takes the port between the trial and the use.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// A TCP port of 127.0.0.1 that no other test has while this value lives.
///
/// The lock is what counts: Caddy binds with `SO_REUSEPORT`, so two of them could share a port without an error.
#[derive(Debug)]
pub struct ReservedPort {
    port: u16,
    _lock: File,
}

impl ReservedPort {
    /// Finds a port that is free and locks it.
    pub fn take() -> Self {
        let dir = std::env::temp_dir().join("bascule-test-ports");
        std::fs::create_dir_all(&dir).expect("the temp dir is writable");
        for _ in 0..1000 {
            let port = fastrand::u16(FIRST..=LAST);
            let lock = File::create(dir.join(port.to_string())).expect("a lock file can be made");
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Self { port, _lock: lock };
            }
        }
        panic!("no free port between {FIRST} and {LAST}");
    }

    /// The port.
    pub fn get(&self) -> u16 {
        self.port
    }
}
