//! A page monitor with a webhook whose receiver is down for an hour.

use super::*;
use crate::event::webhook::tests::{down_for, refusing_for};
use crate::store::SessionRow;

#[tokio::test(start_paused = true)]
async fn the_events_of_a_monitor_arrive_in_order_after_an_hour() {
    let script = [
        (0, Linking),
        (30, Linked),
        (600, Unlinked),
        (700, Linking),
        (800, Linked),
        (3500, Barred(Bar::Conflict)),
    ];
    let sink = Sink::default();
    let observed = monitor(sink.clone(), page(script), 0);
    assert_eq!(run(&observed, HOUR + HOUR / 6).await, None);
    let (webhook, arrived) = down_for(HOUR);
    let row = SessionRow {
        last_seq: Some(0),
        ..SessionRow::new(key())
    };
    let monitor = monitor(webhook, page(script), 0).resume(&row);
    assert_eq!(run(&monitor, HOUR).await, None);
    assert!(monitor.delivery_state().waiting > 3 && arrived().is_empty());
    assert_eq!(run(&monitor, HOUR / 6).await, None);
    assert_eq!(monitor.delivery_state().waiting, 0);
    let arrived = arrived();
    assert!(arrived.is_sorted_by(|one, next| one.seq() < next.seq()));
    // Codes and authentications that are outdated are not sent.
    let is_kept = |name: &String| !name.starts_with("qr_") && *name != "session_authenticated";
    let kept = |names: Vec<String>| -> Vec<_> { names.into_iter().filter(is_kept).collect() };
    let names = arrived.iter().map(name).collect();
    let expected = kept(sink.names());
    assert!(expected.len() >= 4, "{expected:?}");
    assert_eq!(kept(names), expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_receiver_refuses_does_not_stop_the_next_one() {
    let (webhook, arrived) = refusing_for(Duration::from_secs(15));
    let script = page([(0, Linking), (30, Unlinked)]);
    let monitor = monitor(webhook, script, 0);
    assert_eq!(run(&monitor, Duration::from_secs(60)).await, None);
    assert_eq!(monitor.delivery_state().waiting, 0);
    let names: Vec<_> = arrived().iter().map(name).collect();
    assert_eq!(
        names,
        ["session_disconnected unlinked", "qr_code_generated"]
    );
}
