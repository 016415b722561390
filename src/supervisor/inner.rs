//! One session from start to end: [`Inner`].
//!
//! Every change of state is made under the lock of its core, so that there is one first reason and
//! one end. Foreign code (an observer, a hook, a destructor) never runs under it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::id::Id;
use super::judge::Judged;
use super::patience::Patience;
use super::reason::{Event, Name, Reason, ReasonKind, SessionState};
use super::task;
use crate::classify::{Phase, Verdict};
use crate::failure::ProtocolFailure;

/// How long aborted tasks are waited for. Those that yield are dropped at once.
pub(super) const MOMENT: Duration = Duration::from_millis(100);

pub(super) struct Inner {
    pub(super) id: Id,
    pub(super) shared: Arc<Shared>,
    pub(super) runtime: Handle,
    state: watch::Sender<SessionState>,
    core: Mutex<Core>,
    suppressed: AtomicU64,
}

struct Core {
    /// The tasks; `None` while one is being spawned.
    slots: HashMap<u64, Option<AbortHandle>>,
    next_slot: u64,
    /// How many `Session`s there are.
    handles: usize,
    /// The earliest deadline of the end, once there is one.
    abort_at: Option<Instant>,
    /// That deadline came while there were tasks.
    was_cut: bool,
    /// Whoever sets this ends the session, and nobody else.
    is_over: bool,
    live_since: Instant,
    /// The restarts so far, in the row of failures that this session belongs to.
    restarts: Option<Patience>,
}

/// Who leaves a session.
#[derive(Clone, Copy)]
pub(super) enum Leaver {
    Handle,
    Task(u64),
}

impl Inner {
    pub(super) fn new(
        id: Id,
        shared: Arc<Shared>,
        runtime: Handle,
        state: SessionState,
        restarts: Option<Patience>,
    ) -> Arc<Self> {
        let core = Core {
            slots: HashMap::new(),
            next_slot: 0,
            handles: 0,
            abort_at: None,
            was_cut: false,
            is_over: false,
            live_since: Instant::now(),
            restarts,
        };
        Arc::new(Self {
            id,
            shared,
            runtime,
            state: watch::Sender::new(state),
            core: Mutex::new(core),
            suppressed: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }

    pub(super) fn state(&self) -> SessionState {
        self.state.borrow().clone()
    }

    pub(super) fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    pub(super) fn tasks(&self) -> usize {
        self.lock().slots.len()
    }

    pub(super) fn was_cut(&self) -> bool {
        self.lock().was_cut
    }

    /// Waits this long; false as soon as the session is ending.
    pub(super) async fn pause(&self, delay: Duration) -> bool {
        let mut state = self.watch();
        let is_ending = |state: &SessionState| state.phase() == Phase::Ending;
        if delay.is_zero() {
            return !is_ending(&state.borrow());
        }
        timeout(delay, state.wait_for(is_ending)).await.is_err()
    }

    /// Waits for the end, this long and a moment more for aborted tasks to be dropped.
    pub(super) async fn ended(&self, within: Duration) -> SessionState {
        let mut state = self.watch();
        let ended = state.wait_for(SessionState::is_ended);
        drop(timeout(within.saturating_add(MOMENT), ended).await);
        self.state()
    }

    /// One more handle.
    pub(super) fn hold(&self) {
        self.lock().handles += 1;
    }

    /// A place for a task, or why there is none.
    pub(super) fn enter(&self) -> Result<u64, Reason> {
        let mut core = self.lock();
        if let Some(reason) = self.state.borrow().reason() {
            return Err(reason.clone());
        }
        let slot = core.next_slot;
        core.next_slot += 1;
        core.slots.insert(slot, None);
        Ok(slot)
    }

    /// How the task in this place is aborted. It may have left already, and its time may be over.
    pub(super) fn settle(&self, slot: u64, abort: AbortHandle) {
        let mut core = self.lock();
        let is_late = core.was_cut;
        if let Some(place) = core.slots.get_mut(&slot) {
            if !is_late {
                *place = Some(abort);
                return;
            }
            drop(core);
            abort.abort();
        }
    }

    /// One handle or task less. The last of them ends the session: it is done then, unless there was
    /// a reason before.
    pub(super) fn leave(self: &Arc<Self>, who: Leaver) {
        let mut core = self.lock();
        match who {
            Leaver::Handle => core.handles -= 1,
            Leaver::Task(slot) => drop(core.slots.remove(&slot)),
        }
        // One that waits for its restart is about to get a task.
        let (is_ending, is_live) = {
            let state = self.state.borrow();
            (state.phase() == Phase::Ending, *state == SessionState::Live)
        };
        let is_done = is_ending || (is_live && core.handles == 0);
        if core.slots.is_empty() && is_done && !core.is_over {
            core.is_over = true;
            if !is_ending {
                let done = Reason::plain(ReasonKind::Finished);
                self.state.send_replace(SessionState::Ending(done));
            }
            self.close(core);
        }
    }

    /// Has it end for this reason, its tasks aborted after `grace`. False: it was ending already, and
    /// its reason stays; only an earlier deadline counts.
    pub(super) fn end(self: &Arc<Self>, reason: Reason, grace: Duration) -> bool {
        let mut core = self.lock();
        let is_first = self.state.borrow().phase() == Phase::Live;
        if is_first {
            self.state.send_replace(SessionState::Ending(reason));
        }
        if core.is_over {
            return is_first;
        }
        if core.slots.is_empty() {
            core.is_over = true;
            self.close(core);
            return is_first;
        }
        // A time that no clock reaches is no deadline.
        let at = Instant::now().checked_add(grace);
        if let Some(at) = at.filter(|at| core.abort_at.is_none_or(|earlier| *at < earlier)) {
            core.abort_at = Some(at);
            drop(core);
            let (inner, mut state) = (Arc::clone(self), self.watch());
            self.runtime.spawn(async move {
                // It waits no longer than there is somebody to abort.
                let ended = state.wait_for(SessionState::is_ended);
                if timeout_at(at, ended).await.is_err() {
                    inner.abort();
                }
            });
        }
        is_first
    }

    fn abort(&self) {
        let mut core = self.lock();
        core.was_cut |= !core.slots.is_empty();
        let tasks: Vec<_> = core.slots.values_mut().filter_map(Option::take).collect();
        drop(core);
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// The end. `is_over` is set, so this comes once.
    fn close(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) {
        let lived = core.live_since.elapsed();
        let restarts = core.restarts.take();
        drop(core);
        let Some(reason) = self.state().reason().cloned() else {
            return;
        };
        let next = self.shared.retire(self, &reason, lived, restarts);
        let restart_in = next.as_ref().map(|(_, delay)| *delay);
        if reason.is_failure() {
            tracing::warn!(session = %self.id, %reason, ?restart_in, "session ended");
        } else {
            tracing::info!(session = %self.id, %reason, "session ended");
        }
        let event = Event::SessionEnded { restart_in };
        self.shared.report(&self.id, event, &reason);
        // Who sees the end can rely on all that belongs to it.
        self.state.send_replace(SessionState::Ended(reason.clone()));
        if let Some((next, delay)) = next {
            task::restart(&next, delay, reason);
        }
    }

    /// The delay of a restart is over. False: it waits no more, since it was ended.
    pub(super) fn revive(&self) -> bool {
        let mut core = self.lock();
        let is_waiting = matches!(&*self.state.borrow(), SessionState::Restarting(_));
        if is_waiting {
            core.live_since = Instant::now();
            self.state.send_replace(SessionState::Live);
        }
        is_waiting
    }

    /// What an error means.
    pub(super) fn judge(&self, error: &(dyn Error + 'static)) -> Judged {
        Judged::new(&self.shared.classifier, error)
    }

    /// Acts on an error after which its task is not run again; a fatal one ends the session whatever
    /// it means.
    pub(super) fn fail(
        self: &Arc<Self>,
        task: &Name,
        judged: Judged,
        failure: ProtocolFailure,
        is_fatal: bool,
    ) -> (Verdict, Reason) {
        let ends =
            |verdict| is_fatal || matches!(verdict, Verdict::EndSession | Verdict::EndBrowser);
        let mut verdict = judged.verdict(self.state.borrow().phase());
        let if_ending = judged.verdict(Phase::Ending);
        let reason = Reason::failed(task, judged, failure);
        if ends(verdict) {
            if self.end(reason.clone(), self.shared.grace) {
                return (verdict, reason);
            }
            // Another task was first.
            verdict = if_ending;
        }
        let session = &self.id;
        if verdict == Verdict::Suppress {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            self.shared.suppressed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%session, %reason, "expected after this session's end");
        } else {
            tracing::warn!(%session, %reason, "a task failed");
            self.shared.report(&self.id, Event::TaskFailed, &reason);
        }
        (verdict, reason)
    }

    /// Acts on a panic. What the task shared with its session may be half done, so the session ends.
    pub(super) fn panicked(self: &Arc<Self>, task: &Name, failure: ProtocolFailure) -> Reason {
        let reason = Reason::panicked(task, failure);
        tracing::error!(session = %self.id, %reason, "a task panicked");
        self.shared.report(&self.id, Event::TaskPanicked, &reason);
        self.end(reason.clone(), self.shared.grace);
        reason
    }
}
