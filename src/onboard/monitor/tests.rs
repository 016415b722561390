//! Under paused time, with a scripted page.

mod qr;
mod refusals;
mod resumed;
mod row_changes;
mod sink_down;
mod timers;
#[cfg(feature = "webhook")]
mod webhook_down;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::event::{EventKind, EventSink, SessionEvent, SessionKey, SinkError};
use crate::failure::Site;
use crate::link::{Bar, LinkState};
use crate::source::mock::MockSource;
use crate::source::{Assurance, Look};

const ME: &str = "628110000041@c.us";
const HOUR: Duration = Duration::from_secs(3600);

/// The result of a look.
#[derive(Clone, Copy)]
enum Answer {
    Is(LinkState),
    /// An error with this code.
    Fails(&'static str),
    Hangs,
}

impl From<LinkState> for Answer {
    fn from(state: LinkState) -> Self {
        Self::Is(state)
    }
}

/// A page that gives each answer from its time on.
struct Page {
    start: Instant,
    script: Vec<(Duration, Answer)>,
    /// When it is reloaded, without another state.
    reloads_at: Option<Duration>,
}

/// With times in seconds.
fn page<A: Into<Answer>, const N: usize>(script: [(u64, A); N]) -> Page {
    page_ms(script.map(|(at, answer)| (at * 1000, answer)))
}

/// With times in milliseconds.
fn page_ms<A: Into<Answer>, const N: usize>(script: [(u64, A); N]) -> Page {
    let from = |(at, answer): (u64, A)| (Duration::from_millis(at), answer.into());
    Page {
        start: Instant::now(),
        script: script.into_iter().map(from).collect(),
        reloads_at: None,
    }
}

#[async_trait::async_trait]
impl LinkSource for Page {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        let now = self.start.elapsed();
        let past = self.script.iter().take_while(|(at, _)| *at <= now);
        match past.last().map_or(Is(Unknown), |(_, answer)| *answer) {
            Is(state) => Ok(state),
            Fails(code) => Err(ProtocolFailure::new(Site::WebDriverCommand, code).with_code(code)),
            Hangs => std::future::pending().await,
        }
    }

    fn document(&self) -> Option<String> {
        let is_reloaded = self.start.elapsed() >= self.reloads_at?;
        Some(is_reloaded.to_string())
    }
}

/// Remembers the events, and when each came.
#[derive(Clone)]
struct Sink {
    start: Instant,
    events: Arc<Mutex<Vec<(Duration, SessionEvent)>>>,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            events: Arc::default(),
        }
    }
}

impl Sink {
    /// Each event's name, with its reason, code or `expired`.
    fn names(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(_, event)| name(event)).collect()
    }

    /// When the events with this name came, in seconds.
    fn times(&self, wanted: &str) -> Vec<f64> {
        let events = self.events.lock().unwrap();
        let wanted = events.iter().filter(|(_, event)| name(event) == wanted);
        wanted.map(|(at, _)| at.as_secs_f64()).collect()
    }
}

fn name(event: &SessionEvent) -> String {
    let detail = match event.kind() {
        EventKind::SessionDisconnected { reason } => format!(" {reason}"),
        EventKind::SessionError(failed) => format!(" {}", failed.code().unwrap_or_default()),
        EventKind::QrCodeGenerated(qr) if qr.is_expired() => " expired".to_owned(),
        _ => String::new(),
    };
    format!("{}{detail}", event.name())
}

#[async_trait::async_trait]
impl EventSink for Sink {
    fn name(&self) -> &str {
        "test"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let at = self.start.elapsed();
        self.events.lock().unwrap().push((at, event.clone()));
        Ok(())
    }
}

fn key() -> SessionKey {
    SessionKey::new(7, "session-1").unwrap()
}

/// A page of this state and this number.
struct Shows<L>(L, MockSource);

#[async_trait::async_trait]
impl<L: LinkSource> LinkSource for Shows<L> {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        self.0.link().await
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        self.0.qr().await
    }

    fn document(&self) -> Option<String> {
        self.0.document()
    }
}

#[async_trait::async_trait]
impl<L: Send + Sync> InfoSource for Shows<L> {
    fn name(&self) -> &str {
        "page"
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.1.probe().await
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        self.1.wait(min, max).await
    }
}

/// A monitor over a page whose number can be read from this second on.
fn monitor(
    sink: impl EventSink + 'static,
    page: impl LinkSource + 'static,
    number_at: u64,
) -> PageMonitor {
    let number = MockSource::new("page").number_at(Duration::from_secs(number_at), ME);
    PageMonitor::new(key(), Shows(page, number), sink)
}

/// Runs a monitor for this long, unless it ends.
async fn run(monitor: &PageMonitor, time: Duration) -> Option<Ended> {
    timeout(time, monitor.run()).await.ok()
}

/// Returns how a monitor over this page ended within five minutes, and the names of its events.
async fn sent(page: Page, number_at: u64) -> (Option<Ended>, Vec<String>) {
    sent_every(Duration::from_secs(1), page, number_at).await
}

/// The same with this pause between the looks.
async fn sent_every(
    every: Duration,
    page: impl LinkSource + 'static,
    number_at: u64,
) -> (Option<Ended>, Vec<String>) {
    let sink = Sink::default();
    let monitor = monitor(sink.clone(), page, number_at).every(every);
    let ended = run(&monitor, Duration::from_secs(300)).await;
    (ended, sink.names())
}

use Answer::{Fails, Hangs, Is};
use LinkState::{Barred, Linked, Linking, QrExpired, Unknown, Unlinked};

#[tokio::test(start_paused = true)]
async fn from_the_code_to_the_number_and_back() {
    let page = page([
        (0, Unknown),
        (2, Unlinked),
        (10, Linking),
        (14, Linked),
        (60, Unlinked),
    ]);
    let expected = [
        // Without a row: a store may still say connected.
        "session_disconnected unlinked",
        "qr_code_generated",
        "session_authenticated",
        "session_ready",
        "session_disconnected unlinked",
        "qr_code_generated",
    ];
    assert_eq!(
        sent(page, 10).await,
        (None, expected.map(str::to_owned).to_vec())
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_linked_from_the_start() {
    // Its row may say connected already; that stays.
    let (_, sent) = sent(page([(0, Linked)]), 0).await;
    assert_eq!(sent, ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reconnects_or_reloads_causes_no_event() {
    let page = page([
        (0, Linked),
        (10, Unknown),
        (15, Linking),
        (20, Unknown),
        (25, Linked),
    ]);
    assert_eq!(sent(page, 0).await.1, ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_moment_of_connection_on_logout_is_no_ready() {
    let page = page([(0, Linked), (10, Unlinked), (13, Linked), (14, Unlinked)]);
    let (_, sent) = sent(page, 0).await;
    let after = sent
        .iter()
        .skip_while(|it| !it.starts_with("session_disconnected"));
    assert_eq!(
        after.collect::<Vec<_>>(),
        ["session_disconnected unlinked", "qr_code_generated"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_of_less_than_a_second_causes_no_event_at_any_interval() {
    for every in [10, 20, 100, 300] {
        for length in [20, 50, 500, 990] {
            let (unlinks, connects) = (10_000, 13_000);
            let page = page_ms([
                (0, Linked),
                (unlinks, Unlinked),
                (connects, Linked),
                (connects + length, Unlinked),
            ]);
            let (_, sent) = sent_every(Duration::from_millis(every), page, 0).await;
            let expected = [
                "session_ready",
                "session_disconnected unlinked",
                "qr_code_generated",
            ];
            assert_eq!(sent, expected, "{length} ms, looked at every {every} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_of_a_second_causes_an_event_at_any_interval() {
    for every in [10, 250, 400, 999, 1000, 1001, 3000] {
        let interval = Duration::from_millis(every);
        // From one look to the first of those that are more than a second later, and the next.
        let lasts = every * (1000_u64.div_ceil(every) + 1);
        let page = page_ms([(0, Unlinked), (lasts, Unknown)]);
        let (_, sent) = sent_every(interval, page, 0).await;
        let first = sent.first().map(String::as_str);
        assert_eq!(first, Some("session_disconnected unlinked"), "{every} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_state_starts_its_second_again() {
    // Each time for less than a second, and three seconds in all.
    let page = page_ms([
        (0, Unlinked),
        (900, Unknown),
        (950, Unlinked),
        (1850, Linking),
        (1900, Unlinked),
        (2800, Unknown),
    ]);
    let (_, sent) = sent_every(Duration::from_millis(10), page, 0).await;
    assert!(sent.is_empty(), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_stopped_by_whatsapp_is_disconnected_and_may_come_back() {
    let page = page([(0, Linked), (10, Barred(Bar::Conflict)), (20, Linked)]);
    let expected = [
        "session_ready",
        "session_disconnected conflict",
        "session_authenticated",
        "session_ready",
    ];
    assert_eq!(sent(page, 0).await.1, expected);
    // From the start, since a store may say connected: once.
    let page = self::page([(0, Barred(Bar::TosBlock))]);
    assert_eq!(sent(page, 0).await.1, ["session_disconnected tos_block"]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_page_and_a_lost_browser_end_the_watch() {
    for (code, end, reason) in [
        (
            "no such window",
            Ended::PageClosed,
            "session_disconnected page_closed",
        ),
        (
            "connection lost",
            Ended::BrowserGone,
            "session_disconnected browser_gone",
        ),
    ] {
        let linked = page([(0, Is(Linked)), (30, Fails(code))]);
        let expected = ["session_ready", reason].map(str::to_owned).to_vec();
        assert_eq!(sent(linked, 0).await, (Some(end), expected));
        // From the start, since a store may say connected.
        let early = page([(0, Fails(code))]);
        assert_eq!(sent(early, 0).await, (Some(end), vec![reason.to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_sent_once_and_a_late_number_too() {
    let expected = ["session_error not_ready", "session_ready"];
    assert_eq!(sent(page([(0, Linked)]), 50).await.1, expected);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_or_hangs_is_followed_by_the_next() {
    let page = page([
        (0, Is(Linked)),
        (10, Fails("unexpected alert open")),
        (20, Hangs),
        (40, Is(Linked)),
        (50, Is(Unlinked)),
    ]);
    let expected = [
        "session_ready",
        "session_disconnected unlinked",
        "qr_code_generated",
    ];
    assert_eq!(sent(page, 0).await.1, expected);
}

#[tokio::test(start_paused = true)]
async fn another_run_continues_after_the_last_event() {
    let sink = Sink::default();
    let monitor = monitor(sink.clone(), page([(0, Linked)]), 0);
    for _ in 0..3 {
        assert_eq!(run(&monitor, Duration::from_secs(20)).await, None);
    }
    assert_eq!(sink.names(), ["session_ready"]);
}
