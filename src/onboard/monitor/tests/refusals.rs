//! A sink that refuses events: each refusal is reported once, and tried again when something has changed.

use super::*;
use crate::event::Decision;
use crate::event::fan_out::FanOut;
use crate::store::memory::MemoryStore;
use crate::store::{RowValues, Status, StoreSink};

const OTHER: &str = "628990000099@c.us";

/// Counts the events that are sent to a sink.
struct Counting<S>(S, Arc<AtomicU32>);

#[async_trait::async_trait]
impl<S: EventSink> EventSink for Counting<S> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.decide(event).await.map(drop)
    }

    async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.decide(event).await
    }
}

/// Fails for every event with this error, or for a `session_ready` alone.
#[derive(Clone)]
struct Failing {
    error: SinkError,
    only_ready: bool,
}

#[async_trait::async_trait]
impl EventSink for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        match self.only_ready && !matches!(event.kind(), EventKind::SessionReady(_)) {
            true => Ok(()),
            false => Err(self.error.clone()),
        }
    }
}

fn failing(error: SinkError, only_ready: bool) -> Arc<dyn EventSink> {
    Arc::new(Failing { error, only_ready })
}

fn number() -> PhoneNumber {
    "628110000041".parse().unwrap()
}

/// A store in which another session is connected with the number of the page.
async fn store_with_holder() -> (Arc<MemoryStore>, SessionKey) {
    let store = Arc::new(MemoryStore::default());
    let holder = SessionKey::new(7, "holder").unwrap();
    store.register(&holder).await.unwrap();
    let ready = SessionEvent::session_ready(holder.clone(), number());
    store.apply(&ready).await.unwrap();
    (store, holder)
}

async fn row(store: &MemoryStore) -> Option<SessionRow> {
    store.session(&key().session_id).await.unwrap()
}

/// Prints, for each cause, what a linked page sends in an hour. A refused event is sent again eleven times:
/// every five minutes. Neither the store nor an observer gets anything by that.
#[tokio::test(start_paused = true)]
async fn in_an_hour_each_refusal_and_each_error_is_reported_once() {
    let linking = "session_authenticated";
    let (held, _) = store_with_holder().await;
    held.register(&key()).await.unwrap();
    let bound = Arc::new(MemoryStore::default());
    bound.register(&key()).await.unwrap();
    for event in [
        SessionEvent::session_ready(key(), "628990000099".parse::<PhoneNumber>().unwrap()),
        SessionEvent::session_disconnected(key(), "LOGOUT"),
    ] {
        bound.apply(&event).await.unwrap();
    }
    let empty = Arc::new(MemoryStore::default());
    let fresh = Arc::new(MemoryStore::default());
    fresh.register(&key()).await.unwrap();
    let stored = |store: &Arc<MemoryStore>| -> Arc<dyn EventSink> {
        Arc::new(StoreSink::new(Arc::clone(store)))
    };
    let invalid = SinkError::permanent("invalid_event", "the id is too long");
    println!("| cause | events sent | row changes | the observer got |\n|---|---|---|---|");
    for (cause, sink, store, number_at, sent, expected) in [
        (
            "number_already_connected",
            stored(&held),
            &held,
            0,
            3 + 11,
            &[linking, "session_error number_already_connected"][..],
        ),
        (
            "rebind_refused",
            stored(&bound),
            &bound,
            0,
            3 + 11,
            &[linking, "session_error rebind_refused"],
        ),
        ("unknown_session", stored(&empty), &empty, 0, 2 * 12, &[]),
        (
            "invalid_event",
            failing(invalid.clone(), true),
            &empty,
            0,
            2 + 11,
            &["session_error invalid_event"],
        ),
        (
            "invalid_event of any event",
            failing(invalid, false),
            &empty,
            0,
            2 * 12,
            &[],
        ),
        (
            "not_ready",
            stored(&fresh),
            &fresh,
            9999,
            2,
            &[linking, "session_error not_ready"],
        ),
    ] {
        let (count, observer) = (Arc::default(), Sink::default());
        let before = row(store).await;
        let sink = Counting(sink, Arc::clone(&count));
        let sink = FanOut::after(sink).observer(observer.clone());
        let mut monitor = monitor(sink, page([(0, Linked)]), number_at).store(Arc::clone(store));
        if let Some(row) = &before {
            monitor = monitor.resume(row);
        }
        assert_eq!(run(&monitor, HOUR).await, None);
        let count = count.load(Ordering::Relaxed);
        let version = |row: Option<SessionRow>| row.map_or(0, |row| row.version);
        let changes = version(row(store).await) - version(before);
        println!(
            "| {cause} | {count} | {changes} | {} |",
            observer.names().join(", ")
        );
        assert_eq!(observer.names(), expected, "{cause}");
        let is_stored = !cause.starts_with("invalid");
        let expected = expected.len() as u64 * u64::from(is_stored);
        assert_eq!((count, changes), (sent, expected), "{cause}");
        let refusal = monitor.delivery_state().refusal;
        let code = refusal.as_ref().map_or("not_ready", SinkError::code);
        assert!(cause.starts_with(code), "{cause}: {code}");
    }
}

/// Returns the second at which the row was connected, if a holder of the number ends after 310 s and the
/// page plays this script.
async fn connected_at(page: Page, tries_again: bool) -> Option<u64> {
    let (store, holder) = store_with_holder().await;
    let row = store.register(&key()).await.unwrap();
    let mut watcher = store.watch(&key().session_id).await.unwrap();
    let monitor = monitor(StoreSink::new(Arc::clone(&store)), page, 0).resume(&row);
    let start = Instant::now();
    let end_holder = async {
        sleep(Duration::from_secs(310)).await;
        let end = SessionEvent::session_disconnected(holder, "LOGOUT");
        store.apply(&end).await.unwrap();
        if tries_again {
            monitor.try_again();
        }
        std::future::pending::<()>().await;
    };
    let connected = async {
        while watcher.changed().await.unwrap().status != Status::Connected {}
        start.elapsed().as_secs()
    };
    tokio::select! {
        ended = monitor.run() => panic!("{ended:?}"),
        () = end_holder => unreachable!(),
        at = timeout(HOUR, connected) => at.ok(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_number_is_sent_again_when_the_page_has_changed_or_the_caller_says_so() {
    let reloaded = page([(0, Linked), (400, Unknown), (405, Linked)]);
    let at = connected_at(reloaded, false).await.unwrap();
    assert!((406..410).contains(&at), "{at}");
    // Between two looks.
    let reloaded = Page {
        reloads_at: Some(Duration::from_millis(400_500)),
        ..page([(0, Linked)])
    };
    let at = connected_at(reloaded, false).await.unwrap();
    assert!((401..403).contains(&at), "{at}");
    let at = connected_at(page([(0, Linked)]), true).await.unwrap();
    assert!((310..313).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_number_is_sent_again_every_five_minutes() {
    let at = connected_at(page([(0, Linked)]), false).await.unwrap();
    assert!((600..610).contains(&at), "{at}");
}

/// The events of a linked page whose numbers are all refused, within an hour. `change` gets the store, in
/// which three sessions are registered: that of the page, and two that are connected with its numbers.
async fn refused<F: Future<Output = ()>>(
    change: impl FnOnce(Arc<MemoryStore>) -> F,
) -> Vec<String> {
    let (store, _) = store_with_holder().await;
    let other = SessionKey::new(7, "other").unwrap();
    store.register(&other).await.unwrap();
    let phone: PhoneNumber = "628990000099".parse().unwrap();
    let ready = SessionEvent::session_ready(other, phone);
    store.apply(&ready).await.unwrap();
    let row = store.register(&key()).await.unwrap();
    let number = MockSource::new("page").number_at(Duration::ZERO, ME);
    let number = number.number_at(Duration::from_secs(1000), OTHER);
    let observer = Sink::default();
    let sink = FanOut::after(StoreSink::new(Arc::clone(&store))).observer(observer.clone());
    let monitor = PageMonitor::new(key(), Shows(page([(0, Linked)]), number), sink);
    let monitor = monitor.resume(&row).store(Arc::clone(&store));
    tokio::join!(run(&monitor, HOUR), change(store));
    observer.names()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_another_number_is_reported_too() {
    let error = "session_error number_already_connected";
    let names = refused(async |_| ()).await;
    assert_eq!(names, ["session_authenticated", error, error]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_reported_again_when_the_row_has_changed() {
    let error = "session_error number_already_connected";
    let names = refused(async |store| {
        sleep(Duration::from_secs(500)).await;
        let reset = SessionEvent::session_disconnected(key(), "reset");
        store.apply(&reset).await.unwrap();
        sleep(Duration::from_secs(15)).await;
        let row = row(&store).await.unwrap();
        assert_eq!(row.status, Status::Error);
    })
    .await;
    assert_eq!(names, ["session_authenticated", error, error, error]);
}

#[tokio::test(start_paused = true)]
async fn another_number_is_sent_though_one_was_refused() {
    let (store, _) = store_with_holder().await;
    let row = store.register(&key()).await.unwrap();
    let number = MockSource::new("page").number_at(Duration::ZERO, ME);
    let number = number.number_at(Duration::from_secs(600), OTHER);
    let observer = Sink::default();
    let sink = FanOut::after(StoreSink::new(Arc::clone(&store))).observer(observer.clone());
    let page = Shows(page([(0, Linked)]), number);
    run(&PageMonitor::new(key(), page, sink).resume(&row), HOUR).await;
    let expected = [
        "session_authenticated",
        "session_error number_already_connected",
        "session_ready",
    ];
    assert_eq!(observer.names(), expected);
    let at = observer.times("session_ready")[0];
    assert!((600.0..603.0).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_session_is_sent_when_its_row_is_there() {
    let store = Arc::new(MemoryStore::default());
    let sink = StoreSink::new(Arc::clone(&store));
    let monitor = monitor(sink, page([(0, Linked)]), 0).store(Arc::clone(&store));
    let start = Instant::now();
    let connected = async {
        sleep(Duration::from_secs(300)).await;
        store.register(&key()).await.unwrap();
        let mut watcher = store.watch(&key().session_id).await.unwrap();
        assert_eq!(watcher.changed().await.unwrap().status, Status::Connected);
    };
    tokio::select! {
        ended = monitor.run() => panic!("{ended:?}"),
        done = timeout(HOUR, connected) => done.unwrap(),
    }
    assert!((300..315).contains(&start.elapsed().as_secs()));
}

/// Takes five seconds to refuse the first event, and accepts all others.
struct RefusingLate(Sink, AtomicU32);

#[async_trait::async_trait]
impl EventSink for RefusingLate {
    fn name(&self) -> &str {
        "late"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        if self.1.fetch_add(1, Ordering::Relaxed) == 0 {
            sleep(Duration::from_secs(5)).await;
            return Err(SinkError::permanent("invalid_event", "the id is too long"));
        }
        self.0.send(event).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_comes_when_the_page_has_changed_stops_nothing() {
    let observer = Sink::default();
    let sink = RefusingLate(observer.clone(), AtomicU32::new(0));
    let page = page([(0, Linking), (3, Linked)]);
    let monitor = monitor(sink, page, 30).resume(&SessionRow::new(key()));
    run(&monitor, Duration::from_secs(100)).await;
    assert_eq!(
        observer.names(),
        ["session_error not_ready", "session_ready"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_session_is_registered_again_if_the_caller_allows_it() {
    let store = Arc::new(MemoryStore::default());
    let sink = StoreSink::new(Arc::clone(&store)).register_unknown(RowValues::default());
    let observer = Sink::default();
    let sink = FanOut::after(sink).observer(observer.clone());
    let monitor = monitor(sink, page([(0, Linked)]), 0);
    run(&monitor, Duration::from_secs(60)).await;
    assert_eq!(row(&store).await.unwrap().status, Status::Connected);
    // A sweep gives the row up, and the next event brings it back.
    for event in [
        SessionEvent::session_disconnected(key(), "LOGOUT"),
        SessionEvent::session_authenticated(key()),
    ] {
        store.apply(&event).await.unwrap();
    }
    tokio::time::advance(HOUR).await;
    assert_eq!(store.sweep_stuck(HOUR).await.unwrap().len(), 1);
    let unlinked = self::monitor(
        StoreSink::new(Arc::clone(&store)).register_unknown(RowValues::default()),
        page([(0, Unlinked)]),
        0,
    )
    // Without a `seq` its events might be late ones.
    .sequence(Sequence::after(None));
    run(&unlinked, Duration::from_secs(60)).await;
    assert_eq!(row(&store).await.unwrap().status, Status::QrScanning);
    assert_eq!(observer.names(), ["session_ready"]);
}
