//! What operators decided.

use bascule::core::routing::{Action, Override};
use bascule::store::StoreError;

use super::sample::{Scratch, at, name, reopen, served};

fn decided(target: &str, action: Action, until: i64) -> Override {
    let (reason, by) = ("disk swap".to_owned(), "anna".to_owned());
    Override { target: name(target), action, reason, by, set_at: at(1), until: at(until) }
}

#[tokio::test]
async fn decisions_come_back_as_they_were_written_and_are_replaced_by_target() {
    let scratch = Scratch::new();
    let mut store = scratch.open();
    let nobody = Override { by: String::new(), ..decided("site:dijon", Action::Up, 20) };
    for it in [decided("backend:a", Action::Drain, 10), nobody.clone(), decided("backend:a", Action::Down, 30)] {
        store.record_override(it).await.expect("writes");
    }
    let expected = [decided("backend:a", Action::Down, 30), nobody];
    store = reopen(store).await;
    assert_eq!(store.overrides().await.expect("reads"), expected);
    store.remove_overrides(vec![name("backend:a"), name("site:nowhere")]).await.expect("writes");
    assert_eq!(reopen(store).await.overrides().await.expect("reads"), expected[1..]);
}

#[tokio::test]
async fn a_decision_in_words_that_nobody_knows_is_damage() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_override(decided("backend:a", Action::Drain, 10)).await.expect("writes");
    store.close().await;
    let connection = rusqlite::Connection::open(scratch.path()).expect("opens");
    connection.execute("UPDATE overrides SET action = 'sideways'", []).expect("runs");
    connection.close().expect("closes");
    let error = scratch.open().overrides().await.expect_err("there is no such action");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_choice_that_is_forgotten_stays_forgotten_and_the_others_do_not() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_served_rows(served(4, 1)).await.expect("writes");
    let chosen = store.choices().await.expect("reads");
    assert_eq!(chosen.into_keys().collect::<Vec<_>>(), [name("s00000"), name("s00002")]);
    store.forget_choice(name("s00000")).await.expect("writes");
    store.forget_choice(name("nowhere")).await.expect("writes");
    let choices = reopen(store).await.choices().await.expect("reads");
    assert_eq!(choices.into_keys().collect::<Vec<_>>(), [name("s00002")]);
}
