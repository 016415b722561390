//! Under paused time, with sinks that hang or panic. The tests with a store are in `store`.

use std::sync::Mutex;

use tokio::time::{Instant, sleep};

use super::*;
use crate::event::SessionKey;
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
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

#[test]
fn observers_get_events_in_a_later_runtime_too() {
    let (accepting, _events) = channel(10);
    let (observer, mut observed) = channel(10);
    let sink = FanOut::after(accepting).observer(observer);
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            sink.send(&event()).await.unwrap();
            let arrived = tokio::time::timeout(SEND_DEADLINE, observed.recv()).await;
            assert!(arrived.unwrap().is_some());
        });
    }
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
    let result = in_time(&rash, SEND_DEADLINE, || rash.send(&event)).await;
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
