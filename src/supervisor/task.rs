//! The tasks of a session: [`Task`] and [`TaskError`].

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument;

use super::reason::{Name, Reason, ReasonKind};
use super::shared::SharedSession;
use crate::classify::{Phase, Verdict};
use crate::retry::Backoff;
use crate::text::catch_panic;

/// Any error: what tasks fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a task has no result. `Debug` and `Display` are cleaned; the task's own error, in
/// [`Failed`](Self::Failed), is unchanged.
///
/// `Display` leaves out the causes: [`Error::source`] gives them.
#[non_exhaustive]
pub enum TaskError {
    /// It failed, for the last time if it was run more often.
    #[non_exhaustive]
    Failed {
        /// The error that it returned.
        error: BoxError,
        /// The same, cleaned and classified.
        reason: Reason,
    },
    /// It panicked, and its session ends.
    Panicked(Reason),
    /// Its session ended before it was done, for this reason.
    Ended(Reason),
}

impl TaskError {
    /// Returns the reason, as it is reported.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        match self {
            Self::Failed { reason, .. } | Self::Panicked(reason) | Self::Ended(reason) => reason,
        }
    }

    /// Returns the error of a task whose session has ended.
    fn ended(session: &SharedSession) -> Self {
        let reason = session.state().reason().cloned();
        Self::Ended(reason.unwrap_or(Reason::plain(ReasonKind::Stopped)))
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskError").field(self.reason()).finish()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Ended(_) = self {
            f.write_str("the session was over before this task: ")?;
        }
        f.write_str(&self.reason().text(ToString::to_string))
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason().failure()?.source()
    }
}

/// A task of a session, to be awaited for its result. Dropping it loses only the result: the task
/// belongs to its session.
#[must_use = "the task runs anyway; `drop` it if its answer does not matter"]
pub struct Task<T> {
    result: oneshot::Receiver<Result<T, TaskError>>,
    session: Arc<SharedSession>,
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.result).poll(cx));
        // Without an answer it was aborted, which happens to ending sessions only.
        Poll::Ready(result.unwrap_or_else(|_| Err(TaskError::ended(&self.session))))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.session.id)
    }
}

/// Runs `work` as a task of this session. `is_required`: its error ends the session, whatever it means.
pub(super) fn launch<T: Send + 'static>(
    session: &Arc<SharedSession>,
    name: Name,
    is_required: bool,
    work: impl Future<Output = Result<T, Option<BoxError>>> + Send + 'static,
) -> Task<T> {
    let (sender, result) = oneshot::channel();
    if let Some(place) = session.add_task() {
        // No parent: a session outlives its caller, and a task of the session before launches its
        // restart.
        let span =
            tracing::info_span!(parent: None, "session_task", session = %session.id, task = &*name);
        let running = Running {
            work: Some(Box::pin(work)),
            sender: Some(sender),
            place: Some(place),
            of: Origin {
                session: Arc::clone(session),
                name,
                is_required,
            },
        };
        let running = session.abort.clone().run_until_cancelled_owned(running);
        session.runtime.spawn(running.instrument(span));
    }
    Task {
        result,
        session: Arc::clone(session),
    }
}

/// Foreign work whose panics stay here: when it begins, in a poll, in a destructor.
struct Running<W, T> {
    work: Option<Pin<Box<W>>>,
    sender: Option<oneshot::Sender<Result<T, TaskError>>>,
    place: Option<TaskTrackerToken>,
    of: Origin,
}

/// The task that has failed, if it fails.
struct Origin {
    session: Arc<SharedSession>,
    name: Name,
    is_required: bool,
}

impl Origin {
    /// Runs foreign code. If it panics, the session ends for the reason that is returned.
    fn catch_panic<R>(&self, foreign: impl FnOnce() -> R) -> Result<R, Reason> {
        catch_panic(foreign).map_err(|message| {
            let reason = Reason::panicked(self.name.clone(), &message);
            self.session.fail(&reason, true);
            reason
        })
    }

    fn drop_foreign(&self, foreign: impl Sized) {
        drop(self.catch_panic(|| drop(foreign)));
    }

    /// Acts on the last error, and returns what the handle gets.
    fn failed(&self, error: Option<BoxError>) -> TaskError {
        let Some(error) = error else {
            return TaskError::ended(&self.session);
        };
        let reason = self.session.reason(&self.name, error.as_ref());
        match self.session.fail(&reason, self.is_required) {
            Verdict::Suppress => TaskError::ended(&self.session),
            _ => TaskError::Failed { error, reason },
        }
    }
}

impl<T, W: Future<Output = Result<T, Option<BoxError>>>> Future for Running<W, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (Some(work), of) = (&mut this.work, &this.of) else {
            return Poll::Ready(());
        };
        let failed = |error| of.failed(error);
        let result = match of.catch_panic(|| work.as_mut().poll(cx).map_err(failed)) {
            Ok(polled) => ready!(polled),
            Err(reason) => Err(TaskError::Panicked(reason)),
        };
        of.drop_foreign(this.work.take());
        of.drop_foreign(this.sender.take().map(|sender| sender.send(result)));
        Poll::Ready(())
    }
}

/// Leaves the place last: when it is empty, the work is gone and its answer decided.
impl<W, T> Drop for Running<W, T> {
    fn drop(&mut self) {
        self.of.drop_foreign(self.work.take());
        let session = &self.of.session;
        // A task without an answer was aborted, in a session that is ending, or its runtime was shut down.
        if self.sender.take().is_some() && session.is_live() {
            session.end(Reason::plain(ReasonKind::Stopped), Duration::ZERO);
        }
        drop(self.place.take());
        session.close_if_done();
    }
}

/// Runs work once.
pub(super) async fn once<T, E: Into<BoxError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Option<BoxError>> {
    work.await.map_err(|error| Some(error.into()))
}

/// Runs work again as long as its errors are transient and the backoff allows. No error: its session is ending.
pub(super) async fn again<T, E: Into<BoxError>, W: Future<Output = Result<T, E>>>(
    session: Arc<SharedSession>,
    name: Name,
    backoff: Backoff,
    mut work: impl FnMut() -> W,
) -> Result<T, Option<BoxError>> {
    let (start, mut delays) = (Instant::now(), backoff.delays());
    // A backoff has at least one attempt.
    let mut delay = delays.next().unwrap_or_default();
    while session.pause(delay).await {
        let error = match work().await {
            Ok(result) => return Ok(result),
            Err(error) => error.into(),
        };
        let reason = session.reason(&name, error.as_ref());
        let next = match reason.verdict(Phase::Live) {
            Verdict::Retry if session.is_live() => delays.next_within(start.elapsed()),
            _ => None,
        };
        delay = next.ok_or(error)?;
        tracing::debug!(%reason, ?delay, "the task is run again");
    }
    Err(None)
}
