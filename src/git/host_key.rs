//! Host keys: who an ssh server is.

use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::SourceError;

/// What the trusted files say of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Known,
    Unknown,
    Changed,
}

/// Holds a server's key against `known_hosts` files (OpenBSD manual, sshd(8), on the format of `known_hosts`).
///
/// `key` is the key in ssh's wire form. A host that has a key of another type only is unknown, not changed, unless it has
/// one of the same type.
pub(super) fn check(host: &str, port: Option<u16>, key: &[u8], file: Option<&Path>) -> Result<(), SourceError> {
    let mut standing = Standing::Unknown;
    for path in files(file) {
        // A file that is not there trusts nobody; one that was named must be readable.
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if file.is_some() => return Err(SourceError::Io { path, source }),
            Err(_) => continue,
        };
        match judge(&text, host, port, key) {
            Standing::Known => return Ok(()),
            Standing::Changed => standing = Standing::Changed,
            Standing::Unknown => {}
        }
    }
    let host = name(host, port);
    let fingerprint = fingerprint(key);
    Err(match standing {
        Standing::Changed => SourceError::HostKeyChanged { host, fingerprint },
        Standing::Known | Standing::Unknown => SourceError::HostKeyUnknown { host, fingerprint },
    })
}

fn files(file: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = file {
        return vec![file.to_owned()];
    }
    let own = std::env::home_dir().map(|home| home.join(".ssh/known_hosts"));
    own.into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect()
}

/// The name under which a host stands in `known_hosts`: with its port where that is not ssh's own.
fn name(host: &str, port: Option<u16>) -> String {
    match port {
        None | Some(22) => host.to_owned(),
        Some(port) => format!("[{host}]:{port}"),
    }
}

fn judge(text: &str, host: &str, port: Option<u16>, key: &[u8]) -> Standing {
    let name = name(host, port);
    let mut standing = Standing::Unknown;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let Some(mut hosts) = fields.next() else { continue };
        let is_revoked = hosts == "@revoked";
        if hosts.starts_with('@') {
            // A certificate authority's line does not name a host's own key.
            if !is_revoked {
                continue;
            }
            let Some(next) = fields.next() else { continue };
            hosts = next;
        }
        let (Some(_), Some(encoded)) = (fields.next(), fields.next()) else { continue };
        let Some(known) = base64(encoded) else { continue };
        if !matches(hosts, &name) {
            continue;
        }
        match (known == key, is_revoked) {
            (true, true) => return Standing::Changed,
            (true, false) => standing = Standing::Known,
            (false, false) if key_type(&known) == key_type(key) && standing == Standing::Unknown => {
                standing = Standing::Changed;
            }
            (false, _) => {}
        }
    }
    standing
}

/// The type's name is the first string of a key in wire form (RFC 4253, section 6.6).
fn key_type(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// One field of comma-separated patterns, or a hashed name.
fn matches(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        let Some((salt, hash)) = hashed.split_once('|') else { return false };
        return match (base64(salt), base64(hash)) {
            (Some(salt), Some(hash)) => hmac_sha1(&salt, name.as_bytes()) == hash,
            _ => false,
        };
    }
    let mut is_match = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern, name) => return false,
            Some(_) => {}
            None => is_match |= glob(pattern, name),
        }
    }
    is_match
}

/// `*` is any run of characters, `?` is one.
fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text)
                || text.chars().next().is_some_and(|first| glob(pattern, &text[first.len_utf8()..]))
        }
        (Some(p), Some(t)) if p == '?' || p.eq_ignore_ascii_case(&t) => {
            glob(&pattern[p.len_utf8()..], &text[t.len_utf8()..])
        }
        _ => false,
    }
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    use hmac::Mac as _;
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// As `ssh-keygen -l` prints it.
fn fingerprint(key: &[u8]) -> String {
    use base64::Engine as _;
    let hash = sha2::Sha256::digest(key);
    format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x01a";
    const OTHER: &[u8] = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x01b";
    const RSA: &[u8] = b"\x00\x00\x00\x07ssh-rsa\x00\x00\x00\x01b";

    fn encoded(key: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(key)
    }

    #[test]
    fn keys_are_judged_by_host_port_and_type() {
        let line = |hosts: &str, key: &[u8]| format!("{hosts} type {}\n", encoded(key));
        for (text, port, expected) in [
            (line("git.example.org", KEY), None, Standing::Known),
            (line("git.example.org", KEY), Some(22), Standing::Known),
            (line("git.example.org", KEY), Some(2222), Standing::Unknown),
            (line("[git.example.org]:2222", KEY), Some(2222), Standing::Known),
            (line("*.example.org", KEY), None, Standing::Known),
            (line("*.example.org,!git.example.org", KEY), None, Standing::Unknown),
            (line("a.example.org,git.example.org", KEY), None, Standing::Known),
            (line("git.example.org", OTHER), None, Standing::Changed),
            (line("git.example.org", RSA), None, Standing::Unknown),
            (line("git.example.org", OTHER) + &line("git.example.org", KEY), None, Standing::Known),
            (line("@revoked git.example.org", KEY), None, Standing::Changed),
            (line("@cert-authority git.example.org", KEY), None, Standing::Unknown),
            ("# comment\n\nnonsense\n".to_owned(), None, Standing::Unknown),
        ] {
            assert_eq!(judge(&text, "git.example.org", port, KEY), expected, "{text} {port:?}");
        }
    }

    #[test]
    fn hashed_names_match() {
        let salt = b"0123456789abcdefghij";
        let hash = encoded(&hmac_sha1(salt, b"git.example.org"));
        let text = format!("|1|{}|{hash} type {}\n", encoded(salt), encoded(KEY));
        assert_eq!(judge(&text, "git.example.org", None, KEY), Standing::Known);
        assert_eq!(judge(&text, "other.example.org", None, KEY), Standing::Unknown);
    }
}
