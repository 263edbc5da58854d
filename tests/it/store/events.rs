//! What happened to layers, over a restart.

use bascule::core::health::{Event, Subject, Verdict};

use super::sample::{Scratch, at, name, reopen};

fn event(second: i64, subject: Subject, to: Verdict) -> Event {
    let from = if to == Verdict::Up { Verdict::Down } else { Verdict::Up };
    Event { at: at(second), subject, from, to, cause: format!("cause {second}"), backends: 3 }
}

fn dijon() -> Subject {
    Subject::Site(name("dijon"))
}

#[tokio::test]
async fn events_come_back_newest_first_of_one_layer_or_of_all() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let tunnel = Subject::Tunnel(name("dijon"));
    let all = [
        event(1, dijon(), Verdict::Down),
        event(2, tunnel.clone(), Verdict::Down),
        event(3, Subject::Prober, Verdict::Down),
        event(4, dijon(), Verdict::Up),
    ];
    store.record_events(all[..2].to_vec()).await.expect("writes");
    store.record_events(all[2..].to_vec()).await.expect("writes");
    let store = reopen(store).await;
    let newest_first: Vec<Event> = all.iter().rev().cloned().collect();
    assert_eq!(store.events(None, 10).await.expect("reads"), newest_first);
    assert_eq!(store.events(None, 3).await.expect("reads"), newest_first[..3]);
    let of_dijon = store.events(Some(dijon()), 10).await.expect("reads");
    assert_eq!(of_dijon, [all[3].clone(), all[0].clone()]);
    assert_eq!(store.last_events().await.expect("reads"), [all[3].clone(), all[2].clone(), all[1].clone()]);
}

#[tokio::test]
async fn old_events_are_forgotten() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let day = 24 * 3600;
    let all: Vec<Event> = [0, 1, 90 * day].map(|second| event(second, dijon(), Verdict::Down)).into();
    store.record_events(all.clone()).await.expect("writes");
    assert_eq!(store.events(None, 10).await.expect("reads").len(), 3, "a quarter to the second is kept");
    let newest = event(90 * day + 1, dijon(), Verdict::Up);
    store.record_events(vec![newest.clone()]).await.expect("writes");
    assert_eq!(store.events(None, 10).await.expect("reads"), [newest, all[2].clone(), all[1].clone()]);

    let many = (0..20_100).map(|number| event(90 * day + 2 + number, Subject::Prober, Verdict::Down)).collect();
    store.record_events(many).await.expect("writes");
    let kept = store.events(None, u32::MAX).await.expect("reads");
    assert_eq!((kept.len(), kept[0].at), (20_000, at(90 * day + 2 + 20_099)));
}
