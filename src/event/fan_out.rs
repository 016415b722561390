//! Events to several sinks at once: [`FanOut`].

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{EventSink, SessionEvent, SinkError};
use crate::extract::panic_words;

/// How long one sink may take unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many events wait for an observer.
const BACKLOG: usize = 1024;

/// Sends every event to all its sinks, none of which holds the others.
///
/// A **required** sink must accept the event, or `send` fails. All get it at the same moment, and
/// each has a deadline of its own, so a slow one delays the caller but not the others. After an error
/// the caller sends again, and the sinks that had accepted it recognise its id.
///
/// An **observer** hears of an event when the required ones have accepted it, so that whoever asks a
/// store because of it finds it there. It gets what it can: it is fed by a task of its own, in order,
/// and `send` never waits for it. What it refuses is logged and lost, and so is what comes while 1024
/// events wait for it.
///
/// ```
/// use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey};
/// use whatsapp_phone::event::{channel::channel, fan_out::FanOut};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ((store, mut stored), (screen, mut shown)) = (channel(10), channel(10));
/// let both = FanOut::new().required(store).observer(screen);
/// both.send(&SessionEvent::session_authenticated(SessionKey::new(7, "session-1")?)).await?;
/// assert!(stored.recv().await.is_some() && shown.recv().await.is_some());
/// # Ok(())
/// # }
/// ```
pub struct FanOut {
    required: Vec<Arc<dyn EventSink>>,
    observers: Vec<Observer>,
    deadline: Duration,
}

struct Observer {
    name: String,
    queue: mpsc::Sender<SessionEvent>,
}

impl FanOut {
    /// To no sink yet: what is sent to none is accepted and lost.
    #[must_use]
    pub fn new() -> Self {
        Self {
            required: Vec::new(),
            observers: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// Adds a sink that must accept every event.
    #[must_use]
    pub fn required(mut self, sink: impl EventSink + 'static) -> Self {
        self.required.push(Arc::new(sink));
        self
    }

    /// Adds a sink that gets what it can, fed by a task that ends some time after this `FanOut`, when
    /// what waits has been sent.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn observer(mut self, sink: impl EventSink + 'static) -> Self {
        let (queue, events) = mpsc::channel(BACKLOG);
        self.observers.push(Observer {
            name: sink.name().to_owned(),
            queue,
        });
        tokio::spawn(feed(sink, events, self.deadline));
        self
    }

    /// Sets how long one sink may take for one event: the required ones, and the observers that are
    /// added later. Default: 10 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Default for FanOut {
    fn default() -> Self {
        Self::new()
    }
}

async fn feed(sink: impl EventSink, mut events: mpsc::Receiver<SessionEvent>, deadline: Duration) {
    while let Some(event) = events.recv().await {
        if let Err(error) = send_in_time(&sink, &event, deadline).await {
            tracing::warn!(
                sink = sink.name(), event = ?event.kind(), code = error.code(), %error,
                "an observer lost an event"
            );
        }
    }
}

async fn send_in_time(
    sink: &dyn EventSink,
    event: &SessionEvent,
    deadline: Duration,
) -> Result<(), SinkError> {
    let sent = AssertUnwindSafe(sink.send(event)).catch_unwind();
    let name = sink.name();
    match timeout(deadline, sent).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            // Here only for what it does when it is dropped.
            panic_words(panic);
            Err(SinkError::transient(
                "sink_panicked",
                format!("the sink `{name}` panicked; this is a bug in the sink"),
            ))
        }
        Err(_) => Err(SinkError::transient(
            "sink_timeout",
            format!("the sink `{name}` did not answer in {deadline:?}; look at what it waits for"),
        )),
    }
}

#[async_trait]
impl EventSink for FanOut {
    fn name(&self) -> &str {
        "fan_out"
    }

    /// The first transient error of a required sink, else the first error of one.
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let deadline = self.deadline;
        let sends = self
            .required
            .iter()
            .map(|sink| send_in_time(sink, event, deadline));
        let results = join_all(sends).await;
        // While one may still accept it, it is worth sending again.
        let mut errors = results.into_iter().filter_map(Result::err);
        let Some(first) = errors.next() else {
            self.show(event);
            return Ok(());
        };
        let decisive = match first.is_transient() {
            true => first,
            false => errors.find(SinkError::is_transient).unwrap_or(first),
        };
        Err(decisive)
    }
}

impl FanOut {
    fn show(&self, event: &SessionEvent) {
        for observer in &self.observers {
            if observer.queue.try_send(event.clone()).is_err() {
                tracing::warn!(
                    sink = observer.name,
                    event = ?event.kind(),
                    "an observer lost an event: too many wait for it, or it is gone"
                );
            }
        }
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required: Vec<_> = self.required.iter().map(EventSink::name).collect();
        let observers: Vec<_> = self.observers.iter().map(|sink| &*sink.name).collect();
        f.debug_struct("FanOut")
            .field("required", &required)
            .field("observers", &observers)
            .finish_non_exhaustive()
    }
}
