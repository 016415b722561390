//! [`Deliveries`]: queues the events of one session, and delivers them in order by one task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::error::OnboardError;
use super::last::LastEvent;
use super::pending::PendingEvents;
use crate::event::{EventKind, EventSink, Failed, SessionEvent, SinkError, in_time};
use crate::phone::PhoneNumber;
use crate::retry::Backoff;

/// How long one attempt may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The codes of a sink that refuses an event; after any other error it may have accepted the event.
const REFUSALS: [&str; 4] = [
    "number_already_connected",
    "rebind_refused",
    "unknown_session",
    "invalid_event",
];

/// The events of a session that wait for their delivery.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeliveryState {
    /// How many events wait, at most 64. One that is being sent counts.
    pub waiting: usize,
    /// The latest error of the first of them, if it was not accepted yet.
    pub error: Option<SinkError>,
    /// The reason for which the sink has refused the session's latest event, or its number. `None` once it
    /// has accepted one.
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

#[derive(Default)]
pub(super) struct State {
    pending: PendingEvents<Tag>,
    /// The last event that was queued, unless it was given up.
    pub(super) last: LastEvent,
    /// Number of disconnects.
    pub(super) disconnects: u64,
    pub(super) refusal: Option<Refusal>,
    error: Option<SinkError>,
    task: Option<JoinHandle<()>>,
}

/// An event that the sink has refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The number, if it is the number that was refused.
    pub(super) phone: Option<PhoneNumber>,
    pub(super) error: SinkError,
}

struct Tag {
    last: LastEvent,
    /// The last event before this one.
    before: LastEvent,
    /// Whether an error is sent again that was the last event.
    repeats: bool,
    /// The reason for which the sink has refused a `session_ready` that this event replaces.
    refused: Option<Failed>,
    reply: oneshot::Sender<Reply>,
}

type Reply = Result<Accepted, OnboardError>;

/// The event or refusal that the sink has accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Event,
    /// It has refused the number for this reason, and has accepted the `session_error`.
    Refusal(Failed),
}

/// An event that was queued, or that found no room.
pub(super) struct Receipt(Result<(SessionEvent, oneshot::Receiver<Reply>), OnboardError>);

impl State {
    pub(super) fn has_room(&self) -> bool {
        self.pending.has_room()
    }

    /// Queues an event. `seq` numbers it, and is called only if there is room.
    pub(super) fn push(
        &mut self,
        event: SessionEvent,
        last: LastEvent,
        repeats: bool,
        number: impl FnOnce(SessionEvent) -> SessionEvent,
    ) -> Receipt {
        if !self.has_room() {
            let text = "64 events of the session wait for the sink; send this one again later";
            let error = SinkError::transient("queue_full", text);
            return Receipt(Err(OnboardError::new(event, error)));
        }
        let (reply, receipt) = oneshot::channel();
        let before = std::mem::replace(&mut self.last, last.clone());
        let tag = Tag {
            last,
            before,
            repeats,
            refused: None,
            reply,
        };
        let queued = number(event);
        if let Some((event, tag)) = self.pending.push(queued.clone(), tag) {
            let text = "too many events wait for the sink, and a later one has replaced this one";
            let error = SinkError::permanent("superseded", text);
            tracing::info!(event = ?event.kind(), "an event was dropped: {text}");
            tag.answer(Err(OnboardError::new(event, error)));
        }
        Receipt(Ok((queued, receipt)))
    }

    fn accept_first(&mut self) {
        let Some((event, tag)) = self.pending.remove_first() else {
            return;
        };
        self.error = None;
        if !matches!(event.kind(), EventKind::SessionError(_)) {
            self.refusal = None;
        }
        let refused = tag.refused.clone();
        tag.answer(Ok(refused.map_or(Accepted::Event, Accepted::Refusal)));
    }

    fn refuse_first(&mut self, error: SinkError) {
        let is_latest = self.pending.len() == 1;
        let Some((event, tag)) = self.pending.first_mut() else {
            return;
        };
        let phone = match event.kind() {
            EventKind::SessionReady(ready) => Some(ready.phone().clone()),
            _ => None,
        };
        if self.refusal.as_ref().map(|it| it.error.code()) != Some(error.code()) {
            tracing::warn!(event = ?event.kind(), code = error.code(), %error, "the sink refused an event");
        }
        self.error = None;
        let is_ready = phone.is_some();
        let phone = phone.filter(|_| error.code() != "unknown_session");
        self.refusal = Some(Refusal {
            phone,
            error: error.clone(),
        });
        if !is_ready {
            self.give_up_first(error);
            return;
        }
        let failed = Failed::new(error.code(), error.to_string());
        let report = LastEvent::Failed(Some(error.code().to_owned()));
        let is_known = tag.before == report && !tag.repeats;
        tag.last = report.clone();
        tag.refused = Some(failed.clone());
        if is_latest {
            self.last = report;
        }
        if is_known {
            self.accept_refusal();
        } else if let Some(session) = event.session() {
            // It takes the place of the `session_ready`, in the order too.
            let seq = event.seq();
            *event = SessionEvent::session_error(session.clone(), failed);
            if let Some(seq) = seq {
                *event = event.clone().with_seq(seq);
            }
        }
    }

    /// Removes a refused `session_ready` whose `session_error` was sent before.
    fn accept_refusal(&mut self) {
        if let Some((_, tag)) = self.pending.remove_first()
            && let Some(failed) = tag.refused.clone()
        {
            tag.answer(Ok(Accepted::Refusal(failed)));
        }
    }

    fn give_up_first(&mut self, error: SinkError) {
        let Some((event, tag)) = self.pending.remove_first() else {
            return;
        };
        self.error = None;
        if self.pending.len() == 0 {
            // A QR code that may have arrived does not make a session linked.
            self.last = match tag.last.is_qr_code() && tag.before.is_unlinked() {
                true => tag.before.clone(),
                false => LastEvent::Unconfirmed,
            };
        }
        if tag.reply.is_closed() {
            tracing::error!(event = ?event.kind(), code = error.code(), %error, "an event was given up");
        }
        tag.answer(Err(OnboardError::new(event, error)));
    }
}

impl Tag {
    fn answer(self, reply: Reply) {
        // The caller may not wait for it.
        drop(self.reply.send(reply));
    }
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

    /// Waits until no event waits.
    pub(super) async fn idle(&self) {
        self.until(|state| state.pending.len() == 0).await;
    }

    /// Waits until there is room for an event.
    pub(super) async fn room(&self) {
        self.until(State::has_room).await;
    }

    async fn until(&self, is_reached: impl Fn(&State) -> bool) {
        loop {
            let mut finished = std::pin::pin!(self.queue.finished.notified());
            finished.as_mut().enable();
            self.start();
            if is_reached(&self.lock()) {
                return;
            }
            finished.await;
        }
    }

    /// Waits until the sink has accepted the event, or has failed for good.
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
                Ok(()) => state.accept_first(),
                Err(error) if is_refusal(&error) => state.refuse_first(error),
                Err(error) => state.give_up_first(error),
            }
            drop(state);
            self.queue.finished.notify_waiters();
        }
    }

    /// Sends the event until the sink accepts or refuses it, or the backoff ends. A sink that does not
    /// answer in time may have accepted it: it gets the event again under the same id.
    async fn deliver(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let start = Instant::now();
        let mut delays = self.backoff.delays();
        let mut delay = delays.next().unwrap_or_default();
        loop {
            sleep(delay).await;
            let sent = self.sink.send(event);
            let Err(error) = in_time(&self.sink, SEND_TIMEOUT, sent).await else {
                return Ok(());
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
