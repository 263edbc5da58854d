use std::collections::BTreeMap;

use crate::core::inventory::SecretName;
use crate::core::model::Timestamp;

/// The secrets that probes could not be given when they were last read.
pub type SecretFaults = BTreeMap<SecretName, SecretFault>;

/// Why a secret cannot be sent, and since when. Nothing of the secret itself is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFault {
    /// What is wrong, with its name and the cure.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}
