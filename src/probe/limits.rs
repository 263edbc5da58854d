use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

/// The limit on open files could not be raised.
#[derive(Debug, Error)]
#[error("cannot raise the limit on open files from {soft} to {hard}")]
pub struct OpenFilesError {
    /// The limit as it stays.
    pub soft: u64,
    /// The limit that was asked for.
    pub hard: u64,
    /// The operating system's words.
    pub source: std::io::Error,
}

/// Raises the process's soft limit on open files to its hard limit and returns what holds then ([`u64::MAX`] where there
/// is none).
///
/// Each probed backend keeps a connection open. The usual soft limit of 1,024 exists for programs that use `select(2)`,
/// which cannot name a higher file; nothing in this program does, so the hard limit is the honest one (documentation of
/// systemd, `LimitNOFILE`). It is a property of the process and is inherited by its children: for the composition
/// root to call, once.
pub fn raise_open_files() -> Result<u64, OpenFilesError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    if soft < hard {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(|source| OpenFilesError {
            soft,
            hard,
            source: source.into(),
        })?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let limit = raise_open_files().expect("allowed");
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, after.maximum);
        assert_eq!(after.maximum, before.maximum);
        assert_eq!(limit, before.maximum.unwrap_or(u64::MAX));
    }
}
