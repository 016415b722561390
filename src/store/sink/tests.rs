//! A store that decides for other sinks, under paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::event::channel::channel;
use crate::event::fan_out::FanOut;
use crate::event::{Failed, QrCode, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::Status;
use crate::store::memory::MemoryStore;

/// How an observer answers, like a webhook.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Webhook {
    Up,
    Down,
    Slow,
    Hanging,
    Panicking,
}

/// Records the events that it gets: name and session.
struct Recorder(Webhook, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl EventSink for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.1.lock().unwrap().push(short(event));
        match self.0 {
            Webhook::Up => Ok(()),
            Webhook::Down => Err(SinkError::transient("unreachable", "HTTP 502")),
            Webhook::Slow => {
                sleep(Duration::from_secs(3)).await;
                Ok(())
            }
            Webhook::Hanging => std::future::pending().await,
            Webhook::Panicking => panic!("a bug"),
        }
    }
}

fn short(event: &SessionEvent) -> String {
    let session = event.session().unwrap().session_id.to_string();
    format!("{session} {}", event.name())
}

fn key(session: &str) -> SessionKey {
    SessionKey::new(7, session).unwrap()
}

fn phone() -> PhoneNumber {
    "628110000041".parse().unwrap()
}

async fn store() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    for session in ["a", "b"] {
        store.register(&key(session)).await.unwrap();
    }
    store
}

/// Prints and checks what each sink got, and in which order. The store refuses b's number, which a has,
/// and an event of an unknown session.
#[tokio::test(start_paused = true)]
async fn no_observer_gets_an_event_that_the_store_refused() {
    let authenticated = SessionEvent::session_authenticated(key("a")).with_seq(1);
    let ready = SessionEvent::session_ready(key("a"), phone()).with_seq(2);
    let expired = |session| SessionEvent::qr_code_generated(key(session), QrCode::expired());
    let sent = [
        (authenticated.clone(), "ok"),
        (ready.clone(), "ok"),
        (ready, "ok"),
        // Outdated, although its id is known.
        (authenticated, "ok"),
        (
            SessionEvent::session_authenticated(key("a")).with_seq(1),
            "ok",
        ),
        // The session is connected.
        (expired("a"), "ok"),
        (expired("a").with_seq(3), "ok"),
        (
            SessionEvent::session_ready(key("b"), phone()).with_seq(1),
            "number_already_connected",
        ),
        (
            SessionEvent::session_authenticated(key("c")),
            "unknown_session",
        ),
        (expired("b"), "ok"),
        (
            SessionEvent::session_disconnected(key("a"), "LOGOUT").with_seq(3),
            "ok",
        ),
    ];
    let expected = [
        "a session_authenticated",
        "a session_ready",
        "a session_ready",     // repeated
        "b qr_code_generated", // expired
        "a session_disconnected",
    ];
    println!("| webhook | answers of the fan-out | the webhook got |\n|---|---|---|");
    for webhook in [
        Webhook::Up,
        Webhook::Down,
        Webhook::Slow,
        Webhook::Hanging,
        Webhook::Panicking,
    ] {
        let got = Arc::default();
        let sink = FanOut::after(StoreSink::new(store().await))
            .observer(Recorder(webhook, Arc::clone(&got)));
        let start = Instant::now();
        let mut answers = Vec::new();
        for (event, answer) in &sent {
            let result = sink.send(event).await;
            let code = result.as_ref().map_or_else(SinkError::code, |()| "ok");
            assert_eq!(code, *answer, "{event:?}");
            answers.push(code.to_owned());
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "{webhook:?}");
        sleep(Duration::from_secs(60)).await;
        let got = got.lock().unwrap();
        println!(
            "| {webhook:?} | {} | {} |",
            answers.join(", "),
            got.join(", ")
        );
        assert_eq!(*got, expected, "{webhook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outdated_event_is_withheld_behind_wrappers_and_fan_outs_too() {
    let (inner, mut of_inner) = channel(10);
    let (outer, mut of_outer) = channel(10);
    let deciding = FanOut::after(Box::new(StoreSink::new(store().await))).observer(inner);
    let sink = FanOut::after(Arc::new(deciding)).observer(outer);
    for seq in [2, 1, 3] {
        let event = SessionEvent::session_authenticated(key("a")).with_seq(seq);
        sink.send(&event).await.unwrap();
    }
    drop(sink);
    for events in [&mut of_inner, &mut of_outer] {
        assert_eq!(events.recv().await.unwrap().seq(), Some(2));
        assert_eq!(events.recv().await.unwrap().seq(), Some(3));
        assert!(events.recv().await.is_none());
    }
}

/// Returns the code of the answer of a sink that registers unknown sessions.
async fn registering(store: &Arc<MemoryStore>, event: &SessionEvent) -> String {
    let sink = StoreSink::new(Arc::clone(store)).register_unknown(RowValues::default());
    let result = sink.send(event).await;
    result
        .as_ref()
        .map_or_else(SinkError::code, |()| "ok")
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn only_an_event_of_a_live_session_registers_it() {
    let failed = Failed::new("not_ready", "no number");
    let code = QrCode::new("2@abc").unwrap();
    for (event, answer) in [
        (SessionEvent::qr_code_generated(key("c"), code), "ok"),
        (SessionEvent::session_authenticated(key("c")), "ok"),
        (SessionEvent::session_ready(key("c"), phone()), "ok"),
        (SessionEvent::session_reconnected(key("c")), "ok"),
        (
            SessionEvent::qr_code_generated(key("c"), QrCode::expired()),
            "unknown_session",
        ),
        (
            SessionEvent::session_disconnected(key("c"), "LOGOUT"),
            "unknown_session",
        ),
        (
            SessionEvent::session_error(key("c"), failed),
            "unknown_session",
        ),
    ] {
        let store = store().await;
        assert_eq!(registering(&store, &event).await, answer, "{event:?}");
        let row = store.session(&key("c").session_id).await.unwrap();
        assert_eq!(row.is_some(), answer == "ok", "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_event_does_not_bring_a_deleted_session_back() {
    let store = store().await;
    let ready = SessionEvent::session_ready(key("a"), phone()).with_seq(7);
    store.apply(&ready).await.unwrap();
    store.delete(&key("a")).await.unwrap();
    for late in [
        ready,
        SessionEvent::session_authenticated(key("a")).with_seq(7),
        SessionEvent::session_ready(key("a"), phone()),
        SessionEvent::session_disconnected(key("a"), "LOGOUT").with_seq(8),
    ] {
        assert_eq!(
            registering(&store, &late).await,
            "unknown_session",
            "{late:?}"
        );
        assert!(store.session(&key("a").session_id).await.unwrap().is_none());
    }
    let live = SessionEvent::session_ready(key("a"), phone()).with_seq(8);
    assert_eq!(registering(&store, &live).await, "ok");
    let row = store.session(&key("a").session_id).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Connected);
}
