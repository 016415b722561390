//! [`Deliveries`]: queues the events of one session, and delivers them in order by one task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::error::OnboardError;
use super::state::{Receipt, Reply, State, Tag};
use crate::event::{Decision, EventSink, REFUSALS, SessionEvent, SinkError, in_time};
use crate::retry::Backoff;

/// How long one attempt may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The events of a session that wait for their delivery.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeliveryState {
    /// How many events wait: at most 64, and one `session_disconnected`. One that is being sent counts.
    pub waiting: usize,
    /// The latest error of the first of them, if it was not accepted yet.
    pub error: Option<SinkError>,
    /// The reason for which the sink has refused the session's latest event, or its number. `None` once it
    /// has accepted one that is no `session_error`.
    pub refusal: Option<SinkError>,
}

/// Clones share their queue.
#[derive(Clone)]
pub(super) struct Deliveries {
    pub(super) sink: Arc<dyn EventSink>,
    pub(super) backoff: Backoff,
    /// Whether permanent errors that are no refusals are retried too.
    pub(super) retries_all: bool,
    queue: Arc<Queue>,
    /// Counts the clones outside of the task.
    handles: Arc<()>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Notified after each event.
    finished: Notify,
}

impl Deliveries {
    pub(super) fn new(sink: impl EventSink + 'static, backoff: Backoff) -> Self {
        Self {
            sink: Arc::new(sink),
            backoff,
            retries_all: false,
            queue: Arc::default(),
            handles: Arc::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.queue.lock()
    }

    pub(super) fn state(&self) -> DeliveryState {
        let state = self.lock();
        DeliveryState {
            waiting: state.pending.len(),
            error: state.error.clone(),
            refusal: state.refusal.as_ref().map(|it| it.error.clone()),
        }
    }

    /// Waits until none of the events waits that were queued before the call.
    pub(super) async fn settled(&self) {
        let queued = self.lock().queued;
        loop {
            let mut finished = std::pin::pin!(self.queue.finished.notified());
            finished.as_mut().enable();
            self.start();
            let is_later = |tag: &Tag| tag.queued > queued;
            if self.lock().pending.first().is_none_or(is_later) {
                return;
            }
            finished.await;
        }
    }

    /// Waits until the sink has accepted the event, or has failed permanently.
    pub(super) async fn accepted(&self, receipt: Receipt) -> Reply {
        self.start();
        let (event, reply) = receipt.0?;
        reply.await.unwrap_or_else(|_| {
            let error = SinkError::transient("cancelled", "the delivery was cancelled");
            Err(OnboardError::new(event, error))
        })
    }

    /// Starts the task in the present runtime, if events wait and none runs.
    pub(super) fn start(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut state = self.lock();
        let is_running = state.task.as_ref().is_some_and(|task| !task.is_finished());
        if state.pending.len() > 0 && !is_running {
            let task = Task {
                sink: Arc::clone(&self.sink),
                backoff: self.backoff.clone(),
                retries_all: self.retries_all,
                queue: Arc::clone(&self.queue),
                handles: Arc::downgrade(&self.handles),
            };
            state.task = Some(runtime.spawn(task.run()));
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    sink: Arc<dyn EventSink>,
    backoff: Backoff,
    retries_all: bool,
    queue: Arc<Queue>,
    handles: Weak<()>,
}

impl Task {
    async fn run(self) {
        loop {
            let event = {
                let mut state = self.queue.lock();
                let Some(event) = state.pending.send_first().cloned() else {
                    state.task = None;
                    return;
                };
                event
            };
            let result = self.deliver(&event).await;
            let mut state = self.queue.lock();
            match result {
                Ok(decision) => state.accept_first(decision),
                Err(error) if is_refusal(&error) => state.refuse_first(error),
                Err(error) => state.give_up_first(error, false),
            }
            drop(state);
            self.queue.finished.notify_waiters();
        }
    }

    /// Sends the event until the sink accepts or refuses it, or the backoff ends. A sink that does not
    /// answer in time may have accepted it: it gets the event again under the same id.
    async fn deliver(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        let start = Instant::now();
        let mut delays = self.backoff.delays();
        let mut delay = delays.next().unwrap_or_default();
        loop {
            sleep(delay).await;
            let sent = in_time(&self.sink, event, SEND_TIMEOUT, || self.sink.decide(event)).await;
            let error = match sent {
                Ok(decision) => return Ok(decision),
                Err(error) => error,
            };
            let may_pass = error.is_transient() || self.retries_all;
            if is_refusal(&error) || !may_pass || self.handles.strong_count() == 0 {
                return Err(error);
            }
            match delays.next_within(start.elapsed()) {
                Some(next) => delay = next,
                None => return Err(error),
            }
            self.remember(event, error);
        }
    }

    /// Logs an error once, until the event is accepted or another error comes.
    fn remember(&self, event: &SessionEvent, error: SinkError) {
        let mut state = self.queue.lock();
        if state.error.as_ref().map(SinkError::code) != Some(error.code()) {
            let (sink, code) = (self.sink.name(), error.code());
            tracing::warn!(sink, event = ?event.kind(), code, %error, "an event was not accepted yet");
        }
        state.error = Some(error);
    }
}

fn is_refusal(error: &SinkError) -> bool {
    REFUSALS.contains(&error.code())
}
