//! A handle of one session: [`Session`], [`States`].

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;

use super::reason::{Name, Reason, ReasonKind};
use super::shared::SharedSession;
use super::state::SessionState;
use super::task::{self, BoxError, Task};
use crate::classify::Verdict;
use crate::retry::Backoff;
use crate::text::catch_panic;

/// A session under a [`Supervisor`](super::Supervisor). Clones are handles of the same session.
///
/// It continues until it is ended, one of its tasks ends it by an error or a panic, or its last handle is
/// dropped and its tasks are done. Dropping handles therefore aborts nothing.
#[must_use = "a session without handles ends as soon as it has no tasks"]
pub struct Session(Arc<SharedSession>);

impl Session {
    pub(super) fn new(shared: &Arc<SharedSession>) -> Self {
        shared.lifecycle().handles += 1;
        Self(Arc::clone(shared))
    }

    /// Returns the id that it was started with, unmasked.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.id.as_str()
    }

    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.0.state()
    }

    /// Returns every state from now on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::Supervisor;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), whatsapp_phone::supervisor::StartError> {
    /// let session = Supervisor::new().start("7")?;
    /// let mut states = session.states();
    /// assert_eq!(states.next().await.unwrap().as_str(), "live");
    /// session.end(Duration::ZERO).await;
    /// assert_eq!(states.next().await.unwrap().to_string(), "ended: ended on purpose");
    /// assert!(states.next().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn states(&self) -> States {
        let mut states = self.0.states.subscribe();
        states.mark_changed();
        States(Some(states))
    }

    /// Returns how many tasks it has.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.0.tasks.len()
    }

    /// Returns how many errors were suppressed, because they are expected after its end has begun.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.0.lifecycle().suppressed
    }

    /// Runs a task that may be run more often: `work` makes a new future for each run.
    ///
    /// An error whose verdict is [`Retry`](Verdict::Retry) has it run again after the next delay of the
    /// backoff, as long as there are attempts left and it would begin within the deadline, counted from
    /// the start of the task. A run itself is not bounded, and a deadline that one run uses up leaves no
    /// time for another. Work that continues for days needs a loop of its own, which knows what went well.
    /// All other verdicts are as for [`spawn`](Self::spawn), and so is the last error.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::source::mock::MockSource;
    /// use whatsapp_phone::{Backoff, Extractor, Supervisor};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Readable only in the second extraction: the first one ends after ten seconds.
    /// let page = MockSource::new("page").number_at(Duration::from_secs(14), "628110000041@c.us");
    /// let extractor = Extractor::builder().source(page).build()?;
    ///
    /// // Three extractions, two seconds apart.
    /// let backoff = Backoff::builder().attempts(3).interval(Duration::from_secs(2)).build()?;
    /// let session = Supervisor::new().start("7")?;
    /// let found = session.run("number", &backoff, move || {
    ///     let extractor = extractor.clone();
    ///     async move { extractor.extract().await }
    /// });
    /// assert_eq!(found.await?.phone.reveal(), "628110000041");
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<T, E, W>(
        &self,
        name: impl Into<Name>,
        backoff: &Backoff,
        work: impl FnMut() -> W + Send + 'static,
    ) -> Task<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
        W: Future<Output = Result<T, E>> + Send + 'static,
    {
        let name = name.into();
        let work = task::again(Arc::clone(&self.0), name.clone(), backoff.clone(), work);
        task::launch(&self.0, name, false, work)
    }

    /// Runs a task once.
    ///
    /// The classifier decides what its error means. A lost page or browser ends the session; an error that
    /// is expected in an ending session is suppressed; every other one is reported, and the session goes
    /// on without the task. A panic is reported and ends the session.
    ///
    /// In a session that is ending it does not start: its result is
    /// [`TaskError::Ended`](super::TaskError::Ended).
    pub fn spawn<T, E>(
        &self,
        name: impl Into<Name>,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Task<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        task::launch(&self.0, name.into(), false, task::once(work))
    }

    /// Runs a task once that the session cannot continue without, for instance the one that holds its page.
    ///
    /// As [`spawn`](Self::spawn), but every error of it ends the session, whatever the error means. So the
    /// [restart hook](super::SupervisorBuilder::restart) is called for it, also if the page could not be
    /// opened because the browser was not found.
    pub fn spawn_required<T, E>(
        &self,
        name: impl Into<Name>,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Task<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        task::launch(&self.0, name.into(), true, task::once(work))
    }

    /// Waits until the session is ending: the stop signal. The future holds no handle.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::Supervisor;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = Supervisor::new().start("7")?;
    /// let ending = session.ending();
    /// let page = session.spawn("page", async move {
    ///     ending.await;
    ///     Ok::<_, std::io::Error>("closed in good order")
    /// });
    /// session.end(Duration::from_secs(5)).await;
    /// assert_eq!(page.await?, "closed in good order");
    /// # Ok(())
    /// # }
    /// ```
    pub fn ending(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.ending.clone().cancelled_owned()
    }

    /// Ends it on purpose: its tasks get the [stop signal](Self::ending), and are aborted if they are
    /// not done within this time. Returns its state when it has ended.
    ///
    /// If it was ending already, its first reason stays and the earlier deadline counts. Dropping the
    /// future stops nothing. A task that never yields cannot be aborted: then the state is still
    /// [`Ending`](SessionState::Ending), and is returned 100 ms after the deadline. Do not await this in
    /// one of its own tasks, which would wait for itself.
    pub async fn end(&self, within: Duration) -> SessionState {
        self.0.end(Reason::plain(ReasonKind::Requested), within);
        self.0.ended(within).await
    }

    /// Acts on an error that happened outside of the session's tasks, for instance in a driver's
    /// callback, as on the error of a task of that name: ends the session, reports it, or suppresses and
    /// counts it, also long after the end. [`Retry`](Verdict::Retry) is reported. If printing the error
    /// panics, that counts as a panic of the task.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::classify::Verdict;
    /// use whatsapp_phone::failure::{ProtocolFailure, Site};
    /// use whatsapp_phone::Supervisor;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), whatsapp_phone::supervisor::StartError> {
    /// let orphan = ProtocolFailure::new(Site::Cdp, "Protocol error (Runtime.evaluate): Target closed.");
    /// let supervisor = Supervisor::new();
    /// let (a, b) = (supervisor.start("a")?, supervisor.start("b")?);
    /// a.end(Duration::ZERO).await;
    /// assert_eq!(a.handle_error("callback", &orphan), Verdict::Suppress);
    /// assert_eq!(b.handle_error("callback", &orphan), Verdict::EndSession);
    /// assert!(b.state().is_ended());
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle_error(&self, name: impl Into<Name>, error: &(dyn Error + 'static)) -> Verdict {
        let name = name.into();
        match catch_panic(|| self.0.reason(&name, error)) {
            Ok(reason) => self.0.fail(&reason, false),
            Err(message) => self.0.fail(&Reason::panicked(name, &message), true),
        }
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.lifecycle().handles -= 1;
        self.0.close_if_done();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {})", self.0.id, self.state())
    }
}

/// The states of a session, from [`Session::states`]. It holds no handle.
///
/// A slow reader may miss states in between, but never the last one.
#[derive(Debug)]
pub struct States(Option<watch::Receiver<SessionState>>);

impl States {
    /// Returns the current state the first time, then waits for each next one. `None` after
    /// [`Ended`](SessionState::Ended).
    pub async fn next(&mut self) -> Option<SessionState> {
        let states = self.0.as_mut()?;
        // The sender goes after the end only.
        states.changed().await.ok()?;
        let state = states.borrow_and_update().clone();
        self.0.take_if(|_| state.is_ended());
        Some(state)
    }

    /// Returns a stream of what [`next`](Self::next) returns.
    pub fn into_stream(self) -> impl Stream<Item = SessionState> + Send + Unpin {
        Box::pin(unfold(self, async |mut states| {
            states.next().await.map(|state| (state, states))
        }))
    }
}
