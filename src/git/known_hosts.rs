//! The keys of ssh hosts, in the files that OpenSSH keeps.
//!
//! libgit2 looks only at `~/.ssh/known_hosts`, so that a service without a home could trust nobody; and it does not tell an
//! unknown host from a changed key. So the files are read here, and libgit2's own opinion is not asked.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::{HostKey, HostKeyCure, SourceError};
use crate::core::trust::{fingerprint, pattern_matches};

const SYSTEM_FILE: &str = "/etc/ssh/ssh_known_hosts";
const SSH_PORT: u16 = 22;

/// Where an ssh connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl Host {
    /// As `known_hosts` has it.
    fn entry_name(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        if self.port == SSH_PORT { name } else { format!("[{name}]:{}", self.port) }
    }
}

/// Accepts `key`, in the form of the ssh protocol, when a file has it for `host`.
pub(super) fn check(file: Option<&Path>, host: &Host, key: &[u8]) -> Result<(), SourceError> {
    let files = files(file);
    let mut entries = Vec::new();
    for file in &files {
        match fs::read(file) {
            Ok(bytes) => entries.extend(entries_of(&String::from_utf8_lossy(&bytes), host).map(|entry| (file, entry))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(SourceError::CredentialFile { what: "the known hosts", path: file.clone(), source });
            }
        }
    }
    let key_type = key_type(key);
    let fingerprint = fingerprint(key);
    let same = |entry: &Entry| entry.key == key;
    let is_trust = |entry: &Entry| entry.mark == Mark::Trusted;
    let revoked = entries.iter().find(|(_, entry)| entry.mark == Mark::Revoked && same(entry));
    let trusted = entries.iter().any(|(_, entry)| is_trust(entry) && same(entry));
    if revoked.is_none() && trusted {
        return Ok(());
    }
    let other = entries.iter().find(|(_, entry)| is_trust(entry) && !same(entry) && entry.key_type == key_type);
    let shown = |known_hosts| {
        Box::new(HostKey { host: host.entry_name(), key_type: key_type.clone(), fingerprint, known_hosts })
    };
    if let Some((file, entry)) = revoked.or(other) {
        return Err(SourceError::HostKeyChanged { key: shown((*file).clone()), line: entry.line });
    }
    let authority = entries.iter().find(|(_, entry)| entry.mark == Mark::Authority);
    let authority = authority.map(|(file, entry)| ((*file).clone(), entry.line));
    let known = entries.into_iter().filter(|(_, entry)| is_trust(entry));
    let others: BTreeSet<_> = known.map(|(_, entry)| entry.key_type).collect();
    let line = format!("{} {key_type} {}", host.entry_name(), STANDARD.encode(key));
    let cure = HostKeyCure { line, others: others.into_iter().collect(), authority };
    let file = files.into_iter().next().unwrap_or_else(|| PathBuf::from(SYSTEM_FILE));
    Err(SourceError::HostKeyUnknown { key: shown(file), cure: Box::new(cure) })
}

fn files(given: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = given {
        return vec![file.to_owned()];
    }
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ssh/known_hosts"));
    home.into_iter().chain([PathBuf::from(SYSTEM_FILE)]).collect()
}

/// The first field of a key blob: a length of four bytes, and the name.
fn key_type(key: &[u8]) -> String {
    let name = key.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.get(..length)
    });
    name.map_or_else(|| "unknown".to_owned(), |name| String::from_utf8_lossy(name).into_owned())
}

struct Entry {
    key_type: String,
    key: Vec<u8>,
    line: usize,
    mark: Mark,
}

/// What a line says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// It is the host's.
    Trusted,
    /// It is nobody's any more.
    Revoked,
    /// It signs certificates of hosts, of which libssh2 knows nothing: it vouches for no key here.
    Authority,
}

/// The keys of `host` in the text of a file. What cannot be read is passed over: it trusts nobody.
fn entries_of(text: &str, host: &Host) -> impl Iterator<Item = Entry> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let mut fields = line.split_ascii_whitespace().peekable();
        let marker = fields.next_if(|field| field.starts_with('@'));
        let mark = match marker {
            None => Mark::Trusted,
            Some("@revoked") => Mark::Revoked,
            Some("@cert-authority") => Mark::Authority,
            Some(_) => return None,
        };
        let names = fields.next().filter(|names| !names.starts_with('#'))?;
        let key_type = fields.next()?.to_owned();
        let key = STANDARD.decode(fields.next()?).ok()?;
        names_match(names, host).then_some(Entry { key_type, key, line: index + 1, mark })
    })
}

/// True when the first field of a line is about `host`. A negated pattern that fits ends it.
fn names_match(names: &str, host: &Host) -> bool {
    let wanted = host.entry_name();
    let mut found = false;
    for name in names.split(',') {
        if let Some(hashed) = name.strip_prefix("|1|") {
            found |= hash_matches(hashed, &wanted);
        } else if let Some(pattern) = name.strip_prefix('!') {
            if pattern_matches(pattern.to_ascii_lowercase().as_bytes(), wanted.as_bytes()) {
                return false;
            }
        } else {
            found |= pattern_matches(name.to_ascii_lowercase().as_bytes(), wanted.as_bytes());
        }
    }
    found
}

/// `salt|hash`, both in base64: the hash is HMAC-SHA1 of the name with the salt as key.
fn hash_matches(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    hmac_sha1(&salt, name.as_bytes()).is_some_and(|computed| computed[..] == hash)
}

/// SHA-1 works on blocks of this many bytes; a longer key would have to be hashed first, and no salt is that long.
const BLOCK: usize = 64;

fn hmac_sha1(key: &[u8], message: &[u8]) -> Option<[u8; 20]> {
    let mut block = [0_u8; BLOCK];
    block.get_mut(..key.len())?.copy_from_slice(key);
    let inner = Sha1::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let outer = Sha1::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    Some(outer.into())
}
