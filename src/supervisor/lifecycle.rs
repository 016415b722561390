//! The state machine of one session: [`Lifecycle`].
//!
//! It is pure: it has no clock, no lock and no task. Its caller reports what happened, and runs the
//! [`Action`] that is returned.

use std::time::Duration;

use tokio::time::Instant;

use super::reason::{Reason, ReasonKind};
use super::state::SessionState;
use crate::classify::{Phase, Verdict};
use crate::retry::{Backoff, Delays};

/// A session that lived for so long starts a new series of restarts, if the backoff has no deadline.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(600);

/// An action that the caller of a [`Lifecycle`] must carry out.
#[derive(Debug)]
pub(super) enum Action {
    /// Send the stop signal to the tasks, and abort those that are left at this time.
    Stop(Option<Instant>),
    /// End the session for this reason, and restart it after the delay if there is one. Comes once,
    /// when no task is left.
    Close(Reason, Option<(Duration, Series)>),
}

/// The facts that the caller has when something happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Whether the session has tasks.
    pub(super) has_tasks: bool,
}

/// A series of restarts: since when, and the delays that are left.
pub(super) type Series = (Instant, Delays);

#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    pub(super) state: SessionState,
    pub(super) live_since: Option<Instant>,
    /// `None`: the session is not restarted.
    pub(super) backoff: Option<Backoff>,
    pub(super) series: Option<Series>,
    /// How many [`Session`](super::Session)s exist.
    pub(super) handles: usize,
    pub(super) suppressed: u64,
    /// The earliest time at which tasks are to be aborted.
    pub(super) abort_at: Option<Instant>,
    pub(super) is_closed: bool,
}

impl Lifecycle {
    /// Ends the session if nothing is left of it: it is done, unless there was a reason before. A
    /// session that waits for its restart is about to get a task.
    pub(super) fn close_if_done(&mut self, now: Now) -> Option<Action> {
        let reason = match &self.state {
            _ if now.has_tasks || self.is_closed => return None,
            SessionState::Ending(reason) => reason.clone(),
            SessionState::Live if self.handles == 0 => Reason::plain(ReasonKind::Finished),
            _ => return None,
        };
        self.is_closed = true;
        self.state = SessionState::Ending(reason.clone());
        let backoff = self.backoff.take().filter(|_| reason.is_failure());
        let restart = backoff.and_then(|backoff| {
            let lived = now.at - self.live_since?;
            let is_stable = lived >= backoff.deadline().unwrap_or(STABLE_AFTER);
            let series = self.series.take().filter(|_| !is_stable);
            let (since, mut delays) = series.unwrap_or_else(|| (now.at, backoff.delays()));
            let delay = delays.next_within(now.at - since)?;
            Some((delay, (since, delays)))
        });
        Some(Action::Close(reason, restart))
    }

    /// Ends the session for this reason, and aborts tasks that are left after `grace`. If it was ending
    /// already, its reason stays; only an earlier time for aborting counts. A session that is ended on
    /// purpose is not restarted, even if it had failed before.
    pub(super) fn end(&mut self, reason: Reason, grace: Duration, now: Now) -> Option<Action> {
        if !reason.is_failure() {
            self.backoff = None;
        }
        if self.state.phase() == Phase::Live {
            self.state = SessionState::Ending(reason);
        }
        if !now.has_tasks {
            return self.close_if_done(now);
        }
        // A time that no clock reaches aborts nothing.
        let at = now.at.checked_add(grace);
        let at = at.filter(|at| self.abort_at.is_none_or(|earlier| *at < earlier));
        self.abort_at = at.or(self.abort_at);
        Some(Action::Stop(at))
    }

    /// Handles the failure of a task that is not run again. `is_required`: the session ends, whatever the
    /// error means. Returns the verdict, and whether this is the reason for which the session ends.
    pub(super) fn task_failed(
        &mut self,
        reason: &Reason,
        is_required: bool,
        grace: Duration,
        now: Now,
    ) -> ((Verdict, bool), Option<Action>) {
        let phase = self.state.phase();
        let verdict = reason.verdict(phase);
        let ends = is_required || matches!(verdict, Verdict::EndSession | Verdict::EndBrowser);
        self.suppressed += u64::from(verdict == Verdict::Suppress);
        let action = ends.then(|| self.end(reason.clone(), grace, now));
        ((verdict, ends && phase == Phase::Live), action.flatten())
    }

    /// Makes the session live after the delay of a restart. Returns false if the session was ended meanwhile.
    pub(super) fn start_again(&mut self, now: Now) -> (bool, Option<Action>) {
        let is_waiting = matches!(self.state, SessionState::Restarting(_));
        if is_waiting {
            self.live_since = Some(now.at);
            self.state = SessionState::Live;
        }
        (is_waiting, None)
    }
}
