//! A session that another process, or no process, has watched before.

use super::*;
use crate::event::Failed;
use crate::event::fan_out::FanOut;
use crate::onboard::last_event::LastEvent;
use crate::onboard::monitor::tracker::{Action, LinkTracker};
use crate::store::memory::MemoryStore;
use crate::store::{SessionRow, SessionStore, Status, StoreSink};

fn row(status: Status) -> SessionRow {
    let mut row = SessionRow::new(key());
    row.status = status;
    row.phone = Some("628110000041".parse().unwrap());
    row.last_seq = Some(41);
    row
}

/// The names of the events of a monitor that resumes from this row.
async fn resumed(row: &SessionRow, page: Page) -> Vec<String> {
    let sink = Sink::default();
    let monitor = monitor(sink.clone(), page, 0).resume(row);
    run(&monitor, Duration::from_secs(200)).await;
    sink.names()
}

#[tokio::test(start_paused = true)]
async fn the_first_event_of_a_fresh_session_is_its_code() {
    let fresh = SessionRow::new(key());
    let page = page([(0, Unknown), (100, Unlinked), (110, Linking), (120, Linked)]);
    let expected = [
        "qr_code_generated",
        "session_authenticated",
        "session_ready",
    ];
    assert_eq!(resumed(&fresh, page).await, expected);
    let expired = self::page([(0, QrExpired)]);
    assert_eq!(
        resumed(&fresh, expired).await,
        ["qr_code_generated expired"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_sends_only_what_has_changed() {
    use Status::{Authenticated, Connected, Disconnected, Error, QrScanning};
    let unlinked = "session_disconnected unlinked";
    let code = "qr_code_generated";
    let (linking, ready) = ("session_authenticated", "session_ready");
    for (status, state, expected) in [
        (QrScanning, Unknown, &[][..]),
        (QrScanning, Unlinked, &[code]),
        (QrScanning, Linked, &[linking, ready]),
        (Authenticated, Linking, &[]),
        (Authenticated, Linked, &[ready]),
        (Authenticated, Unlinked, &[unlinked, code]),
        (Connected, Linked, &[]),
        (Connected, Linking, &[]),
        (Connected, Unlinked, &[unlinked, code]),
        (Connected, Unknown, &["session_disconnected not_started"]),
        (
            Connected,
            Barred(Bar::TosBlock),
            &["session_disconnected tos_block"],
        ),
        (Disconnected, Unknown, &[]),
        (Disconnected, Unlinked, &[code]),
        (Disconnected, Linked, &[linking, ready]),
        (Disconnected, Barred(Bar::TosBlock), &[]),
        (Error, Linked, &[ready]),
    ] {
        let sent = resumed(&row(status), page([(0, state)])).await;
        assert_eq!(sent, expected, "{status}, page {state}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_row_is_not_sent_again() {
    for (code, expected) in [
        ("not_ready", &[][..]),
        ("sources_disagree", &["session_error not_ready"]),
    ] {
        let mut row = row(Status::Error);
        row.error = Some(crate::store::SessionError::new(code, ""));
        let sink = Sink::default();
        let monitor = monitor(sink.clone(), page([(0, Linked)]), 9999).resume(&row);
        run(&monitor, Duration::from_secs(200)).await;
        assert_eq!(sink.names(), expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_number_than_that_of_the_row_is_not_taken_for_it() {
    let mut other = row(Status::Connected);
    other.phone = Some("628990000099".parse().unwrap());
    assert_eq!(
        resumed(&other, page([(0, Linked)])).await,
        ["session_ready"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_of_another_session_is_ignored() {
    let mut other = SessionRow::new(SessionKey::new(7, "session-2").unwrap());
    other.last_seq = Some(41);
    let expected = ["session_disconnected unlinked", "qr_code_generated"];
    assert_eq!(resumed(&other, page([(0, Unlinked)])).await, expected);
}

#[tokio::test(start_paused = true)]
async fn two_processes_in_turn_write_one_row() {
    let store = Arc::new(MemoryStore::default());
    let sink = Sink::default();
    for (page, status) in [
        (
            page([(0, Unlinked), (5, Linking), (9, Linked)]),
            Status::Connected,
        ),
        (page([(0, Unknown), (30, Linked)]), Status::Connected),
        (
            page([
                (0, Unknown),
                (30, Unlinked),
                (40, QrExpired),
                (50, Unlinked),
            ]),
            Status::QrScanning,
        ),
    ] {
        let row = store.register(&key()).await.unwrap();
        let both = FanOut::after(StoreSink::new(store.clone())).observer(sink.clone());
        let page = Page {
            start: Instant::now(),
            ..page
        };
        let monitor = monitor(both, page, 0).resume(&row);
        run(&monitor, Duration::from_secs(60)).await;
        let row = store.session(&key().session_id).await.unwrap().unwrap();
        assert_eq!(row.status, status);
    }
    let events = sink.events.lock().unwrap();
    let events: Vec<_> = events.iter().map(|(_, it)| (name(it), it.seq())).collect();
    let expected = [
        ("qr_code_generated", Some(1)),
        ("session_authenticated", Some(2)),
        ("session_ready", Some(3)),
        ("session_disconnected unlinked", Some(4)),
        ("qr_code_generated", Some(5)),
        ("qr_code_generated expired", None),
        ("qr_code_generated", Some(6)),
    ];
    assert_eq!(events, expected.map(|(name, seq)| (name.to_owned(), seq)));
}

/// After an event that may not have arrived, a store may say anything.
#[tokio::test(start_paused = true)]
async fn after_an_unconfirmed_event_the_session_is_disconnected_first() {
    let start = Instant::now();
    let after = |state: LinkState, lasted: u64| {
        let mut tracker = LinkTracker::new(HOUR, start);
        let later = start + Duration::from_secs(lasted);
        tracker.record(Some(state), None, start, start);
        tracker.record(Some(state), None, later, later);
        tracker.due(&LastEvent::Unconfirmed, later)
    };
    assert_eq!(after(Unlinked, 2), Some(Action::Disconnect("unlinked")));
    assert_eq!(after(Unknown, 59), None);
    assert_eq!(after(Unknown, 60), Some(Action::Disconnect("not_started")));
    assert_eq!(after(Linked, 2), Some(Action::Extract));
}

/// Fails the first events permanently.
struct FailingAtFirst(Sink, AtomicU32);

#[async_trait::async_trait]
impl EventSink for FailingAtFirst {
    fn name(&self) -> &str {
        "failing"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        if self.1.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err(SinkError::permanent("broken", "the sink is broken"));
        }
        self.0.send(event).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_qr_code_that_was_not_accepted_is_sent_again_without_a_disconnect() {
    let sink = Sink::default();
    let row = SessionRow::new(key());
    let failing = FailingAtFirst(sink.clone(), AtomicU32::new(0));
    let monitor = monitor(failing, page([(0, Unlinked)]), 0).resume(&row);
    for _ in 0..3 {
        run(&monitor, Duration::from_secs(10)).await;
    }
    assert_eq!(sink.names(), ["qr_code_generated"]);
}

#[test]
fn a_monitor_is_built_and_queues_events_outside_of_a_runtime_in_any_order_of_calls() {
    let row = row(Status::QrScanning);
    let number: PhoneNumber = "628110000041".parse().unwrap();
    let store = Arc::new(MemoryStore::default());
    let sinks = [Sink::default(), Sink::default()];
    let [first, second] = sinks
        .each_ref()
        .map(|sink| monitor(sink.clone(), page([(0, Linked)]), 0));
    let every = Duration::from_secs(1);
    let monitors = [
        first
            .resume(&row)
            .sequence(Sequence::after(Some(7)))
            .store(Arc::clone(&store))
            .delivery(Backoff::default())
            .bound_to(number.clone())
            .every(every)
            .extractor(|extractor| extractor.accept(Assurance::Confirmed)),
        second
            .extractor(|extractor| extractor.accept(Assurance::Confirmed))
            .every(every)
            .bound_to(number)
            .delivery(Backoff::default())
            .store(store)
            .sequence(Sequence::after(Some(7)))
            .resume(&row),
    ];
    for monitor in &monitors {
        drop(monitor.disconnected("closed"));
        monitor.failed(Failed::new("browser_gone", "no browser"));
        monitor.try_again();
        assert_eq!(monitor.delivery_state().waiting, 2);
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    for (monitor, sink) in monitors.iter().zip(sinks) {
        runtime.block_on(run(monitor, Duration::from_secs(10)));
        let expected = [
            "session_disconnected closed",
            "session_error browser_gone",
            "session_ready",
        ];
        assert_eq!(sink.names(), expected);
        let events = sink.events.lock().unwrap();
        let seqs: Vec<_> = events.iter().map(|(_, event)| event.seq()).collect();
        assert_eq!(seqs, [Some(42), Some(43), Some(44)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitor_whose_seq_is_behind_that_of_the_row_sends_its_state_again() {
    for (state, status) in [(Linked, Status::Connected), (Unlinked, Status::QrScanning)] {
        let store = Arc::new(MemoryStore::default());
        let row = store.register(&key()).await.unwrap();
        // It waited in an earlier monitor, and arrives when this one has read the row.
        let late = SessionEvent::session_authenticated(key()).with_seq(200);
        store.apply(&late).await.unwrap();
        let monitor = monitor(StoreSink::new(store.clone()), page([(0, state)]), 0).resume(&row);
        run(&monitor, HOUR).await;
        let row = store.session(&key().session_id).await.unwrap().unwrap();
        assert_eq!(row.status, status);
        assert!(row.last_seq < Some(300), "{:?}", row.last_seq);
    }
}
