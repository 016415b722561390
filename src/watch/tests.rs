//! Under paused time, over a scripted page.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::*;
use crate::event::{EventSink, SessionEvent, SessionKey, SinkError};
use crate::extract::Extractor;
use crate::failure::Site;
use crate::link::Bar;
use crate::source::mock::MockSource;

const ME: &str = "628110000041@c.us";

/// A page that is as its script says, from each of these times on.
struct Page {
    start: Instant,
    script: Vec<(Duration, Result<LinkState, ProtocolFailure>)>,
}

/// With its times in seconds.
fn page<const N: usize>(script: [(u64, LinkState); N]) -> Page {
    page_ms(script.map(|(at, state)| (at * 1000, state)))
}

/// With its times in milliseconds.
fn page_ms<const N: usize>(script: [(u64, LinkState); N]) -> Page {
    let from = |(at, state)| (Duration::from_millis(at), Ok(state));
    Page {
        start: Instant::now(),
        script: script.into_iter().map(from).collect(),
    }
}

impl Page {
    fn then(mut self, at: u64, code: &'static str) -> Self {
        let failure = ProtocolFailure::new(Site::WebDriverCommand, code).with_code(code);
        self.script.push((Duration::from_secs(at), Err(failure)));
        self
    }
}

#[async_trait::async_trait]
impl LinkSource for Page {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        let now = self.start.elapsed();
        let past = self.script.iter().take_while(|(at, _)| *at <= now);
        past.last()
            .map_or(Ok(LinkState::Unknown), |(_, state)| state.clone())
    }
}

/// Remembers what it was sent: name, and reason or code.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl EventSink for Sink {
    fn name(&self) -> &str {
        "test"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        use crate::event::EventKind::*;
        let more = match event.kind() {
            SessionDisconnected { reason } => format!(" {reason}"),
            SessionError(failed) => format!(" {}", failed.code().unwrap_or_default()),
            _ => String::new(),
        };
        self.0
            .lock()
            .unwrap()
            .push(format!("{}{more}", event.name()));
        Ok(())
    }
}

/// What a watch over this page tells, of a number that is readable from `number_at` on.
async fn told(page: Page, number_at: u64) -> (Option<Ended>, Vec<String>) {
    told_every(Duration::from_secs(1), page, number_at).await
}

/// The same with so long between its looks.
async fn told_every(
    every: Duration,
    page: impl LinkSource,
    number_at: u64,
) -> (Option<Ended>, Vec<String>) {
    let sink = Sink::default();
    let source = MockSource::new("page").number_at(Duration::from_secs(number_at), ME);
    let extractor = Extractor::builder().source(source).build().unwrap();
    let key = SessionKey::new(7, "session-1").unwrap();
    let watch = Watch::new(Onboarding::new(key, extractor, sink.clone()), page).every(every);
    let ended = timeout(Duration::from_secs(300), watch.run()).await;
    let told = sink.0.lock().unwrap().clone();
    (ended.ok().map(Result::unwrap), told)
}

use LinkState::{Barred, Linked, Linking, Unknown, Unlinked};

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
        // A store may still say connected.
        "session_disconnected unlinked",
        "qr_code_generated",
        "session_authenticated",
        "session_ready",
        "session_disconnected unlinked",
        "qr_code_generated",
    ];
    assert_eq!(
        told(page, 10).await,
        (None, expected.map(str::to_owned).to_vec())
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_linked_from_the_start() {
    // Its row may say connected from before: that is not taken back.
    let (_, told) = told(page([(0, Linked)]), 0).await;
    assert_eq!(told, ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn reconnecting_and_reloading_tell_nothing() {
    let page = page([
        (0, Linked),
        (10, Unknown),
        (15, Linking),
        (20, Unknown),
        (25, Linked),
    ]);
    assert_eq!(told(page, 0).await.1, ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_moment_of_connection_on_logout_is_no_ready() {
    let page = page([(0, Linked), (10, Unlinked), (13, Linked), (14, Unlinked)]);
    let (_, told) = told(page, 0).await;
    let after = told
        .iter()
        .skip_while(|it| !it.starts_with("session_disconnected"));
    assert_eq!(
        after.collect::<Vec<_>>(),
        ["session_disconnected unlinked", "qr_code_generated"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_moment_is_one_however_many_looks_see_it() {
    for every in [10, 20, 100, 300] {
        for length in [20, 50, 500, 990] {
            let (unlinks, connects) = (10_000, 13_000);
            let page = page_ms([
                (0, Linked),
                (unlinks, Unlinked),
                (connects, Linked),
                (connects + length, Unlinked),
            ]);
            let (_, told) = told_every(Duration::from_millis(every), page, 0).await;
            let expected = [
                "session_ready",
                "session_disconnected unlinked",
                "qr_code_generated",
            ];
            assert_eq!(told, expected, "{length} ms, looked at every {every} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_for_a_second_is_told_whatever_the_interval() {
    for every in [10, 250, 400, 999, 1000, 1001, 3000] {
        let interval = Duration::from_millis(every);
        // From one look to the first of those that are more than a second later, and the next.
        let lasts = every * (1000_u64.div_ceil(every) + 1);
        let page = page_ms([(0, Unlinked), (lasts, Unknown)]);
        let (_, told) = told_every(interval, page, 0).await;
        let told = told.first().map(String::as_str);
        assert_eq!(told, Some("session_disconnected unlinked"), "{every} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_interrupted_begins_anew() {
    // Each time for less than a second, and three seconds in all.
    let page = page_ms([
        (0, Unlinked),
        (900, Unknown),
        (950, Unlinked),
        (1850, Linking),
        (1900, Unlinked),
        (2800, Unknown),
    ]);
    let (_, told) = told_every(Duration::from_millis(10), page, 0).await;
    assert!(told.is_empty(), "{told:?}");
}

/// Every other look sees the page only when it ends, the others when they begin.
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
async fn the_time_that_looks_take_is_no_time_that_a_state_lasts() {
    // Looks see the page at 4.00, 4.01, 12.02, 12.03, 20.04, 20.05, ... seconds.
    let page = page_ms([(0, Unlinked), (20_030, Linked), (20_060, Unlinked)]);
    let page = Slow(page, Default::default());
    let (_, told) = told_every(Duration::from_millis(10), page, 0).await;
    assert_eq!(told, ["session_disconnected unlinked", "qr_code_generated"]);
}

#[tokio::test(start_paused = true)]
async fn taken_off_by_whatsapp_is_not_connected_and_comes_back() {
    let page = page([(0, Linked), (10, Barred(Bar::Conflict)), (20, Linked)]);
    let expected = [
        "session_ready",
        "session_disconnected conflict",
        "session_authenticated",
        "session_ready",
    ];
    assert_eq!(told(page, 0).await.1, expected);
    // From the start, where a store may say connected from before: once.
    let page = self::page([(0, Barred(Bar::TosBlock))]);
    assert_eq!(told(page, 0).await.1, ["session_disconnected tos_block"]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_page_and_a_dead_browser_end_it() {
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
        let (ended, told) = told(page([(0, Linked)]).then(30, code), 0).await;
        assert_eq!(ended, Some(end));
        assert_eq!(told, ["session_ready", reason]);
    }
    // A store may say connected from before.
    let early = Page {
        start: Instant::now(),
        script: Vec::new(),
    }
    .then(0, "no such window");
    let reason = vec!["session_disconnected page_closed".to_owned()];
    assert_eq!(told(early, 0).await, (Some(Ended::PageClosed), reason));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_once_and_a_late_number_too() {
    let expected = ["session_error not_ready", "session_ready"];
    assert_eq!(told(page([(0, Linked)]), 50).await.1, expected);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_or_hangs_is_followed_by_the_next() {
    let mut page = page([(0, Linked)]).then(10, "unexpected alert open");
    page.script.push((Duration::from_secs(20), Ok(Linked)));
    page.script.push((Duration::from_secs(30), Ok(Unlinked)));
    let (_, told) = told(page, 0).await;
    assert_eq!(
        told[..2],
        ["session_ready", "session_disconnected unlinked"]
    );
}

#[tokio::test(start_paused = true)]
async fn another_watch_goes_on_from_what_was_told() {
    let sink = Sink::default();
    let source = MockSource::new("page").number_at(Duration::ZERO, ME);
    let extractor = Extractor::builder().source(source).build().unwrap();
    let key = SessionKey::new(7, "session-1").unwrap();
    let onboarding = Onboarding::new(key, extractor, sink.clone());
    for _ in 0..3 {
        let watch = Watch::new(onboarding.clone(), page([(0, Linked)]));
        assert!(timeout(Duration::from_secs(20), watch.run()).await.is_err());
    }
    assert_eq!(*sink.0.lock().unwrap(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_shown_for_long_is_told_of_now_and_then() {
    let sink = Sink::default();
    let extractor = Extractor::builder().source(MockSource::new("page")).build();
    let key = SessionKey::new(7, "session-1").unwrap();
    let onboarding = Onboarding::new(key, extractor.unwrap(), sink.clone());
    let watch = Watch::new(onboarding, page([(0, Unlinked)]));
    let hour = timeout(Duration::from_secs(3600), watch.run()).await;
    assert!(hour.is_err());
    let told = sink.0.lock().unwrap().clone();
    let codes = told.iter().filter(|it| *it == "qr_code_generated").count();
    assert!((5..=7).contains(&codes), "{told:?}");
}
