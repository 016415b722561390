//! One task of a session: run, run again, caught, answered.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Instrument;

use super::inner::{Inner, Leaver};
use super::patience::Patience;
use super::reason::{Name, Reason, ReasonKind};
use super::session::Session;
use crate::classify::{Phase, Verdict};
use crate::extract;
use crate::failure::{ProtocolFailure, Site};

/// Any error: what tasks fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a task has no answer. `Debug` and `Display` are cleaned; the task's own error, in
/// [`Failed`](Self::Failed), is as it was.
#[non_exhaustive]
pub enum TaskError {
    /// It failed, for the last time if it was run more often.
    Failed {
        /// Its own error, as it returned it.
        error: BoxError,
        /// What the classifier made of it.
        reason: Reason,
    },
    /// It panicked, and its session ends.
    Panicked(Reason),
    /// Its session was over before it was: this is the session's reason.
    Ended(Reason),
}

impl TaskError {
    /// Why, as it is reported.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        match self {
            Self::Failed { reason, .. } | Self::Panicked(reason) | Self::Ended(reason) => reason,
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Failed { .. } => "Failed",
            Self::Panicked(_) => "Panicked",
            Self::Ended(_) => "Ended",
        };
        f.debug_tuple(name).field(self.reason()).finish()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Ended(reason) = self {
            return write!(f, "the session was over before this task: {reason}");
        }
        self.reason().fmt(f)
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The failure itself is in the words; what caused it is not.
        self.reason().failure()?.source()
    }
}

/// A task of a session, to be awaited for its answer. Dropping it loses only the answer: the task
/// belongs to its session.
#[must_use = "the task runs anyway; `drop` it if its answer does not matter"]
pub struct Task<T> {
    answer: oneshot::Receiver<Result<T, TaskError>>,
    inner: Arc<Inner>,
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        // Without an answer it was aborted, which happens to ending sessions only.
        Poll::Ready(answer.unwrap_or_else(|_| Err(ended(&self.inner))))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("session", &self.inner.id)
            .finish_non_exhaustive()
    }
}

fn ended(inner: &Inner) -> TaskError {
    let reason = inner.state().reason().cloned();
    TaskError::Ended(reason.unwrap_or(Reason::plain(ReasonKind::Stopped)))
}

/// Runs `work` as a task of this session.
pub(super) fn launch<T: Send + 'static>(
    inner: &Arc<Inner>,
    name: Name,
    work: impl Future<Output = Result<T, TaskError>> + Send + 'static,
) -> Task<T> {
    let (sender, answer) = oneshot::channel();
    let task = Task {
        answer,
        inner: Arc::clone(inner),
    };
    match inner.enter() {
        Err(reason) => drop(sender.send(Err(TaskError::Ended(reason)))),
        Ok(slot) => spawn(inner, slot, name, work, sender),
    }
    task
}

fn spawn<T: Send + 'static>(
    inner: &Arc<Inner>,
    slot: u64,
    name: Name,
    work: impl Future<Output = Result<T, TaskError>> + Send + 'static,
    sender: oneshot::Sender<Result<T, TaskError>>,
) {
    let span = tracing::info_span!("session_task", session = %inner.id, task = &*name);
    let place = Place {
        slot,
        inner: Arc::clone(inner),
        is_done: false,
    };
    let work = Caught {
        work: Some(Box::pin(work)),
        name: name.clone(),
        inner: Arc::clone(inner),
    };
    let running = Running {
        work,
        sender: Some(sender),
        place,
    };
    let run = running.run(name).instrument(span);
    inner.settle(slot, inner.runtime.spawn(run).abort_handle());
}

/// A task that runs. Its fields are in the order of their drops, should it be aborted: whoever sees
/// its place empty knows that the work is gone and its answer decided.
struct Running<W, T> {
    work: Caught<W>,
    sender: Option<oneshot::Sender<Result<T, TaskError>>>,
    place: Place,
}

impl<T, W: Future<Output = Result<T, TaskError>>> Running<W, T> {
    async fn run(mut self, name: Name) {
        let answer = match Pin::new(&mut self.work).await {
            Ok(answer) => answer,
            Err(failure) => {
                let reason = self.place.inner.panicked(&name, failure);
                Err(TaskError::Panicked(reason))
            }
        };
        self.place.is_done = true;
        // An answer that nobody wants is dropped here, and its destructor is foreign too.
        if let Some(sender) = self.sender.take()
            && let Err(unwanted) = sender.send(answer)
            && let Err(failure) = quietly(|| drop(unwanted))
        {
            self.place.inner.panicked(&name, failure);
        }
    }
}

/// A task's place in its session, left when it is dropped.
struct Place {
    slot: u64,
    inner: Arc<Inner>,
    is_done: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_done {
            // Aborted by its session, which is ending then; or dropped by its runtime.
            let stopped = Reason::plain(ReasonKind::Stopped);
            self.inner.end(stopped, Duration::ZERO);
        }
        self.inner.leave(Leaver::Task(self.slot));
    }
}

/// Foreign work whose panics stay here: when it begins, in a poll, in its destructor.
struct Caught<W> {
    work: Option<Pin<Box<W>>>,
    name: Name,
    inner: Arc<Inner>,
}

impl<W> Caught<W> {
    fn discard(&mut self) {
        let work = self.work.take();
        if let Err(failure) = quietly(|| drop(work)) {
            self.inner.panicked(&self.name, failure);
        }
    }
}

impl<W: Future> Future for Caught<W> {
    type Output = Result<W::Output, ProtocolFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let answer = match quietly(|| work.as_mut().poll(cx)) {
            Ok(polled) => Ok(ready!(polled)),
            Err(failure) => Err(failure),
        };
        self.discard();
        Poll::Ready(answer)
    }
}

impl<W> Drop for Caught<W> {
    fn drop(&mut self) {
        self.discard();
    }
}

/// What `act` returns, or the words of its panic.
pub(super) fn quietly<T>(act: impl FnOnce() -> T) -> Result<T, ProtocolFailure> {
    extract::quietly(act).map_err(|words| ProtocolFailure::new(Site::Unknown, words))
}

/// Work that is run once.
pub(super) async fn once<T, E: Into<BoxError>>(
    inner: Arc<Inner>,
    name: Name,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, TaskError> {
    match work.await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(fail(&inner, &name, error.into(), false)),
    }
}

/// Work that is run again as long as its errors may pass and its policy allows.
pub(super) async fn again<T, E: Into<BoxError>, W: Future<Output = Result<T, E>>>(
    inner: Arc<Inner>,
    name: Name,
    mut patience: Patience,
    mut work: impl FnMut() -> W,
) -> Result<T, TaskError> {
    let mut delay = patience.first();
    while inner.pause(delay).await {
        let error = match work().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error.into(),
        };
        let judged = inner.judge(error.as_ref());
        // An ending session runs nothing again, so there this error is the last, and told as such.
        let is_live = inner.state().phase() == Phase::Live;
        let may_pass = is_live && judged.verdict(Phase::Live) == Verdict::Retry;
        let next = may_pass.then(|| patience.next()).flatten();
        let Some(next) = next else {
            return Err(fail(&inner, &name, error, false));
        };
        tracing::debug!(class = %judged.class, rule = &*judged.rule, ?next, "the task is run again");
        delay = next;
    }
    Err(ended(&inner))
}

/// `is_fatal`: the session cannot go on without this task, whatever the error means.
fn fail(inner: &Arc<Inner>, name: &Name, error: BoxError, is_fatal: bool) -> TaskError {
    let failure = ProtocolFailure::from_error(Site::Unknown, error.as_ref());
    let judged = inner.judge(error.as_ref());
    let (verdict, reason) = inner.fail(name, judged, failure, is_fatal);
    match verdict {
        Verdict::Suppress => ended(inner),
        _ => TaskError::Failed { error, reason },
    }
}

/// Brings a session back: after the delay, hands it to the hook. Where the hook fails, this session
/// ends too, and takes its turn in the row of failures.
pub(super) fn restart(inner: &Arc<Inner>, delay: Duration, reason: Reason) {
    let Some(hook) = inner.shared.restart.as_ref().map(|(_, hook)| hook.clone()) else {
        return;
    };
    let (it, name) = (Arc::clone(inner), Name::Borrowed("restart"));
    let work = async move {
        // It may have been called off between the two.
        if !it.pause(delay).await || !it.revive() {
            return Ok(());
        }
        let hooked = hook(Session::new(&it), reason).await;
        hooked.map_err(|error| fail(&it, &Name::Borrowed("restart"), error, true))
    };
    drop(launch(inner, name, work));
}
