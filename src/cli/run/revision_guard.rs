use super::share::Share;
use crate::core::inventory::RevisionGuard;

/// How much a revision may take out.
#[derive(Debug, clap::Args)]
pub(super) struct RevisionGuardArgs {
    /// The share of the services, and of the backends, that a revision may take out. One that takes out more, a whole site or
    /// everything is held until a commit has the trailer `Bascule-Allow: remove=NUMBER`. `off` holds nothing.
    #[arg(long, env = "BASCULE_REVISION_GUARD", default_value = "30%", value_name = "SHARE|off")]
    revision_guard: Share<0, 100>,
    /// Fewer services or backends than this may always be taken out.
    #[arg(long, env = "BASCULE_REVISION_GUARD_FROM", default_value = "3", value_name = "NUMBER")]
    revision_guard_from: usize,
}

impl RevisionGuardArgs {
    pub(super) fn guard(self) -> Option<RevisionGuard> {
        let Self { revision_guard: Share(share), revision_guard_from: at_least } = self;
        share.map(|share| RevisionGuard { share, at_least })
    }
}
