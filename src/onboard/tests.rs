//! Under paused time, over mocks.

mod deliveries;

use std::collections::VecDeque;
use std::sync::Mutex as Locked;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::event::fan_out::FanOut;
use crate::event::{
    EventKind, EventSink, QrCode, Sequence, SessionEvent, SessionKey, SinkError, channel,
};
use crate::extract::Extractor;
use crate::failure::{ProtocolFailure, Site};
use crate::retry::Backoff;
use crate::source::mock::MockSource;
use crate::source::{Assurance, Look};
use crate::store::memory::MemoryStore;
use crate::store::{SessionStore, Status, StoreSink};

const ME: &str = "628110000041@c.us";
const OTHER: &str = "628990000099@c.us";

fn key() -> SessionKey {
    SessionKey::new(7, "session-1").unwrap()
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn extractor(source: MockSource) -> Extractor {
    Extractor::builder().source(source).build().unwrap()
}

fn ready_at(at: Duration, jid: &str) -> Extractor {
    extractor(MockSource::new("page").number_at(at, jid))
}

/// Answers in this order, then accepts; remembers the events by name and id.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Locked<VecDeque<SinkError>>>,
    sent: Arc<Locked<Vec<(String, String)>>>,
}

impl Script {
    fn refusing(errors: impl IntoIterator<Item = SinkError>) -> Self {
        Self {
            answers: Arc::new(Locked::new(errors.into_iter().collect())),
            ..Self::default()
        }
    }

    fn names(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(name, _)| name.clone()).collect()
    }
}

#[async_trait::async_trait]
impl EventSink for Script {
    fn name(&self) -> &str {
        "script"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let id = event.id().unwrap().to_string();
        self.sent
            .lock()
            .unwrap()
            .push((event.name().to_owned(), id));
        match self.answers.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_session_come_in_order_and_numbered() {
    let (sink, mut events) = channel::channel(16);
    let onboarding = Onboarding::new(key(), ready_at(secs(2), ME), sink);
    let onboarding = onboarding.sequence(Sequence::after(None));
    onboarding
        .qr_code(QrCode::new("2@secret").unwrap())
        .await
        .unwrap();
    onboarding.authenticated().await.unwrap();
    let Onboarded::Ready(found) = onboarding.run().await.unwrap() else {
        panic!("no number");
    };
    assert_eq!(found.phone.reveal(), "628110000041");
    onboarding.disconnected("unlinked").await.unwrap();
    drop(onboarding);
    let mut all = Vec::new();
    while let Some(event) = events.recv().await {
        all.push((event.name().to_owned(), event.seq().unwrap()));
    }
    let names = [
        "qr_code_generated",
        "session_authenticated",
        "session_ready",
        "session_disconnected",
    ];
    let expected: Vec<_> = names.map(str::to_owned).into_iter().zip(1..).collect();
    assert_eq!(all, expected);
}

#[tokio::test(start_paused = true)]
async fn repeated_and_concurrent_runs_send_the_number_once_until_a_disconnect() {
    let sink = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(secs(1), ME), sink.clone());
    let runs = (0..3).map(|_| onboarding.run());
    for outcome in futures_util::future::join_all(runs).await {
        assert!(matches!(outcome, Ok(Onboarded::Ready(_))));
    }
    onboarding.clone().run().await.unwrap();
    assert_eq!(sink.names(), ["session_ready"]);
    onboarding.disconnected("unlinked").await.unwrap();
    onboarding.run().await.unwrap();
    assert_eq!(
        sink.names(),
        ["session_ready", "session_disconnected", "session_ready"]
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_number_there_is_one_error() {
    let (sink, mut events) = channel::channel(16);
    let onboarding = Onboarding::new(key(), extractor(MockSource::new("page")), sink);
    assert!(
        matches!(onboarding.run().await, Ok(Onboarded::Failed(failed)) if failed.code() == Some("not_ready"))
    );
    drop(onboarding);
    let event = events.recv().await.unwrap();
    let EventKind::SessionError(failed) = event.kind() else {
        panic!("{event:?}");
    };
    assert_eq!(
        (failed.error(), failed.code()),
        ("phone_extraction_failed", Some("not_ready"))
    );
    assert!(events.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_found_after_the_error_is_sent_once() {
    for (comes_at, watched, expected) in [
        (secs(25), secs(60), &["session_error", "session_ready"][..]),
        (secs(90), secs(60), &["session_error"]),
        (secs(25), Duration::ZERO, &["session_error"]),
    ] {
        let sink = Script::default();
        let onboarding = Onboarding::new(key(), ready_at(comes_at, ME), sink.clone());
        let outcome = onboarding.keep_extracting(watched).run().await.unwrap();
        assert_eq!(sink.names(), expected);
        assert_eq!(matches!(outcome, Onboarded::Ready(_)), expected.len() == 2);
    }
    // A page that is gone cannot give a number later.
    let closed = ProtocolFailure::new(Site::WebDriverCommand, "x").with_code("no such window");
    let sink = Script::default();
    let source = MockSource::new("page").at(Duration::ZERO, closed);
    let onboarding = Onboarding::new(key(), extractor(source), sink.clone());
    let start = Instant::now();
    onboarding.keep_extracting(secs(3600)).run().await.unwrap();
    assert!(start.elapsed() < secs(1));
}

#[tokio::test(start_paused = true)]
async fn another_account_in_a_bound_session_is_refused() {
    let sink = Script::default();
    let bound = "628990000099".parse().unwrap();
    let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, ME), sink.clone());
    let onboarding = onboarding.bound_to(bound).keep_extracting(secs(60));
    let Onboarded::Failed(failed) = onboarding.run().await.unwrap() else {
        panic!("not refused");
    };
    assert_eq!(failed.code(), Some("rebind_refused"));
    assert!(!failed.message().contains("62"));
    assert_eq!(sink.names(), ["session_error"]);

    let own = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, OTHER), own.clone());
    let onboarding = onboarding.bound_to("628990000099".parse().unwrap());
    onboarding.run().await.unwrap();
    assert_eq!(own.names(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_the_number_gets_its_reason() {
    let store = Arc::new(MemoryStore::default());
    let other = SessionKey::new(7, "session-2").unwrap();
    for key in [&key(), &other] {
        store.register(key).await.unwrap();
    }
    let number = || ready_at(Duration::ZERO, ME);
    let first = Onboarding::new(other, number(), StoreSink::new(store.clone()));
    assert!(matches!(first.run().await, Ok(Onboarded::Ready(_))));
    let second = Onboarding::new(key(), number(), StoreSink::new(store.clone()));
    let Ok(Onboarded::Failed(failed)) = second.run().await else {
        panic!("not refused");
    };
    assert_eq!(failed.code(), Some("number_already_connected"));
    let row = store.session(&key().session_id).await.unwrap().unwrap();
    assert_eq!((row.status, row.phone), (Status::Error, None));
}

#[tokio::test(start_paused = true)]
async fn a_number_found_before_a_disconnect_is_not_sent_after_it() {
    let sink = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(secs(1), ME), sink.clone());
    let cut = async {
        sleep(Duration::from_millis(500)).await;
        onboarding.disconnected("logout").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(onboarding.run(), cut);
    assert!(matches!(outcome, Ok(Onboarded::Disconnected)));
    assert_eq!(sink.names(), ["session_disconnected"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_leaves_the_next_one_whole() {
    let sink = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(secs(5), ME), sink.clone());
    for cut in [0, 1, 2] {
        assert!(
            tokio::time::timeout(secs(cut), onboarding.run())
                .await
                .is_err()
        );
    }
    assert!(matches!(onboarding.run().await, Ok(Onboarded::Ready(_))));
    assert_eq!(sink.names(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn no_number_is_ever_in_debug() {
    let source = MockSource::new("page").at(Duration::ZERO, Look::NotYet);
    let found = source.look(ME.parse().unwrap(), Assurance::Confirmed);
    let onboarding = Onboarding::new(
        key(),
        extractor(source.at(secs(1), found)),
        Script::default(),
    );
    let onboarding = onboarding.bound_to("628110000041".parse().unwrap());
    let outcome = onboarding.run().await.unwrap();
    assert!(!format!("{onboarding:?} {outcome:?}").contains("628110000041"));
}

#[test]
fn the_default_delivery_ends_after_a_minute() {
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), Script::default());
    assert_eq!(onboarding.deliveries.backoff.deadline(), Some(secs(60)));
}

#[tokio::test(start_paused = true)]
async fn the_last_event_decides_what_is_sent_again() {
    let sink = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, ME), sink.clone());
    onboarding.run().await.unwrap();
    onboarding.qr_code(QrCode::unknown()).await.unwrap();
    onboarding.authenticated().await.unwrap();
    onboarding.run().await.unwrap();
    onboarding.run().await.unwrap();
    assert_eq!(
        sink.names(),
        [
            "session_ready",
            "qr_code_generated",
            "session_authenticated",
            "session_ready"
        ]
    );

    // Ready, then an error, then ready again.
    let sink = Script::default();
    let page = MockSource::new("page").number_at(Duration::ZERO, ME);
    let page = page.at(secs(5), Look::NotYet).number_at(secs(30), ME);
    let onboarding = Onboarding::new(key(), extractor(page), sink.clone());
    onboarding.run().await.unwrap();
    sleep(secs(10)).await;
    onboarding.run().await.unwrap();
    sleep(secs(20)).await;
    onboarding.run().await.unwrap();
    let expected = ["session_ready", "session_error", "session_ready"];
    assert_eq!(sink.names(), expected);
}

#[tokio::test(start_paused = true)]
async fn events_without_a_seq_are_not_out_of_order_after_a_restart() {
    let store = Arc::new(MemoryStore::default());
    store.register(&key()).await.unwrap();
    let begin = |sequence: Option<Sequence>| {
        let sink = StoreSink::new(store.clone());
        let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, ME), sink);
        match sequence {
            Some(sequence) => onboarding.sequence(sequence),
            None => onboarding,
        }
    };
    let numbered = begin(Some(Sequence::after(None)));
    numbered.run().await.unwrap();
    numbered.disconnected("unlinked").await.unwrap();
    begin(None).run().await.unwrap();
    let row = store.session(&key().session_id).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Connected);
}

#[tokio::test(start_paused = true)]
async fn the_greater_count_goes_on_in_any_order_of_calls() {
    let mut row = crate::store::SessionRow::new(key());
    row.last_seq = Some(41);
    for (after, expected) in [(100, 101), (7, 42)] {
        let count = || Sequence::after(Some(after));
        let begin = || {
            let (sink, events) = channel::channel(16);
            (Onboarding::new(key(), ready_at(secs(0), ME), sink), events)
        };
        let ((first, mut of_first), (second, mut of_second)) = (begin(), begin());
        let first = first.sequence(count()).resume(&row);
        let second = second.resume(&row).sequence(count());
        for (onboarding, events) in [(first, &mut of_first), (second, &mut of_second)] {
            onboarding.authenticated().await.unwrap();
            assert_eq!(events.recv().await.unwrap().seq(), Some(expected));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_account_is_sent_as_an_error_also_after_another_error() {
    let sink = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(secs(25), OTHER), sink.clone());
    let onboarding = onboarding.bound_to("628110000041".parse().unwrap());
    let outcome = onboarding
        .keep_extracting(Duration::MAX)
        .run()
        .await
        .unwrap();
    assert!(matches!(outcome, Onboarded::Failed(it) if it.code() == Some("rebind_refused")));
    assert_eq!(sink.names(), ["session_error", "session_error"]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_has_not_refused_the_number() {
    let broken = || SinkError::permanent("storage", "the disk is full");
    let sink = Script::refusing([broken()]);
    let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, ME), sink.clone());
    let error = onboarding.run().await.unwrap_err();
    assert!(matches!(error.event().kind(), EventKind::SessionReady(_)));
    assert_eq!(sink.names(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_onboarding_sends_only_another_number() {
    let store = Arc::new(MemoryStore::default());
    store.register(&key()).await.unwrap();
    let resume = async |jid| {
        let row = store.session(&key().session_id).await.unwrap().unwrap();
        let (sink, events) = channel::channel(16);
        let both = FanOut::after(StoreSink::new(store.clone())).observer(sink);
        let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, jid), both).resume(&row);
        (onboarding, events)
    };
    let (first, mut events) = resume(ME).await;
    first.run().await.unwrap();
    assert_eq!(events.recv().await.unwrap().seq(), Some(1));
    // The row has the number already.
    let (same, mut events) = resume(ME).await;
    assert!(matches!(same.run().await, Ok(Onboarded::Ready(_))));
    drop(same);
    assert!(events.recv().await.is_none());
    // Another number is sent, and the store refuses it. The observer gets the error alone.
    let (other, mut events) = resume(OTHER).await;
    let outcome = other.run().await.unwrap();
    assert!(matches!(outcome, Onboarded::Failed(it) if it.code() == Some("rebind_refused")));
    let event = events.recv().await.unwrap();
    assert_eq!((event.name(), event.seq()), ("session_error", Some(2)));
}
