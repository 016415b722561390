//! State that handles and tasks share: [`SharedSupervisor`] and [`SharedSession`].
//!
//! A [`SharedSession`] runs the actions of its [`Lifecycle`], which changes under a lock, so that there
//! is one first reason and one end. Foreign code (an observer, a hook, a destructor) never runs under it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::ended_sessions::EndedSessions;
use super::id::Id;
use super::lifecycle::{Action, Lifecycle, Now, Series};
use super::reason::{Event, Name, Reason, ReasonKind, Report};
use super::state::SessionState;
use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::failure::{ProtocolFailure, Site};
use crate::metrics;
use crate::retry::Backoff;
use crate::text::catch_panic;

/// How long aborted tasks are waited for. Those that yield are dropped at once.
pub(super) const ABORT_TIMEOUT: Duration = Duration::from_millis(100);

pub(super) type Observer = dyn Fn(&Report) + Send + Sync;

/// Restarts a session after this delay, by the hook of the supervisor.
pub(super) type RestartHook = dyn Fn(&Arc<SharedSession>, Duration, Reason) + Send + Sync;

/// The settings of a [`SupervisorBuilder`](super::SupervisorBuilder).
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) classifier: ProtocolErrorClassifier,
    pub(super) grace: Duration,
    pub(super) keep: usize,
    pub(super) observer: Option<Arc<Observer>>,
    pub(super) restart: Option<(Backoff, Arc<RestartHook>)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            classifier: ProtocolErrorClassifier::new(),
            grace: Duration::from_secs(5),
            keep: 1024,
            observer: None,
            restart: None,
        }
    }
}

/// The state that all sessions of a supervisor share.
#[derive(Default)]
pub(super) struct SharedSupervisor {
    pub(super) settings: Settings,
    pub(super) registry: Mutex<Registry>,
    /// Sessions that are no longer open, and whose end has not been reported yet.
    pub(super) closing: TaskTracker,
}

/// The sessions by id, and what was suppressed in all of them.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) open: BTreeMap<Id, Arc<SharedSession>>,
    pub(super) ended: EndedSessions,
    pub(super) is_stopping: bool,
    pub(super) suppressed: u64,
}

impl SharedSupervisor {
    pub(super) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, session: &Id, event: Event, reason: &Reason) {
        let Some(observer) = &self.settings.observer else {
            return;
        };
        let report = Report {
            session: session.clone(),
            event,
            reason: reason.clone(),
        };
        if let Err(message) = catch_panic(|| observer(&report)) {
            let failure = ProtocolFailure::new(Site::Unknown, message);
            tracing::error!(session = %report.session, %failure, "the observer of reports panicked");
        }
    }
}

/// The state that all handles and tasks of a session share.
pub(super) struct SharedSession {
    pub(super) id: Id,
    pub(super) supervisor: Arc<SharedSupervisor>,
    pub(super) runtime: Handle,
    pub(super) tasks: TaskTracker,
    /// The stop signal of the tasks.
    pub(super) ending: CancellationToken,
    pub(super) abort: CancellationToken,
    lifecycle: Mutex<Lifecycle>,
    /// The state of `lifecycle`, to be watched.
    pub(super) states: watch::Sender<SessionState>,
}

impl SharedSession {
    pub(super) fn new(
        id: Id,
        supervisor: &Arc<SharedSupervisor>,
        runtime: Handle,
        state: SessionState,
        series: Option<Series>,
    ) -> Arc<Self> {
        let restart = supervisor.settings.restart.as_ref();
        let backoff = restart.map(|(backoff, _)| backoff.clone());
        let tasks = TaskTracker::new();
        // Only a closed tracker can be waited for. It takes tasks all the same.
        tasks.close();
        Arc::new(Self {
            id,
            supervisor: Arc::clone(supervisor),
            runtime,
            tasks,
            ending: CancellationToken::new(),
            abort: CancellationToken::new(),
            states: watch::Sender::new(state.clone()),
            lifecycle: Mutex::new(Lifecycle {
                state,
                live_since: Some(Instant::now()),
                backoff,
                series,
                ..Lifecycle::default()
            }),
        })
    }

    pub(super) fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        let lifecycle = self.lifecycle.lock();
        lifecycle.unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the lifecycle, publishes its state and runs the action that the change returns.
    pub(super) fn change<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Lifecycle, Now) -> (T, Option<Action>),
    ) -> T {
        let mut lifecycle = self.lifecycle();
        let (at, has_tasks) = (Instant::now(), !self.tasks.is_empty());
        let (answer, action) = change(&mut lifecycle, Now { at, has_tasks });
        if *self.states.borrow() != lifecycle.state {
            self.states.send_replace(lifecycle.state.clone());
        }
        drop(lifecycle);
        if action.is_some() {
            self.ending.cancel();
        }
        match action {
            None | Some(Action::Stop(None)) => {}
            Some(Action::Stop(Some(at))) => {
                let (tasks, abort) = (self.tasks.clone(), self.abort.clone());
                self.runtime.spawn(async move {
                    if timeout_at(at, tasks.wait()).await.is_err() {
                        abort.cancel();
                    }
                });
            }
            Some(Action::Close(reason, restart)) => self.close(&reason, restart),
        }
        answer
    }

    fn close(self: &Arc<Self>, reason: &Reason, restart: Option<(Duration, Series)>) {
        let settings = &self.supervisor.settings;
        let ended = SessionState::Ended(reason.clone());
        let mut registry = self.supervisor.lock();
        let _closing = self.supervisor.closing.token();
        registry.open.remove(&self.id);
        let (id, keep) = (self.id.clone(), settings.keep);
        registry.ended.push(id, ended.clone(), keep);
        let restart = restart.filter(|_| !registry.is_stopping);
        // Under the same lock, so that no other session gets the id between the two.
        let next = restart.map(|(delay, series)| {
            let (id, runtime) = (self.id.clone(), self.runtime.clone());
            let state = SessionState::Restarting(reason.clone());
            let next = Self::new(id, &self.supervisor, runtime, state, Some(series));
            registry.open.insert(self.id.clone(), Arc::clone(&next));
            (next, delay)
        });
        drop(registry);
        let restart_in = next.as_ref().map(|(_, delay)| *delay);
        if reason.is_failure() {
            tracing::warn!(session = %self.id, %reason, ?restart_in, "session ended");
        } else {
            tracing::info!(session = %self.id, %reason, "session ended");
        }
        let event = Event::SessionEnded { restart_in };
        self.supervisor.report(&self.id, event, reason);
        // Code that sees the end can rely on all that belongs to it.
        self.change(|lifecycle, _| (lifecycle.state = ended, None));
        if let (Some((next, delay)), Some((_, hook))) = (next, &settings.restart) {
            hook(&next, delay, reason.clone());
        }
    }

    pub(super) fn state(&self) -> SessionState {
        self.states.borrow().clone()
    }

    /// Waits this long. Returns false as soon as the session is ending.
    pub(super) async fn pause(&self, delay: Duration) -> bool {
        if !delay.is_zero() {
            drop(timeout(delay, self.ending.cancelled()).await);
        }
        self.is_live()
    }

    /// Waits for the end, this long and a moment more for aborted tasks to be dropped.
    pub(super) async fn ended(&self, within: Duration) -> SessionState {
        let mut states = self.states.subscribe();
        let ended = states.wait_for(SessionState::is_ended);
        drop(timeout(within.saturating_add(ABORT_TIMEOUT), ended).await);
        self.state()
    }

    pub(super) fn is_live(&self) -> bool {
        self.states.borrow().phase() == Phase::Live
    }

    /// Returns a place for a task; `None` if the session is ending.
    pub(super) fn add_task(&self) -> Option<TaskTrackerToken> {
        let lifecycle = self.lifecycle();
        (lifecycle.state.phase() == Phase::Live).then(|| self.tasks.token())
    }

    /// Ends the session if the handle or task that is gone was the last of it.
    pub(super) fn close_if_done(self: &Arc<Self>) {
        self.change(|lifecycle, now| ((), lifecycle.close_if_done(now)));
    }

    /// Ends the session for this reason, its tasks aborted after `grace`. If it was ending already, its
    /// reason stays; only an earlier time for aborting counts.
    pub(super) fn end(self: &Arc<Self>, reason: Reason, grace: Duration) {
        self.change(|lifecycle, now| ((), lifecycle.end(reason, grace, now)));
    }

    /// Returns the reason that an error of this task is.
    pub(super) fn reason(&self, task: &Name, error: &(dyn Error + 'static)) -> Reason {
        Reason::failed(task.clone(), &self.supervisor.settings.classifier, error)
    }

    /// Acts on a panic, or on an error after which its task is not run again. `is_required`: the session
    /// ends, whatever the error means.
    pub(super) fn fail(self: &Arc<Self>, reason: &Reason, is_required: bool) -> Verdict {
        let (session, grace) = (&self.id, self.supervisor.settings.grace);
        let is_panic = reason.kind() == ReasonKind::Panicked;
        if is_panic {
            tracing::error!(%session, %reason, "a task panicked");
            self.supervisor.report(session, Event::TaskPanicked, reason);
        }
        let (verdict, is_reason) =
            self.change(|lifecycle, now| lifecycle.task_failed(reason, is_required, grace, now));
        if is_panic || is_reason {
            // It has been reported, or is with the end of the session.
        } else if verdict == Verdict::Suppress {
            self.supervisor.lock().suppressed += 1;
            if let Some(class) = reason.class() {
                metrics::error_suppressed(class.as_str());
            }
            tracing::debug!(%session, %reason, "expected after this session's end");
        } else {
            tracing::warn!(%session, %reason, "a task failed");
            self.supervisor.report(session, Event::TaskFailed, reason);
        }
        verdict
    }
}
