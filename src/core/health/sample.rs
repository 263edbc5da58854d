use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Told;
use crate::core::model::{BackendName, Timestamp};

/// One result of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The backend that was probed.
    pub backend: BackendName,
    /// From where.
    pub vantage: Vantage,
    /// When the probe ended.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// What else the answer told.
    pub told: Told,
}

/// From where a backend was probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vantage {
    /// From the controller, over the path that the edge uses.
    Controller,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "failure")]
pub enum Outcome {
    /// As expected.
    Pass,
    /// Not as expected.
    Fail(Failure),
}

impl Outcome {
    /// True for [`Outcome::Pass`].
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass)
    }

    /// False where the probe could not be made, so that nothing was learned of the backend: such a sample counts neither
    /// as a pass nor as a failure, and not into availability.
    pub const fn tells_of_backend(&self) -> bool {
        !matches!(self, Self::Fail(Failure::Prober(_)))
    }
}

/// Why a probe failed: a closed set, so that it can label a metric, with a little detail for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "detail")]
pub enum Failure {
    /// Nothing came within the probe's timeout.
    Timeout,
    /// There is no way to the backend; the operating system's words.
    Connect(String),
    /// The backend's machine refused or reset the connection; the operating system's words.
    Refused(String),
    /// TLS could not be agreed on.
    Tls(String),
    /// An answer with a status that does not pass.
    Status(u16),
    /// A gRPC answer that does not pass: the health it tells, or the status with which the call failed.
    Grpc(String),
    /// An answer with a body that does not pass; why not, with the beginning of it.
    Body(String),
    /// An answer that passes, and took longer than it may.
    Slow {
        /// What it took, in milliseconds.
        took_ms: u64,
        /// What it may take.
        limit_ms: u64,
    },
    /// An answer that is not what was asked for (HTTP, or gRPC), or that broke off.
    Protocol(String),
    /// Of several things that were tried, too few passed.
    Tries {
        /// What did not pass, by name, and why.
        failed: Vec<(String, Failure)>,
        /// True where something else did.
        passed: bool,
    },
    /// The probe could not be made at all: a fault on the prober's side, such as no free socket.
    Prober(String),
}

impl Failure {
    /// True where nothing at all came back: the fault may as well be in the network between, or in the prober's own.
    pub fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Timeout | Self::Connect(_) => true,
            Self::Tries { failed, passed } => !passed && failed.iter().all(|(_, failure)| failure.is_out_of_reach()),
            Self::Refused(_)
            | Self::Tls(_)
            | Self::Status(_)
            | Self::Grpc(_)
            | Self::Body(_)
            | Self::Slow { .. }
            | Self::Protocol(_)
            | Self::Prober(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out"),
            Self::Connect(detail) | Self::Refused(detail) => write!(f, "cannot connect: {detail}"),
            Self::Tls(detail) => write!(f, "TLS failed: {detail}"),
            Self::Status(status) => write!(f, "answered {status}"),
            Self::Grpc(detail) => write!(f, "answered {detail}"),
            Self::Body(detail) => write!(f, "wrong body: {detail}"),
            Self::Slow { took_ms, limit_ms } => write!(f, "too slow: {took_ms} ms, and may take {limit_ms} ms"),
            Self::Protocol(detail) => write!(f, "bad answer: {detail}"),
            Self::Tries { failed, passed: _ } => {
                for (index, (name, failure)) in failed.iter().enumerate() {
                    let before = if index == 0 { "" } else { "; " };
                    write!(f, "{before}{name}: {failure}")?;
                }
                Ok(())
            }
            Self::Prober(detail) => write!(f, "not probed: {detail}"),
        }
    }
}
