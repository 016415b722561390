//! How long a page may reload, stay silent, show a code or reconnect.

use super::*;
use crate::store::memory::MemoryStore;
use crate::store::{SessionStore, Status, StoreSink};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const RECONNECTED: [&str; 2] = ["session_authenticated", "session_ready"];

/// Runs a monitor over this page; the number can be read from the start.
async fn watched(page: impl LinkSource + 'static, time: Duration) -> Sink {
    let sink = Sink::default();
    let monitor = monitor(sink.clone(), page, 0);
    assert_eq!(run(&monitor, time).await, None);
    sink
}

/// Each look reads the page at once, and takes this long to return.
struct Late(Page, Duration);

#[async_trait::async_trait]
impl LinkSource for Late {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        let answer = self.0.link().await;
        sleep(self.1).await;
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_is_connected_within_60_s_causes_no_event() {
    for length in [1, 10, 59, 60] {
        for look in [0, 4] {
            let page = page([(0, Linked), (100, Unknown), (100 + length, Linked)]);
            let sink = watched(Late(page, secs(look)), secs(600)).await;
            let case = format!("{length} s, looks of {look} s");
            assert_eq!(sink.names(), ["session_ready"], "{case}");
        }
    }
    // Other states of a page that reconnects start the 60 s again.
    let page = page([
        (0, Linked),
        (100, Unknown),
        (150, Linking),
        (152, Unknown),
        (200, Linked),
    ]);
    assert_eq!(watched(page, secs(600)).await.names(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_start_for_60_s_is_disconnected_once() {
    let unknown = page([(0, Linked), (100, Unknown)]);
    let sink = watched(unknown, 3 * HOUR).await;
    let expected = ["session_ready", "session_disconnected not_started"];
    assert_eq!(sink.names(), expected);
    let at = sink.times("session_disconnected not_started")[0];
    assert!((160.0..163.0).contains(&at), "{at}");

    let late = page([(0, Linked), (100, Unknown), (200, Linked)]);
    let sink = watched(late, HOUR).await;
    assert_eq!(sink.names(), [&expected[..], &RECONNECTED].concat());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_shown_nothing_is_not_disconnected_as_not_started() {
    let sink = watched(page([(0, Unknown)]), 3 * HOUR).await;
    assert!(sink.names().is_empty(), "{:?}", sink.names());
    // After a disconnect there is nothing to take back either.
    let sink = watched(page([(0, Barred(Bar::Conflict)), (9, Unknown)]), HOUR).await;
    assert_eq!(sink.names(), ["session_disconnected conflict"]);
}

#[tokio::test(start_paused = true)]
async fn looks_without_an_answer_pause_the_60_s() {
    for (second_part, is_reported) in [(15, false), (30, true)] {
        for silent in [Fails("unexpected alert open"), Hangs] {
            let page = page([
                (0, Is(Linked)),
                (100, Is(Unknown)),
                (140, silent),
                (300, Is(Unknown)),
                (300 + second_part, Is(Linked)),
            ]);
            let mut expected = vec!["session_ready"];
            if is_reported {
                expected.push("session_disconnected not_started");
                expected.extend(RECONNECTED);
            }
            let sink = watched(page, secs(600)).await;
            assert_eq!(sink.names(), expected, "{second_part} s more");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_reload_has_60_s_of_its_own() {
    let page = page([
        (0, Is(Linked)),
        (100, Is(Unknown)),
        (140, Hangs),
        (160, Is(Linked)),
        (200, Is(Unknown)),
        (240, Is(Linked)),
    ]);
    assert_eq!(watched(page, HOUR).await.names(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_answer_is_disconnected_once_and_comes_back() {
    for silent in [Fails("unexpected alert open"), Hangs] {
        let short = page([(0, Is(Linked)), (100, silent), (399, Is(Linked))]);
        let names = watched(short, HOUR).await.names();
        assert_eq!(names, ["session_ready"]);

        // Any answer starts the five minutes again.
        let twice = page([
            (0, Is(Linked)),
            (100, silent),
            (350, Is(Unknown)),
            (360, silent),
            (610, Is(Linked)),
        ]);
        let names = watched(twice, HOUR).await.names();
        assert_eq!(names, ["session_ready"]);

        let long = page([(0, Is(Linked)), (100, silent), (9000, Is(Linked))]);
        let sink = watched(long, 4 * HOUR).await;
        let expected = ["session_ready", "session_disconnected unresponsive"];
        assert_eq!(sink.names(), [&expected[..], &RECONNECTED].concat());
        let at = sink.times("session_disconnected unresponsive")[0];
        assert!((400.0..410.0).contains(&at), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_without_an_answer_can_be_set() {
    let sink = Sink::default();
    let page = page([(0, Is(Linked)), (100, Hangs)]);
    let monitor = monitor(sink.clone(), page, 0).unresponsive_after(secs(20));
    assert_eq!(run(&monitor, HOUR).await, None);
    let at = sink.times("session_disconnected unresponsive");
    assert!(at.len() == 1 && (120.0..130.0).contains(&at[0]), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_are_valid() {
    let sink = Sink::default();
    let longest = Duration::MAX;
    let pages = page([(0, Is(Linked)), (100, Hangs)]);
    let monitor = monitor(sink.clone(), pages, 0).unresponsive_after(longest);
    assert_eq!(run(&monitor, HOUR).await, None);
    let monitor = self::monitor(sink.clone(), page([(0, Linked)]), 0).every(longest);
    assert_eq!(run(&monitor, HOUR).await, None);
    assert_eq!(sink.names(), ["session_ready"]);
}

/// Runs a monitor that writes into a store, and sweeps the store every minute. Returns when the row was
/// given up, in seconds.
async fn swept(page: Page, time: Duration) -> Option<u64> {
    let store = Arc::new(MemoryStore::default());
    let row = store.register(&key()).await.unwrap();
    let monitor = monitor(StoreSink::new(store.clone()), page, 0).resume(&row);
    let start = Instant::now();
    let sweep = async {
        loop {
            sleep(secs(60)).await;
            if !store.sweep_stuck(HOUR).await.unwrap().is_empty() {
                return start.elapsed().as_secs();
            }
        }
    };
    tokio::select! {
        ended = monitor.run() => panic!("{ended:?}"),
        at = sweep => Some(at),
        () = sleep(time) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_links_is_kept_for_at_most_6_hours() {
    let sink = watched(page([(0, Unlinked), (60, Linking)]), 24 * HOUR).await;
    let times = sink.times("session_authenticated");
    let last = times.last().unwrap() - times[0];
    assert!((5.8 * 3600.0..6.0 * 3600.0).contains(&last), "{last}");
    let intervals = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(intervals.into_iter().all(|it| (600.0..603.0).contains(&it)));

    let at = swept(page([(0, Unlinked), (60, Linking)]), 24 * HOUR).await;
    let at = at.expect("the row is given up");
    assert!((6 * 3600..7 * 3600 + 180).contains(&at), "{at}");

    // Reloads between do not prolong it.
    let reloads: [_; 24] = std::array::from_fn(|i| {
        let state = if i % 2 == 0 { Linking } else { Unknown };
        (i as u64 / 2 * 3600 + i as u64 % 2 * 3570, state)
    });
    let sink = watched(page(reloads), 24 * HOUR).await;
    let last = *sink.times("session_authenticated").last().unwrap();
    assert!(last < 6.0 * 3600.0 + 60.0, "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_shown_keeps_the_session() {
    let sink = watched(page([(0, Unlinked)]), HOUR).await;
    let times = sink.times("qr_code_generated");
    assert!((5..=7).contains(&times.len()), "{times:?}");
    let at = swept(page([(0, Unlinked)]), 24 * HOUR).await;
    assert_eq!(at, None);
}

#[tokio::test(start_paused = true)]
async fn an_expired_code_is_sent_once_and_keeps_nothing() {
    let script = [
        (0, Unlinked),
        (1740, QrExpired),
        (9000, Unlinked),
        (9100, QrExpired),
    ];
    let sink = watched(page(script), 4 * HOUR).await;
    let expected = [
        "session_disconnected unlinked",
        "qr_code_generated",
        "qr_code_generated",
        "qr_code_generated",
        "qr_code_generated expired",
        "qr_code_generated",
        "qr_code_generated expired",
    ];
    assert_eq!(sink.names(), expected);
    for (_, event) in &*sink.events.lock().unwrap() {
        if let EventKind::QrCodeGenerated(qr) = event.kind() {
            assert_eq!(qr.reveal(), None);
        }
    }

    // An hour after the last valid code, not after the event of the expired one.
    let at = swept(page([(0, Unlinked), (1740, QrExpired)]), 24 * HOUR).await;
    let at = at.expect("the row is given up");
    assert!((1200 + 3600..1200 + 3600 + 120).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn an_expired_code_of_a_linked_session_disconnects_it_first() {
    let expected = [
        "session_ready",
        "session_disconnected unlinked",
        "qr_code_generated expired",
    ];
    let page = page([(0, Linked), (10, QrExpired)]);
    assert_eq!(watched(page, HOUR).await.names(), expected);

    // In a store the session stays disconnected.
    let store = Arc::new(MemoryStore::default());
    let row = store.register(&key()).await.unwrap();
    let page = self::page([(0, Linked), (10, QrExpired)]);
    let monitor = monitor(StoreSink::new(store.clone()), page, 0).resume(&row);
    run(&monitor, HOUR).await;
    let row = store.session(&key().session_id).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Disconnected);
}

/// Every other look reads the page when it ends, the others when they begin.
struct Slow(Page, std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl LinkSource for Slow {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        let takes = Duration::from_secs(4);
        if self.1.fetch_not(std::sync::atomic::Ordering::Relaxed) {
            let state = self.0.link().await;
            sleep(takes).await;
            return state;
        }
        sleep(takes).await;
        self.0.link().await
    }
}

#[tokio::test(start_paused = true)]
async fn the_duration_of_looks_does_not_count_as_time_that_a_state_lasts() {
    // Looks read the page at 4.00, 4.01, 12.02, 12.03, 20.04, 20.05, ... seconds.
    let page = page_ms([(0, Unlinked), (20_030, Linked), (20_060, Unlinked)]);
    let page = Slow(page, Default::default());
    let (_, sent) = sent_every(Duration::from_millis(10), page, 0).await;
    assert_eq!(sent, ["session_disconnected unlinked", "qr_code_generated"]);
}
