//! A handle of one session: [`Session`], [`States`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::inner::{Inner, Leaver};
use super::patience::Patience;
use super::reason::{Reason, ReasonKind, SessionState};
use super::task::{self, BoxError, Task};
use crate::classify::{Phase, Verdict};
use crate::failure::{ProtocolFailure, Site};
use crate::retry::RetryPolicy;

/// A session under a [`Supervisor`](super::Supervisor). Clones are handles of the same session.
///
/// It lives until it is ended, one of its tasks ends it by an error or a panic, or nobody holds a
/// handle of it any more and its tasks are done. Dropping handles therefore cuts nothing off.
#[must_use = "a session without handles ends as soon as it has no tasks"]
pub struct Session(Arc<Inner>);

impl Session {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        inner.hold();
        Self(Arc::clone(inner))
    }

    /// The id that it was started with, unmasked.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.id.as_str()
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.0.state()
    }

    /// Every state from now on.
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
        let mut states = self.0.watch();
        states.mark_changed();
        States(Some(states))
    }

    /// How many tasks it has.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.0.tasks()
    }

    /// How many errors were suppressed, since they were to be expected after its end had begun.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.0.suppressed()
    }

    /// Runs a task that may be run more often: `work` makes it anew for each run.
    ///
    /// An error whose verdict is [`Retry`](Verdict::Retry) has it run again after the policy's next
    /// delay, as long as there are attempts left and it would begin within the policy's deadline,
    /// counted from the start of the task. A run itself is not bounded, so look timeout, watch and
    /// fallback do not matter here; and a deadline that one run uses up leaves no time for another, as
    /// [`RetryPolicy::eager`]'s does around an extraction by the same. Work that goes on for days is better off with a loop of its own,
    /// which knows what went well. All other verdicts are as for [`spawn`](Self::spawn), and so is the
    /// last error.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::source::mock::MockSource;
    /// use whatsapp_phone::{Extractor, PhoneExtractor, RetryPolicy, Supervisor};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Readable only in the second extraction: the first one ends after ten seconds.
    /// let page = MockSource::new("page").number_at(Duration::from_secs(14), "628110000041@c.us");
    /// let extractor = Extractor::builder().source(page).build()?;
    ///
    /// // Three extractions, two seconds apart.
    /// let policy = RetryPolicy::builder().attempts(3).interval(Duration::from_secs(2));
    /// let policy = policy.deadline(Duration::from_secs(60)).build()?;
    /// let session = Supervisor::new().start("7")?;
    /// let found = session.run("number", &policy, move || {
    ///     let extractor = extractor.clone();
    ///     async move { extractor.extract().await }
    /// });
    /// assert_eq!(found.await?.phone.reveal(), "628110000041");
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<T, E, W>(
        &self,
        name: impl Into<Cow<'static, str>>,
        policy: &RetryPolicy,
        work: impl FnMut() -> W + Send + 'static,
    ) -> Task<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
        W: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (inner, name) = (Arc::clone(&self.0), name.into());
        let work = task::again(inner, name.clone(), Patience::new(policy), work);
        task::launch(&self.0, name, work)
    }

    /// Runs a task once.
    ///
    /// Its error is judged by the classifier. A lost page or browser ends the session; what is to be
    /// expected of a session that is ending is suppressed; everything else is reported, and the
    /// session goes on without the task. A panic is reported and ends the session.
    ///
    /// In a session that is ending it does not begin: the answer is
    /// [`TaskError::Ended`](super::TaskError::Ended).
    pub fn spawn<T, E>(
        &self,
        name: impl Into<Cow<'static, str>>,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Task<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let (inner, name) = (Arc::clone(&self.0), name.into());
        let work = task::once(inner, name.clone(), work);
        task::launch(&self.0, name, work)
    }

    /// The stop signal: done as soon as the session is ending. It holds no handle.
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
        let mut states = self.0.watch();
        async move {
            let is_ending = |state: &SessionState| state.phase() == Phase::Ending;
            drop(states.wait_for(is_ending).await);
        }
    }

    /// Ends it on purpose: its tasks get the [stop signal](Self::ending), and are aborted if they are
    /// not done within this time. Returns its state when it has ended.
    ///
    /// Where it was ending already, its first reason stays and the earlier deadline counts. Dropping
    /// the future stops nothing. A task that never yields cannot be aborted: the session is
    /// still [`Ending`](SessionState::Ending) then, which is told 100 ms after the deadline. From one
    /// of its own tasks this would wait for itself; let somebody else do it.
    pub async fn end(&self, within: Duration) -> SessionState {
        self.0.end(Reason::plain(ReasonKind::Requested), within);
        self.0.ended(within).await
    }

    /// Judges an error that reached the host outside of the session's tasks, for instance from a
    /// driver's callback, and acts on it as on a task's of that name: ends the session, reports, or
    /// suppresses and counts it, also long after its end. [`Retry`](Verdict::Retry) is reported.
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
    /// assert_eq!(a.judge("callback", &orphan), Verdict::Suppress);
    /// assert_eq!(b.judge("callback", &orphan), Verdict::EndSession);
    /// assert!(b.state().is_ended());
    /// # Ok(())
    /// # }
    /// ```
    pub fn judge(
        &self,
        name: impl Into<Cow<'static, str>>,
        error: &(dyn Error + 'static),
    ) -> Verdict {
        let failure = ProtocolFailure::from_error(Site::Unknown, error);
        let judged = self.0.judge(error);
        self.0.fail(&name.into(), judged, failure, false).0
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.leave(Leaver::Handle);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The states of a session, from [`Session::states`]. It holds no handle.
///
/// Who is slow may miss states in between, but never the last one.
#[derive(Debug)]
pub struct States(Option<watch::Receiver<SessionState>>);

impl States {
    /// The state now, the first time; then each next one. `None` after
    /// [`Ended`](SessionState::Ended).
    pub async fn next(&mut self) -> Option<SessionState> {
        let states = self.0.as_mut()?;
        // The sender goes after the end only.
        states.changed().await.ok()?;
        let state = states.borrow_and_update().clone();
        if state.is_ended() {
            self.0 = None;
        }
        Some(state)
    }
}
