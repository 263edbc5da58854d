//! What an edge says it runs.

use serde_json::Value;

use super::compare;
use crate::core::model::Digest;

/// A configuration read from an edge, with the tag that guards a write against a second writer.
#[derive(Debug, Clone, PartialEq)]
pub struct Actual {
    /// The whole configuration, `admin` included. `null` on a Caddy that was started without one.
    pub config: Value,
    /// Caddy's `Etag`, quotes included: `"/config/ 396548453caeba50"`. A write sends it back untouched.
    pub etag: String,
}

/// What was found on an edge, judged against what bascule wants there and what it put there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Identity of the configuration found, as [`compare::digest`] makes it.
    pub digest: Digest,
    /// Whose it is.
    pub standing: Standing,
}

/// Whose configuration an edge runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// The wanted one.
    Wanted,
    /// One that bascule put there, or tried to put there, before.
    Own,
    /// None at all: the edge serves nothing. After an apply, it means that the edge was restarted without its configuration,
    /// or that somebody deleted all of it.
    Empty,
    /// One without apps, at most with the settings of the admin API: the edge serves nothing. After an apply, it means that
    /// somebody deleted the apps, or that the edge was restarted with such a configuration.
    Bare,
    /// Somebody else's. After an apply, it means that the edge was edited by hand or has a second writer; on first
    /// contact, that the edge served something before bascule took over.
    Foreign,
}

impl Seen {
    /// Judges `actual`. `own` are the digests that were pushed to this edge earlier, whatever came of the push.
    pub fn judge(actual: &Value, wanted: &Digest, own: &[Digest]) -> Self {
        let digest = compare::digest(actual);
        let standing = if digest == *wanted {
            Standing::Wanted
        } else if actual.is_null() {
            Standing::Empty
        } else if compare::is_empty(actual) {
            Standing::Bare
        } else if own.contains(&digest) {
            Standing::Own
        } else {
            Standing::Foreign
        };
        Self { digest, standing }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edge_is_judged_by_what_it_runs() {
        let app = |n: u32| json!({"apps": {"http": {"n": n}}});
        let (wanted, own) = (compare::digest(&app(2)), [compare::digest(&app(1)), compare::digest(&app(0))]);
        for (actual, expected) in [
            (app(2), Standing::Wanted),
            (json!({"admin": {"listen": ":1"}, "apps": {"http": {"n": 2.0}}}), Standing::Wanted),
            (app(1), Standing::Own),
            (app(0), Standing::Own),
            (json!(null), Standing::Empty),
            (json!({"admin": {"listen": ":1"}}), Standing::Bare),
            (json!({}), Standing::Bare),
            (app(3), Standing::Foreign),
        ] {
            let seen = Seen::judge(&actual, &wanted, &own);
            assert_eq!(seen, Seen { digest: compare::digest(&actual), standing: expected }, "{actual}");
        }
    }

    #[test]
    fn an_edge_that_should_be_empty_is_as_wanted() {
        let nothing = json!({});
        assert_eq!(Seen::judge(&nothing, &compare::digest(&nothing), &[]).standing, Standing::Wanted);
    }
}
