//! Events to several sinks, of which one decides: [`FanOut`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::sink::in_time;
use super::{Decision, EventSink, SessionEvent, SinkError};

/// The default deadline of one sink for one event.
const SEND_DEADLINE: Duration = Duration::from_secs(10);
/// How many events wait for an observer.
const MAX_WAITING: usize = 1024;

/// Sends every event to a deciding sink first, and then to observers.
///
/// `send` returns the result of the **deciding** sink, usually a
/// [`StoreSink`](crate::store::StoreSink). No observer gets an event that it refused, nor one that it
/// [withholds](Decision::Withhold), as a store does with an outdated one. A repeated event is passed on;
/// observers recognise its id.
///
/// Each **observer** has its own queue and task: it gets the events in order, and delays neither `send`
/// nor the others. Its delivery is best effort: an event is logged and lost if the observer refuses it, or
/// if 1024 events wait already. If the tokio runtime of the task has ended, the events that waited are lost,
/// and the next event starts the task again.
///
/// If several events are sent at once, the deciding sink gets them in any order, and each observer may get
/// them in another one. If the order matters, await each `send` before the next, or set
/// [`seq`](SessionEvent::with_seq).
///
/// ```
/// use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey};
/// use whatsapp_phone::event::{channel::channel, fan_out::FanOut};
/// use whatsapp_phone::store::{SessionStore, StoreSink, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = SessionKey::new(7, "session-1")?;
/// let store = MemoryStore::default();
/// store.register(&session).await?;
///
/// let (screen, mut shown) = channel(10);
/// let sink = FanOut::after(StoreSink::new(store)).observer(screen);
/// sink.send(&SessionEvent::session_authenticated(session)).await?;
/// assert!(shown.recv().await.is_some());
/// # Ok(())
/// # }
/// ```
pub struct FanOut {
    deciding: Arc<dyn EventSink>,
    observers: Vec<Observer>,
    deadline: Duration,
}

struct Observer {
    sink: Arc<dyn EventSink>,
    /// Read by the observer's task, which the first event in a runtime starts.
    queue: Mutex<mpsc::Sender<SessionEvent>>,
}

impl FanOut {
    /// Makes a fan-out with this deciding sink and no observers.
    #[must_use]
    pub fn after(deciding: impl EventSink + 'static) -> Self {
        Self {
            deciding: Arc::new(deciding),
            observers: Vec::new(),
            deadline: SEND_DEADLINE,
        }
    }

    /// Adds an observer. The first event in a tokio runtime starts its task there. The task ends when
    /// this fan-out was dropped and no event waits.
    #[must_use]
    pub fn observer(mut self, sink: impl EventSink + 'static) -> Self {
        self.observers.push(Observer {
            sink: Arc::new(sink),
            // Closed, as that of a task that has ended.
            queue: Mutex::new(mpsc::channel(1).0),
        });
        self
    }

    /// Sets how long each sink may take for one event. Default: 10 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

#[async_trait]
impl EventSink for FanOut {
    fn name(&self) -> &str {
        "fan_out"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.decide(event).await.map(drop)
    }

    async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        let sink = &*self.deciding;
        let decision = in_time(sink, self.deadline, || sink.decide(event)).await?;
        if decision == Decision::PassOn {
            for observer in &self.observers {
                observer.pass_on(event, self.deadline);
            }
        }
        Ok(decision)
    }
}

impl Observer {
    fn pass_on(&self, event: &SessionEvent, deadline: Duration) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sent = queue.try_send(event.clone());
        if let Err(TrySendError::Closed(event)) = sent {
            let (restarted, events) = mpsc::channel(MAX_WAITING);
            tokio::spawn(deliver(Arc::clone(&self.sink), events, deadline));
            *queue = restarted;
            sent = queue.try_send(event);
        }
        if sent.is_err() {
            tracing::warn!(
                sink = self.sink.name(),
                event = ?event.kind(),
                "an observer lost an event: its queue is full"
            );
        }
    }
}

async fn deliver(
    sink: Arc<dyn EventSink>,
    mut events: mpsc::Receiver<SessionEvent>,
    deadline: Duration,
) {
    while let Some(event) = events.recv().await {
        if let Err(error) = in_time(&sink, deadline, || sink.send(&event)).await {
            tracing::warn!(
                sink = sink.name(), event = ?event.kind(), code = error.code(), %error,
                "an observer lost an event"
            );
        }
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let observers: Vec<_> = self.observers.iter().map(|it| it.sink.name()).collect();
        f.debug_struct("FanOut")
            .field("deciding", &self.deciding.name())
            .field("observers", &observers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
