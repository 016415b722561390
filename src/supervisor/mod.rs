//! Sessions in one process, isolated from each other: [`Supervisor`].
//!
//! A service runs many sessions in one process, and each of them will fail one day: its tab crashes, its
//! browser is killed, a task panics or hangs. None of that may reach another session. So every task
//! belongs to one session, and its failure affects that session only:
//!
//! | a task | in a live session | in one that is ending |
//! |---|---|---|
//! | fails with a transient error (navigation, timeout, network, blocked) | is [run](Session::run) again by its [`Backoff`](crate::Backoff), then reported | is not run again |
//! | loses its page or its browser | the session ends for this reason, after a grace period for its other tasks | suppressed and counted, if it is expected |
//! | fails in another way, or in an unknown one | reported; the session continues without it | reported |
//! | panics | reported; the session ends for this reason | reported |
//! | hangs at an `.await` | nothing: give it a timeout | aborted at the deadline |
//!
//! The [classifier](crate::classify) decides what an error means, however a task returns it: as itself,
//! boxed, as the source of another error, or inside an `anyhow::Error`. An
//! [`ExtractError`](crate::ExtractError) goes by its code: `not_ready`, `lid_only` and `blocked` are
//! transient, `page_closed` and `browser_gone` end the session, all others are reported. An error of a
//! sink or a store is transient if it says so; otherwise it goes by the same two codes. The other tabs of a lost browser
//! belong to sessions of their own, whose own tasks fail.
//!
//! **One reason.** The first is kept. When a browser crashes, its first failed command names the cause, and
//! the later ones only say `invalid session id`; they are suppressed.
//!
//! **Why an unknown error does not end its session.** It says nothing about the page: the mail server
//! refused, a row existed already. The session's other tasks still work, and the holder of the [`Task`]
//! gets the error. A panic is different: the state that the task shared with its session may be
//! inconsistent.
//!
//! **No task outlives its session.** When the session is [`Ended`](SessionState::Ended), every future of
//! its tasks has been dropped. Dropping handles aborts nothing: a session without handles ends when its
//! tasks are done. Dropping a supervisor changes nothing for its sessions.
//!
//! **Bounded memory.** The reasons of the last 1,024 ended sessions are kept, or of as many as
//! [set](SupervisorBuilder::keep).
//!
//! # Limits
//!
//! - A task that never yields (a busy loop, a blocking call) can neither be aborted nor isolated from
//!   others on its runtime's thread. Its session stays `Ending` until it does, and [`Supervisor::stop`]
//!   names it.
//! - With `panic = "abort"` nothing can be caught, nor can a destructor that panics while another panic
//!   unwinds.
//! - The message of a panic is cleaned in reasons. The process's own panic hook prints it unchanged to
//!   standard error, unless the service sets another one.

mod builder;
mod ended_sessions;
mod id;
mod lifecycle;
mod reason;
mod session;
mod shared;
mod state;
mod task;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

pub use self::builder::SupervisorBuilder;
pub use self::id::Id;
pub use self::reason::{Event, Reason, ReasonKind, Report};
pub use self::session::{Session, States};
use self::shared::{ABORT_TIMEOUT, SharedSession, SharedSupervisor};
pub use self::state::SessionState;
pub use self::task::{BoxError, Task, TaskError};

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
#[derive(Clone, Default)]
pub struct Supervisor(Arc<SharedSupervisor>);

impl Supervisor {
    /// Returns a supervisor without a restart hook; the same as `builder().build()`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a builder with every default.
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder::default()
    }

    /// Starts a session under this id, on the current runtime.
    ///
    /// In logs, `Debug` and `Display`, numbers of seven or more digits in an id are masked, since some
    /// services name sessions by phone number.
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
        let id = Id::new(id.as_ref()).ok_or(StartError::BadId)?;
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
        let shared = SharedSession::new(id.clone(), &self.0, runtime, SessionState::Live, None);
        let session = Session::new(&shared);
        registry.open.insert(id, shared);
        Ok(session)
    }

    /// Returns a handle of the session under this id that has not ended.
    #[must_use]
    pub fn session(&self, id: impl AsRef<str>) -> Option<Session> {
        self.0.lock().open.get(id.as_ref()).map(Session::new)
    }

    /// Returns the state of the session under this id, also if it is one of the last that ended.
    #[must_use]
    pub fn state(&self, id: impl AsRef<str>) -> Option<SessionState> {
        let (id, registry) = (id.as_ref(), self.0.lock());
        let open = registry.open.get(id).map(|open| open.state());
        open.or_else(|| registry.ended.states.get(id).cloned())
    }

    /// Returns handles of all sessions that have not ended, sorted by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.0.lock().open.values().map(Session::new).collect()
    }

    /// Returns how many errors were suppressed in all its sessions; see [`Session::suppressed`].
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.0.lock().suppressed
    }

    /// Ends all sessions, as [`Session::end`] does, and starts none from then on. Returns when all
    /// have ended and their ends have been reported, or 100 ms after the deadline.
    pub async fn stop(&self, within: Duration) -> StopReport {
        self.0.lock().is_stopping = true;
        let open: Vec<_> = self.0.lock().open.values().cloned().collect();
        for session in &open {
            session.end(Reason::plain(ReasonKind::Stopped), within);
        }
        let all = async {
            for session in &open {
                session.ended(within).await;
            }
            self.0.closing.close();
            self.0.closing.wait().await;
        };
        drop(timeout(within.saturating_add(ABORT_TIMEOUT), all).await);
        let ids = |is: fn(&SharedSession) -> bool| {
            let found = open.iter().filter(|session| is(session));
            found.map(|session| session.id.clone()).collect()
        };
        StopReport {
            sessions: open.len(),
            aborted: ids(|session| session.abort.is_cancelled()),
            stuck: ids(|session| !session.state().is_ended()),
        }
    }
}

impl SupervisorBuilder {
    /// Returns the supervisor.
    #[must_use]
    pub fn build(self) -> Supervisor {
        Supervisor(Arc::new(SharedSupervisor {
            settings: self.0,
            ..SharedSupervisor::default()
        }))
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor({} sessions)", self.0.lock().open.len())
    }
}

/// Why no session was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A session under this id has not ended.
    #[error("session `{id}` has not ended; end it first, or get it with `session`")]
    Taken {
        /// The id. It prints masked.
        id: Id,
    },
    /// The supervisor was stopped.
    #[error("the supervisor was stopped; it starts no more sessions")]
    Stopped,
    /// The id is invalid.
    #[error("a session's id has 1 to 255 bytes and no control characters")]
    BadId,
}

/// The result of [`Supervisor::stop`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// How many sessions were ended.
    pub sessions: usize,
    /// The sessions with tasks that had to be aborted.
    pub aborted: Vec<Id>,
    /// The sessions that have not ended, because one of their tasks does not yield.
    pub stuck: Vec<Id>,
}
