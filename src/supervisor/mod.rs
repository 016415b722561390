//! Sessions side by side, each isolated from the others: [`Supervisor`].
//!
//! A host runs many sessions in one process, and each of them will fail one day: its tab crashes, its
//! browser is killed, a task panics or hangs. None of that may reach the session next to it. So every
//! task belongs to one session, and whatever happens to it is settled within that session:
//!
//! | a task | in a live session | in one that is ending |
//! |---|---|---|
//! | fails in passing (navigation, timeout, network, blocked) | is [run](Session::run) again by its policy; used up, as below | is not run again |
//! | loses its page or its browser | the session ends for this reason, after a grace for its other tasks | suppressed and counted, where it is to be expected |
//! | fails in another way, or in an unknown one | reported; the session goes on without it | reported |
//! | panics | reported; the session ends for this reason | reported |
//! | hangs at an `.await` | nothing: bound what may hang | aborted at the deadline |
//!
//! What a failure means is the [classifier](crate::classify)'s to say. An
//! [`ExtractError`](crate::ExtractError) goes by its kind: `not_ready`, `lid_only` and `blocked` may
//! pass, `page_closed` and `browser_gone` end the session, all others are reported. The other tabs of a browser that
//! is gone belong to sessions of their own, which find out for themselves: nobody else can know.
//!
//! **One reason.** The first is kept. When a browser dies, its first failed command names the cause,
//! and those behind it say no more than `invalid session id`; they are suppressed.
//!
//! **Why an unknown error does not end its session.** It says nothing about the page: the mail server
//! refused, a row was there already. The session's other tasks still work, and who holds the [`Task`]
//! hears of it. A panic is different: what the task shared with its session may be half done.
//!
//! **No task outlives its session.** When it is seen as [`Ended`](SessionState::Ended), every future of
//! its tasks has been dropped. Dropping handles cuts nothing off: a session without any ends when
//! its tasks are done. A supervisor that is dropped leaves its sessions as they are.
//!
//! **Bounded memory.** Of ended sessions the last 1,024 reasons are kept, or as many as
//! [told](SupervisorBuilder::keep).
//!
//! # Limits
//!
//! - A task that never yields (a busy loop, a blocking call) can neither be aborted nor isolated from
//!   others on its runtime's thread. Its session is `Ending` until it does, and [`Supervisor::stop`]
//!   names it.
//! - With `panic = "abort"` nothing can be caught, nor can a destructor that panics while another panic
//!   unwinds.
//! - The words of a panic are cleaned in what is told here. The process's own panic hook prints them
//!   as they are to standard error, unless the host sets another one.

mod builder;
mod id;
mod inner;
mod judge;
mod patience;
mod reason;
mod registry;
mod session;
mod task;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

pub use self::builder::SupervisorBuilder;
use self::builder::{Hook, Observer};
pub use self::id::{Id, MAX_ID};
use self::inner::Inner;
use self::patience::Patience;
pub use self::reason::{Event, Reason, ReasonKind, Report, SessionState};
use self::registry::Registry;
pub use self::session::{Session, States};
pub use self::task::{BoxError, Task, TaskError};
use crate::classify::ProtocolErrorClassifier;
use crate::retry::RetryPolicy;

/// Runs sessions isolated from each other. Cheap to clone; clones share their sessions.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::Supervisor;
/// use whatsapp_phone::failure::{ProtocolFailure, Site};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let supervisor = Supervisor::new();
/// let (a, b) = (supervisor.start("a")?, supervisor.start("b")?);
///
/// let crash = ProtocolFailure::new(Site::WebDriverCommand, "tab crashed").with_code("tab crashed");
/// let watch = a.spawn("watch", async { Err::<(), _>(crash) });
/// let answer = b.spawn("answer", async { Ok::<_, ProtocolFailure>(41) });
///
/// watch.await.unwrap_err();
/// assert_eq!(answer.await?, 41);
/// assert_eq!(a.state().reason().unwrap().task(), Some("watch"));
/// assert_eq!(b.state().as_str(), "live");
/// supervisor.stop(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Supervisor(Arc<Shared>);

impl Supervisor {
    /// A supervisor without a restart hook; the same as `builder().build()`.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder with every default.
    pub const fn builder() -> SupervisorBuilder {
        SupervisorBuilder::new()
    }

    /// Starts a session under this id, on the current runtime.
    ///
    /// In logs and in `Debug` and `Display` of what is told here, numbers of seven or more digits in
    /// an id are masked, since some services name sessions by phone number.
    ///
    /// # Errors
    ///
    /// [`StartError::Taken`] while a session of this id has not ended, [`StartError::Stopped`] after
    /// [`stop`](Self::stop), [`StartError::BadId`] for an id that cannot be printed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without its time driver, which deadlines need:
    /// `enable_time` or `enable_all`, as `#[tokio::main]` has it.
    pub fn start(&self, id: impl AsRef<str>) -> Result<Session, StartError> {
        let id = id.as_ref();
        let id = Id::new(id).ok_or(StartError::BadId)?;
        let runtime = Handle::current();
        // Without a time driver this panics, here rather than in the end that would never come.
        drop(tokio::time::sleep(Duration::ZERO));
        let mut registry = self.0.lock();
        if registry.is_stopping {
            return Err(StartError::Stopped);
        }
        if registry.open.contains_key(&id) {
            return Err(StartError::Taken { id });
        }
        let shared = Arc::clone(&self.0);
        let inner = Inner::new(id.clone(), shared, runtime, SessionState::Live, None);
        let session = Session::new(&inner);
        registry.open.insert(id, inner);
        Ok(session)
    }

    /// A handle of the session under this id that has not ended.
    #[must_use]
    pub fn session(&self, id: impl AsRef<str>) -> Option<Session> {
        self.0.lock().open.get(id.as_ref()).map(Session::new)
    }

    /// Where the session under this id stands, also when it is one of the last that ended.
    #[must_use]
    pub fn state(&self, id: impl AsRef<str>) -> Option<SessionState> {
        let registry = self.0.lock();
        match registry.open.get(id.as_ref()) {
            Some(inner) => Some(inner.state()),
            None => registry.ended.get(id.as_ref()).cloned(),
        }
    }

    /// Handles of all sessions that have not ended, by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = self.0.lock().open.values().map(Session::new).collect();
        sessions.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        sessions
    }

    /// How many errors were suppressed in all its sessions; see [`Session::suppressed`].
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.0.suppressed.load(Ordering::Relaxed)
    }

    /// Ends all sessions, as [`Session::end`] does, and starts none from then on. Returns when all
    /// have ended, or 100 ms after the deadline.
    pub async fn stop(&self, within: Duration) -> StopReport {
        let open: Vec<_> = {
            let mut registry = self.0.lock();
            registry.is_stopping = true;
            registry.open.values().cloned().collect()
        };
        for inner in &open {
            inner.end(Reason::plain(ReasonKind::Stopped), within);
        }
        let all = async {
            for inner in &open {
                inner.ended(within).await;
            }
        };
        // Those that have ended take no time; the first that has not takes all there is.
        drop(timeout(within.saturating_add(inner::MOMENT), all).await);
        let named = |is: fn(&Inner) -> bool| {
            let found = open.iter().filter(|inner| is(inner));
            let mut ids: Vec<_> = found.map(|inner| inner.id.clone()).collect();
            ids.sort_unstable();
            ids
        };
        StopReport {
            sessions: open.len(),
            aborted: named(Inner::was_cut),
            stuck: named(|inner| !inner.state().is_ended()),
        }
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.0.lock().open.len();
        f.debug_struct("Supervisor")
            .field("sessions", &open)
            .finish_non_exhaustive()
    }
}

/// Why no session was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is one of this id, which has not ended.
    #[error("session `{id}` has not ended; end it first, or take it with Supervisor::session")]
    Taken {
        /// The id. It prints masked.
        id: Id,
    },
    /// The supervisor was stopped.
    #[error("the supervisor was stopped; it starts no more sessions")]
    Stopped,
    /// The id is no id.
    #[error("a session's id has 1 to 255 bytes and no control characters")]
    BadId,
}

/// What [`Supervisor::stop`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// How many sessions there were to end.
    pub sessions: usize,
    /// Those with tasks that had to be aborted.
    pub aborted: Vec<Id>,
    /// Those that have not ended: a task of theirs does not yield.
    pub stuck: Vec<Id>,
}

/// What all sessions of a supervisor share.
struct Shared {
    classifier: ProtocolErrorClassifier,
    grace: Duration,
    observer: Option<Arc<Observer>>,
    restart: Option<(RetryPolicy, Hook)>,
    registry: Mutex<Registry>,
    suppressed: AtomicU64,
}

impl Shared {
    fn new(builder: SupervisorBuilder) -> Self {
        Self {
            classifier: builder.classifier,
            grace: builder.grace,
            observer: builder.observer,
            restart: builder.restart,
            registry: Mutex::new(Registry::new(builder.keep)),
            suppressed: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, session: &Id, event: Event, reason: &Reason) {
        let Some(observer) = &self.observer else {
            return;
        };
        let report = Report {
            session: session.clone(),
            event,
            reason: reason.clone(),
        };
        if let Err(failure) = task::quietly(|| observer(&report)) {
            tracing::error!(%session, %failure, "the observer of reports panicked");
        }
    }

    /// Takes a session that is over out of the open ones, and puts the one in its place that follows
    /// it, with its delay. In one step, so that nobody else gets the id between the two.
    fn retire(
        self: &Arc<Self>,
        inner: &Inner,
        reason: &Reason,
        lived: Duration,
        restarts: Option<Patience>,
    ) -> Option<(Arc<Inner>, Duration)> {
        let mut registry = self.lock();
        registry.open.remove(&inner.id);
        let state = SessionState::Ended(reason.clone());
        registry.ended.push(inner.id.clone(), state);
        let (policy, _) = self.restart.as_ref()?;
        if registry.is_stopping || !reason.is_failure() {
            return None;
        }
        // Who has lived for so long has proved itself, and begins a new row.
        let row = restarts.filter(|_| lived < policy.deadline());
        let (restarts, delay) = match row {
            Some(mut row) => {
                let delay = row.next()?;
                (row, delay)
            }
            None => {
                let mut row = Patience::new(policy);
                let delay = row.first();
                (row, delay)
            }
        };
        let (id, shared) = (inner.id.clone(), Arc::clone(self));
        let (runtime, state) = (inner.runtime.clone(), reason.clone());
        let state = SessionState::Restarting(state);
        let next = Inner::new(id.clone(), shared, runtime, state, Some(restarts));
        registry.open.insert(id, Arc::clone(&next));
        Some((next, delay))
    }
}
