use super::allowed_signers::AllowedSigners;
use super::commit::SignedCommit;
use super::distrust::{Checked, Distrust, Why};
use super::openpgp::AllowedPgpKeys;
use super::signature::{SshSignature, Unreadable};
use crate::core::model::Timestamp;

/// Everybody who may say what is served: the keys of all kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// SSH keys alone.
    Ssh(AllowedSigners),
    /// OpenPGP keys alone.
    OpenPgp(AllowedPgpKeys),
    /// Keys of both kinds.
    Both(AllowedSigners, AllowedPgpKeys),
}

impl Trusted {
    /// None where nobody is listed, and so nobody need sign.
    pub fn new(signers: Option<AllowedSigners>, keys: Option<AllowedPgpKeys>) -> Option<Self> {
        Some(match (signers, keys) {
            (Some(signers), None) => Self::Ssh(signers),
            (None, Some(keys)) => Self::OpenPgp(keys),
            (Some(signers), Some(keys)) => Self::Both(signers, keys),
            (None, None) => return None,
        })
    }

    /// A commit that cannot be taken apart.
    pub fn damaged(&self) -> Distrust {
        self.distrust(Why::Damaged)
    }

    /// Whether somebody who is listed vouches for a commit, and may do so by the time that it has and, where it came only
    /// now, also at `now`.
    ///
    /// `holds` says whether an SSH signature is one of the commit by the key that it names.
    pub fn judge(
        &self,
        commit: &SignedCommit,
        committed_at: Timestamp,
        now: Option<Timestamp>,
        holds: impl FnOnce(&SshSignature) -> bool,
    ) -> Result<(), Distrust> {
        let text = commit.signature.as_deref().ok_or_else(|| self.distrust(Why::Unsigned))?;
        let is_openpgp = AllowedPgpKeys::is_signature(text);
        let (signers, keys) = self.parts();
        if let Some(keys) = keys.filter(|_| is_openpgp) {
            return keys.judge(text, &commit.payload, now);
        }
        let kind = match (SshSignature::read(text), signers) {
            (Err(Unreadable::Other(kind)), _) => kind,
            (Err(Unreadable::Damaged), None) => return Err(self.damaged()),
            (_, None) => "SSH",
            (_, Some(signers)) => {
                let times: Vec<_> = [committed_at].into_iter().chain(now).collect();
                return signers.judge(Some(text), &times, holds);
            }
        };
        let checked = match self {
            Self::Ssh(_) => Checked::Ssh,
            Self::OpenPgp(_) => Checked::OpenPgp,
            Self::Both(..) => Checked::Both,
        };
        Err(self.distrust(Why::Other { kind, checked }))
    }

    const fn parts(&self) -> (Option<&AllowedSigners>, Option<&AllowedPgpKeys>) {
        match self {
            Self::Ssh(signers) => (Some(signers), None),
            Self::OpenPgp(keys) => (None, Some(keys)),
            Self::Both(signers, keys) => (Some(signers), Some(keys)),
        }
    }

    fn distrust(&self, why: Why) -> Distrust {
        let file = match self {
            Self::Ssh(signers) => signers.file().to_owned(),
            Self::OpenPgp(keys) => keys.file().to_owned(),
            // It is shown between two backticks.
            Self::Both(signers, keys) => format!("{}` or `{}", signers.file(), keys.file()),
        };
        Distrust { file, why }
    }
}
