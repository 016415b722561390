//! Under paused time, with sinks that hang or panic. The tests with a store are in `store`.

use std::sync::Mutex;

use tokio::time::{Instant, sleep};
use tracing_subscriber::Registry;

use super::*;
use crate::event::channel::channel;

/// Records the names of the events that it gets, and then hangs or panics.
struct Bad(Arc<Mutex<Vec<String>>>, fn());

impl Bad {
    fn hanging(got: &Arc<Mutex<Vec<String>>>) -> Self {
        Self(Arc::clone(got), || ())
    }

    fn panicking() -> Self {
        Self(Arc::default(), || panic!("a bug"))
    }
}

#[async_trait]
impl EventSink for Bad {
    fn name(&self) -> &str {
        "bad"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(event.name().to_owned());
        (self.1)();
        std::future::pending().await
    }

    async fn holds(&self, _: &SessionKey) -> Result<bool, SinkError> {
        Ok(true)
    }
}

fn event() -> SessionEvent {
    SessionEvent::session_authenticated(SessionKey::new(7, "session-1").unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_deciding_sink_has_a_deadline_and_its_panic_is_an_error() {
    let event = event();
    let (observer, mut observed) = channel(10);
    let hanging = FanOut::after(Bad::hanging(&Arc::default())).observer(observer.clone());
    let error = hanging.send(&event).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("sink_timeout", true));
    let panicking = FanOut::after(Bad::panicking()).observer(observer);
    let error = panicking.send(&event).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        ("sink_panicked", true)
    );
    drop((hanging, panicking));
    assert!(observed.recv().await.is_none());
}

#[tokio::test]
async fn it_holds_the_events_that_its_deciding_sink_holds() {
    let session = SessionKey::new(7, "session-1").unwrap();
    let holds: Box<dyn EventSink> = Box::new(FanOut::after(Bad::panicking()));
    assert!(holds.holds(&session).await.unwrap());
    let (passes_on, _observed) = channel(1);
    let passes_on = FanOut::after(passes_on).observer(Bad::panicking());
    assert!(!passes_on.holds(&session).await.unwrap());
}

#[test]
fn it_is_built_outside_of_a_runtime_and_in_any_order_of_calls() {
    let got = Arc::<Mutex<Vec<String>>>::default();
    let recorder = || Bad::hanging(&got);
    let (accepting, _events) = channel(10);
    let second = Duration::from_secs(1);
    let orders = [
        FanOut::after(accepting.clone())
            .observer(recorder())
            .deadline(second),
        FanOut::after(accepting)
            .deadline(second)
            .observer(recorder()),
    ];
    runtime().block_on(async {
        for sink in orders {
            for _ in 0..3 {
                sink.send(&event()).await.unwrap();
            }
            // The third is sent when two have failed by their deadline.
            sleep(second * 5 / 2).await;
            assert_eq!(std::mem::take(&mut *got.lock().unwrap()).len(), 3);
        }
    });
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        // Without a subscriber on the other threads, they would switch off what they log too, for this thread as well.
        drop(tracing::subscriber::set_global_default(Registry::default()));
        let log = self.clone();
        let writer = move || log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).without_time();
        tracing::subscriber::set_default(lines.with_writer(writer).finish())
    }

    fn lines(&self) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().map(str::to_owned).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}

#[test]
fn events_that_wait_when_a_runtime_ends_are_sent_in_the_next_one() {
    let got = Arc::default();
    let (accepting, _events) = channel(10);
    let sink = FanOut::after(accepting).observer(Bad::hanging(&got));
    let log = Log::default();
    let _guard = log.begin();
    runtime().block_on(async {
        for _ in 0..4 {
            sink.send(&event()).await.unwrap();
        }
        sleep(SEND_DEADLINE / 2).await;
    });
    assert_eq!(got.lock().unwrap().len(), 1);
    assert_eq!(log.lines(), &[] as &[String]);
    runtime().block_on(async {
        sink.send(&event()).await.unwrap();
        sleep(SEND_DEADLINE * 7 / 2).await;
    });
    assert_eq!(got.lock().unwrap().len(), 1 + 4);
    assert!(log.lines()[0].contains("may have lost an event"));
    // The fifth was being sent; these are never sent.
    runtime().block_on(async {
        for _ in 0..3 {
            sink.send(&event()).await.unwrap();
        }
    });
    drop(sink);
    let last = log.lines().pop().unwrap();
    assert!(
        last.contains("an observer lost events") && last.contains("lost=4"),
        "{last}"
    );
}

/// Panics when it is asked for its name, after so many calls.
struct Nameless(Mutex<u32>, Arc<Mutex<u32>>);

#[async_trait]
impl EventSink for Nameless {
    fn name(&self) -> &str {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *calls += 1;
        assert!(*calls != 2, "a bug");
        "nameless"
    }

    async fn send(&self, _event: &SessionEvent) -> Result<(), SinkError> {
        *self.1.lock().unwrap() += 1;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_task_of_an_observer_costs_one_event() {
    let count = Arc::default();
    let (accepting, _events) = channel(10);
    let nameless = Nameless(Mutex::default(), Arc::clone(&count));
    let sink = FanOut::after(accepting).observer(nameless);
    let log = Log::default();
    let _guard = log.begin();
    for _ in 0..3 {
        sink.send(&event()).await.unwrap();
    }
    sleep(SEND_DEADLINE).await;
    assert_eq!(*count.lock().unwrap(), 2);
    assert!(log.lines()[0].contains("may have lost an event"));
}

/// Counts its calls, and panics in `send` itself, not in its future.
#[derive(Default)]
struct Rash(Arc<Mutex<u32>>);

impl EventSink for Rash {
    fn name(&self) -> &str {
        "rash"
    }

    fn send<'a, 'b, 'c>(
        &'a self,
        _event: &'b SessionEvent,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        *self.0.lock().unwrap() += 1;
        panic!("a bug")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_future_is_an_error_too() {
    let event = event();
    let error = FanOut::after(Rash::default())
        .send(&event)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "sink_panicked");
    let rash = Rash::default();
    let result = in_time(&rash, &event, SEND_DEADLINE, || rash.send(&event)).await;
    assert_eq!(result.unwrap_err().code(), "sink_panicked");
    // The task of the observer survives it, so the second event arrives there too.
    let calls = Arc::new(Mutex::new(0));
    let (accepting, _events) = channel(10);
    let sink = FanOut::after(accepting).observer(Rash(Arc::clone(&calls)));
    for _ in 0..2 {
        sink.send(&event).await.unwrap();
        sleep(SEND_DEADLINE).await;
    }
    assert_eq!(*calls.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_queue_of_an_observer_is_bounded() {
    let got = Arc::default();
    let (accepting, _events) = channel(2 * MAX_WAITING);
    let sink = FanOut::after(accepting)
        .observer(Bad::hanging(&got))
        .deadline(Duration::from_millis(1));
    let start = Instant::now();
    for _ in 0..2 * MAX_WAITING {
        sink.send(&event()).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    sleep(Duration::from_secs(60)).await;
    let got = got.lock().unwrap().len();
    // One was being sent.
    assert!((MAX_WAITING..=MAX_WAITING + 1).contains(&got), "{got}");
}
