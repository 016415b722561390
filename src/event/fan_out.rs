//! Events to several sinks, of which one decides: [`FanOut`].

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::sink::in_time;
use super::{Decision, EventSink, SessionEvent, SessionKey, SinkError};
use crate::text::panic_message;

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
/// if 1024 events wait already. If the tokio runtime of the task ends, the event that was being sent is lost;
/// the next event starts the task again, and those that wait are sent then. If the fan-out was dropped too, they
/// are lost, and their number is logged.
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
#[must_use = "a sink does nothing until an event is sent"]
pub struct FanOut {
    deciding: Arc<dyn EventSink>,
    observers: Vec<Observer>,
    deadline: Duration,
}

struct Observer {
    name: String,
    queue: mpsc::Sender<SessionEvent>,
    waiting: Arc<tokio::sync::Mutex<Waiting>>,
    /// Started by the first event in a runtime.
    task: Mutex<Option<JoinHandle<()>>>,
}

/// The events that wait for an observer. They outlive its task.
struct Waiting {
    name: String,
    sink: Arc<dyn EventSink>,
    events: mpsc::Receiver<SessionEvent>,
    /// Whether an event was taken out whose delivery has not ended.
    is_sending: bool,
}

impl FanOut {
    /// Makes a fan-out with this deciding sink and no observers.
    pub fn after(deciding: impl EventSink + 'static) -> Self {
        Self {
            deciding: Arc::new(deciding),
            observers: Vec::new(),
            deadline: SEND_DEADLINE,
        }
    }

    /// Adds an observer. The first event in a tokio runtime starts its task there. The task ends when
    /// this fan-out was dropped and no event waits.
    pub fn observer(mut self, sink: impl EventSink + 'static) -> Self {
        self.observers.push(Observer::new(Arc::new(sink)));
        self
    }

    /// Sets how long each sink may take for one event. Default: 10 s.
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
        let decision = in_time(sink, event, self.deadline, || sink.decide(event)).await?;
        if decision == Decision::PassOn {
            for observer in &self.observers {
                observer.pass_on(event, self.deadline);
            }
        }
        Ok(decision)
    }

    async fn holds(&self, session: &SessionKey) -> Result<bool, SinkError> {
        self.deciding.holds(session).await
    }
}

impl Observer {
    fn new(sink: Arc<dyn EventSink>) -> Self {
        let name = sink.name().to_owned();
        let (queue, events) = mpsc::channel(MAX_WAITING);
        let waiting = Waiting {
            name: name.clone(),
            sink,
            events,
            is_sending: false,
        };
        Self {
            name,
            queue,
            waiting: Arc::new(tokio::sync::Mutex::new(waiting)),
            task: Mutex::new(None),
        }
    }

    fn pass_on(&self, event: &SessionEvent, deadline: Duration) {
        if self.queue.try_send(event.clone()).is_err() {
            tracing::warn!(
                sink = self.name,
                event = ?event.kind(),
                "an observer lost an event: its queue is full"
            );
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(deliver(Arc::clone(&self.waiting), deadline)));
        }
    }
}

async fn deliver(waiting: Arc<tokio::sync::Mutex<Waiting>>, deadline: Duration) {
    let mut waiting = waiting.lock().await;
    while let Err(panic) = AssertUnwindSafe(waiting.deliver(deadline))
        .catch_unwind()
        .await
    {
        // Drops the payload safely.
        panic_message(panic);
    }
}

impl Waiting {
    async fn deliver(&mut self, deadline: Duration) {
        if std::mem::take(&mut self.is_sending) {
            tracing::warn!(
                sink = self.name,
                "an observer may have lost an event: its task ended during the delivery"
            );
        }
        while let Some(event) = self.events.recv().await {
            self.is_sending = true;
            if let Err(error) =
                in_time(&self.sink, &event, deadline, || self.sink.send(&event)).await
            {
                tracing::warn!(
                    sink = self.name, event = ?event.kind(), code = error.code(), %error,
                    "an observer lost an event"
                );
            }
            self.is_sending = false;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let lost = self.events.len() + usize::from(self.is_sending);
        if lost > 0 {
            tracing::warn!(
                sink = self.name,
                lost,
                "an observer lost events: its fan-out and its task have ended"
            );
        }
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let observers: Vec<_> = self.observers.iter().map(|it| &it.name).collect();
        f.debug_struct("FanOut")
            .field("deciding", &self.deciding.name())
            .field("observers", &observers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
