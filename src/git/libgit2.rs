//! Settings that libgit2 keeps for the whole process. The only unsafe calls of this program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use super::{Fault, SourceError};

/// A host that does not take a connection for this long is unreachable.
const CONNECT_MS: i32 = 10_000;
/// A server that is silent for this long is hung. Servers that prepare a large pack say so every few seconds. It bounds how long
/// the thread of an abandoned fetch lives on.
const SILENCE_MS: i32 = 30_000;

/// Sets what holds for every repository and remote. Does so once, however often it is called.
#[expect(
    unsafe_code,
    reason = "libgit2 has its timeouts and its owner check as globals; git2 offers them as unsafe only"
)]
pub(super) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: plain integers in C, written once, before the first repository or remote of this process is opened: this
        // module is the only user of libgit2, and `Source::open` calls this first. They cannot fail.
        let _ = unsafe { git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT_MS) };
        let _ = unsafe { git2::opts::set_server_timeout_in_milliseconds(SILENCE_MS) };
        // In a container the repository often belongs to another user than the one that reads it. The check protects from
        // hooks and commands in a foreign configuration; libgit2 runs neither, and here only objects are read.
        let _ = unsafe { git2::opts::set_verify_owner_validation(false) };
    });
}

/// Trusts the authorities in `file`, besides the system's, in every https connection from now on.
#[expect(unsafe_code, reason = "git2 offers the list of trusted authorities as unsafe only, for it is a global")]
pub(super) fn trust(file: &Path) -> Result<(), SourceError> {
    static TRUSTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut trusted = TRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
    if trusted.contains(file) {
        return Ok(());
    }
    let unreadable = |source| SourceError::CredentialFile { what: "the CA file", path: file.to_owned(), source };
    std::fs::File::open(file).map_err(unreadable)?;
    // SAFETY: OpenSSL locks the store of authorities itself, and the mutex keeps two of these calls apart.
    let added = unsafe { git2::opts::set_ssl_cert_file(file) };
    added.map_err(|error| SourceError::CaFile { path: file.to_owned(), source: Fault::new(error.message()) })?;
    trusted.insert(file.to_owned());
    Ok(())
}
