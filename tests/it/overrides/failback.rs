//! An operator's word that traffic may return.

use std::time::Duration;

use bascule::core::health::Observed;
use bascule::core::model::BackendName;
use bascule::core::routing::{Cause, Effective, Inputs, Overrides, Plan, Refusal, Returned, fail_back, plan};

use super::{Action, NOW, four, hour, later, rotation, verdicts_since};

const TIERS: &str = "policy: priority, sites: [dijon, thory], failback: { manual: true }";
const SINGLE: &str = "policy: single, sites: [dijon, thory], confirm: 20s";
/// Half of what is between two verdicts: enough to confirm one, and not for a trial of an hour.
const AGE: Duration = Duration::from_secs(30);

/// A service that has seen verdicts one after the other, a minute apart, and what a failback then comes to: the refusal,
/// or what is returned with the plan that acts on it.
fn after(routing: &str, history: &[&str], overrides: &Overrides) -> Result<(Returned, Plan), Refusal> {
    let desired = four(routing);
    let mut previous: Option<Effective> = None;
    let mut now = NOW;
    let mut observed = Observed::new();
    for letters in history {
        observed = verdicts_since(&desired, letters, now.plus(AGE));
        now = now.plus(2 * AGE);
        let known =
            Inputs { observed: &observed, overrides, previous: previous.as_ref(), ..Inputs::declared(&desired) };
        previous = Some(plan(&Inputs { now, ..known }).effective);
    }
    let known = Inputs { observed: &observed, overrides, previous: previous.as_ref(), ..Inputs::declared(&desired) };
    let inputs = Inputs { now, ..known };
    let returned = fail_back(&inputs, "api")?;
    let plan = plan(&Inputs { returning: Some(&returned.service), ..inputs });
    Ok((returned, plan))
}

#[track_caller]
fn check(routing: &str, history: &[&str], (from, to, serve): (&str, &str, &str)) {
    let (returned, plan) = after(routing, history, &Overrides::new()).expect("there is something to fail back to");
    let words = |choice: Option<bascule::core::routing::Choice>| choice.map_or_else(String::new, |it| it.words());
    assert_eq!((words(returned.from), words(returned.to)), (from.to_owned(), to.to_owned()));
    assert!(!plan.changes.is_empty(), "it is in the plan's changes");
    let gained: Vec<_> = returned.backends.iter().map(BackendName::as_str).collect();
    assert!(gained.iter().all(|name| serve.contains(name)), "{gained:?}");
    assert_eq!(rotation(&plan.effective), serve);
}

#[test]
fn traffic_returns_to_what_is_preferred() {
    check(TIERS, &["uuuu", "dduu", "uuuu"], ("site thory", "site dijon", "d1 d2"));
    check(TIERS, &["uuuu", "dduu", "duuu"], ("site thory", "site dijon", "d2"));
    check(SINGLE, &["uuuu", "duuu", "uuuu"], ("backend d2", "backend d1", "d1"));
    check(SINGLE, &["uuuu", "dduu", "duuu"], ("backend t1", "backend d2", "d2"));
    // What is on trial, and would be for an hour.
    check("failback: { after: 1h }", &["uuuu", "duuu", "uuuu"], ("", "", "d1 d2 t1 t2"));
}

#[track_caller]
fn check_refused(routing: &str, history: &[&str], part: &str) {
    let refusal = after(routing, history, &Overrides::new()).expect_err("there is nothing to fail back to");
    assert_eq!(refusal.cause, Cause::Nothing);
    assert!(refusal.message.contains(part), "{routing} {history:?}: {}", refusal.message);
}

#[test]
fn where_nothing_would_change_it_is_refused_with_the_reason() {
    check_refused(TIERS, &["uuuu"], "is served by site dijon already, and nothing is preferred to that");
    check_refused(TIERS, &["uuuu", "duuu"], "is served by site dijon already, and nothing is preferred to that");
    check_refused(
        TIERS,
        &["uuuu", "dduu"],
        "stays with site thory: what it prefers cannot serve now (d1: down, d2: down)",
    );
    check_refused(SINGLE, &["uuuu", "duuu"], "stays with backend d2: what it prefers cannot serve now (d1: down)");
    check_refused(SINGLE, &["uuuu"], "is served by backend d1 already");
    // Without its memory the policy would take one that is known to be up, and is preferred less.
    check_refused(SINGLE, &["uuuu", "?uuu"], "is served by backend d1 already");
    check_refused("", &["uuuu", "duuu"], "has the policy `spread`");
    let taken_out: Overrides = ["site:dijon", "site:thory"].map(|site| hour(site, Action::Drain)).into_iter().collect();
    let refusal = after(SINGLE, &["uuuu"], &taken_out).expect_err("nothing may serve");
    assert!(refusal.message.contains("no backend that may get traffic"), "{}", refusal.message);
}

#[test]
fn an_unknown_service_is_told_what_may_be_meant() {
    let desired = four("");
    let inputs = Inputs { now: later(0), ..Inputs::declared(&desired) };
    let refusal = fail_back(&inputs, "apis").expect_err("there is none");
    assert_eq!((refusal.cause, refusal.message.contains("did you mean `api`?")), (Cause::Unknown, true));
    let refusal = fail_back(&inputs, "../api").expect_err("there is none");
    assert_eq!(refusal.cause, Cause::Unknown);
}
