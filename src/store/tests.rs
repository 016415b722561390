//! The memory driver, and what the drivers have in common.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;

use super::memory::MemoryStore;
use super::options::APPLIED_IDS_KEPT;
use super::*;
use crate::event::{SessionEvent, SessionKey};
use crate::phone::PhoneNumber;

fn key(session: &str) -> SessionKey {
    SessionKey::new(7, session).unwrap()
}

fn ready(session: &str, phone: &str) -> SessionEvent {
    let phone: PhoneNumber = phone.parse().unwrap();
    SessionEvent::session_ready(key(session), phone)
}

#[tokio::test(start_paused = true)]
async fn only_what_has_not_changed_for_long_is_swept() {
    let store = MemoryStore::default();
    let hour = Duration::from_secs(3600);
    for session in ["old", "linked", "fresh"] {
        if session == "fresh" {
            tokio::time::advance(hour).await;
        }
        store.register(&key(session)).await.unwrap();
    }
    store.apply(&ready("linked", "628110000041")).await.unwrap();
    let swept = store.sweep_stuck(hour).await.unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].session, key("old"));
    assert_eq!(swept[0].status, Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_taken_up_again_is_not_stuck() {
    let store = MemoryStore::default();
    let hour = Duration::from_secs(3600);
    for session in ["left", "taken up"] {
        store.register(&key(session)).await.unwrap();
    }
    tokio::time::advance(hour).await;
    store.register(&key("taken up")).await.unwrap();
    let swept = store.sweep_stuck(hour).await.unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].session, key("left"));
}

#[tokio::test(start_paused = true)]
async fn an_old_event_with_a_seq_is_old_for_ever() {
    let store = MemoryStore::default();
    store.register(&key("s")).await.unwrap();
    let event = ready("s", "628110000041").with_seq(4);
    store.apply(&event).await.unwrap();
    tokio::time::advance(2 * APPLIED_IDS_KEPT).await;
    store.sweep_stuck(Duration::from_secs(3600)).await.unwrap();
    let again = store.apply(&event).await.unwrap();
    assert_eq!(again, Outcome::Ignored(Ignored::OutOfOrder));
}

#[tokio::test]
async fn a_watch_ends_with_its_store() {
    let store = MemoryStore::default();
    store.register(&key("s")).await.unwrap();
    let mut watcher = store.watch(&key("s").session_id).await.unwrap();
    drop(store);
    assert_eq!(watcher.changed().await, None);
}

#[test]
fn errors_and_rows_print_masked() {
    let session = SessionKey::new(7, "628110000041").unwrap();
    let mut row = SessionRow::new(session.clone());
    row.phone = Some("628110000041".parse().unwrap());
    let errors = [
        StoreError::held(&session),
        StoreError::rebind(&session),
        StoreError::unknown(&session),
        StoreError::taken(&session),
    ];
    let said = format!("{row:?} {:?} {errors:?}", row.to_change());
    assert!(!said.contains("628110000041"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_changes_nothing_is_a_sign_of_life() {
    let store = MemoryStore::default();
    store.register(&key("s")).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    for _ in 0..3 {
        tokio::time::advance(hour / 2).await;
        let code = SessionEvent::qr_code_generated(key("s"), crate::event::QrCode::unknown());
        store.apply(&code).await.unwrap();
    }
    assert_eq!(store.sweep_stuck(hour).await.unwrap(), []);
    tokio::time::advance(hour).await;
    assert_eq!(store.sweep_stuck(hour).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_code_changes_nothing_and_is_no_sign_of_life() {
    use crate::event::QrCode;
    let store = MemoryStore::default();
    for status in [Status::QrScanning, Status::Disconnected, Status::Connected] {
        let before = store.register(&key(status.as_str())).await.unwrap();
        let event = match status {
            Status::Disconnected => SessionEvent::session_disconnected(before.session, "test"),
            Status::Connected => ready("connected", "628110000041"),
            _ => SessionEvent::qr_code_generated(before.session, QrCode::unknown()),
        };
        store.apply(&event).await.unwrap();
        let id = &key(status.as_str()).session_id;
        let before = store.session(id).await.unwrap();
        let expired = SessionEvent::qr_code_generated(key(status.as_str()), QrCode::expired());
        for event in [expired.clone(), expired.with_seq(9)] {
            let outcome = store.apply(&event).await.unwrap();
            let expected = match status {
                Status::Connected => Ignored::OutOfOrder,
                _ => Ignored::Expired,
            };
            assert_eq!(outcome, Outcome::Ignored(expected));
        }
        assert_eq!(store.session(id).await.unwrap(), before);
    }
    let half = Duration::from_secs(1800);
    tokio::time::advance(half).await;
    let expired = SessionEvent::qr_code_generated(key("qr_scanning"), QrCode::expired());
    store.apply(&expired).await.unwrap();
    tokio::time::advance(half).await;
    let swept = store.sweep_stuck(2 * half).await.unwrap();
    assert_eq!(swept[0].session, key("qr_scanning"));
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn the_longest_deadline_is_valid() {
    let longest = Duration::MAX;
    let options = StoreOptions::default()
        .create_tables()
        .deadline(longest)
        .poll_every(longest);
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("file").display());
    let store = sqlite::SqliteStore::connect(&url, options).await.unwrap();
    store.register(&key("s")).await.unwrap();
}

/// Two tasks read the same row: the one that began first, and so may have seen an older row, ends last.
#[tokio::test(start_paused = true)]
async fn a_reading_that_began_before_a_newer_one_was_published_is_ignored() {
    let hub = watch::Hub::default();
    let session = SessionKey::new(7, "session-1").unwrap();
    let before = SessionRow::new(session.clone());
    let mut after = before.clone();
    (after.status, after.version) = (Status::Authenticated, 1);
    let mut watcher = hub.watch_workspace(&session.workspace_id);
    hub.publish_read(hub.changes(), &before.to_change());
    assert_eq!(watcher.changed().await, Some(before.to_change()));
    let (first, second) = (hub.changes(), hub.changes());
    hub.publish_read(second, &after.to_change());
    hub.publish_read(first, &before.to_change());
    assert_eq!(watcher.changed().await, Some(after.to_change()));
    // A later reading decides, also if the row was replaced by an older one.
    hub.publish_read(hub.changes(), &before.to_change());
    assert_eq!(watcher.changed().await, Some(before.to_change()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_of_a_workspace_holds_the_last_change_of_each_session() {
    let store = MemoryStore::default();
    for session in ["a", "b"] {
        store.register(&key(session)).await.unwrap();
    }
    let workspace = key("a").workspace_id;
    let mut watcher = store.watch_workspace(&workspace).await.unwrap();
    for _ in 0..1000 {
        store.apply(&ready("a", "628110000041")).await.unwrap();
        store.end(&key("a")).await.unwrap();
    }
    let seen = [
        watcher.changed().await.unwrap(),
        watcher.changed().await.unwrap(),
    ];
    let seen = seen.map(|change| (change.session, change.status));
    assert_eq!(
        seen,
        [
            (key("a"), Status::Disconnected),
            (key("b"), Status::QrScanning)
        ]
    );
    assert!(watcher.changed().now_or_never().is_none());
    drop(store);
    assert_eq!(watcher.changed().await, None);
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[test]
fn a_row_that_was_read_before_its_deletion_brings_no_session_back() {
    let hub = watch::Hub::default();
    let workspace = key("s").workspace_id;
    let mut watcher = hub.watch_workspace(&workspace);
    let row = SessionRow::new(key("s"));
    let since = hub.changes();
    hub.publish(&row.to_change());
    hub.publish(&effect::given_up(row.clone()).to_change());
    hub.publish_read(since, &row.to_change());
    let seen = watcher.changed().now_or_never().flatten();
    assert_eq!(seen.unwrap().status, Status::Failed);
    hub.forget_given_up(hub.changes(), &workspace);
    hub.publish_read(since, &row.to_change());
    assert!(watcher.changed().now_or_never().is_none());
    hub.publish_read(hub.changes(), &row.to_change());
    let anew = watcher.changed().now_or_never().flatten();
    assert_eq!(anew.unwrap().status, Status::QrScanning);
}

#[tokio::test(start_paused = true)]
async fn watchers_are_streams_that_end_with_their_store() {
    let (store, session) = (
        MemoryStore::default(),
        SessionKey::new(7, "session-1").unwrap(),
    );
    store.register(&session).await.unwrap();
    let one = store
        .watch(&session.session_id)
        .await
        .unwrap()
        .into_stream();
    let all = store
        .watch_workspace(&session.workspace_id)
        .await
        .unwrap()
        .into_stream();
    let apply = SessionEvent::session_authenticated(session);
    let ends = async {
        sleep(Duration::from_secs(1)).await;
        store.apply(&apply).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        drop(store);
    };
    let statuses = |changes: Vec<StatusChange>| changes.into_iter().map(|change| change.status);
    let (one, all, ()) = tokio::join!(one.collect(), all.collect(), ends);
    assert!(statuses(one).eq([Status::Authenticated]));
    assert!(statuses(all).eq([Status::QrScanning, Status::Authenticated]));
}

#[test]
fn rows_survive_json() {
    let mut row = SessionRow::new(SessionKey::new(7, "session-1").unwrap());
    row.phone = Some("628110000041".parse().unwrap());
    row.status = Status::Connected;
    let json = serde_json::to_value(&row).unwrap();
    assert_eq!(json["status"], "connected");
    assert_eq!(json["session"]["workspace_id"], 7);
    assert_eq!(serde_json::from_value::<SessionRow>(json).unwrap(), row);
}
