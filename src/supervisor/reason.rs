//! What is told of a session: [`SessionState`], [`Reason`], [`Report`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::id::Id;
use super::judge::Judged;
use crate::classify::{ErrorClass, Phase};
use crate::failure::ProtocolFailure;

/// A task's name, as its caller gave it.
pub(super) type Name = Cow<'static, str>;

/// Where a session stands. It goes one way, and never back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// The session before it under this id ended for this reason; the restart hook is called once its
    /// delay is over. Tasks of others than the hook run already: they find whatever there is.
    Restarting(Reason),
    /// It runs tasks.
    Live,
    /// It ends for this reason: its tasks have the signal, no new one begins.
    Ending(Reason),
    /// It has ended for this reason; none of its tasks is left.
    Ended(Reason),
}

impl SessionState {
    /// The stable name: `restarting`, `live`, `ending`, `ended`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Restarting(_) => "restarting",
            Self::Live => "live",
            Self::Ending(_) => "ending",
            Self::Ended(_) => "ended",
        }
    }

    /// Why it ends or has ended.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Ending(reason) | Self::Ended(reason) => Some(reason),
            Self::Restarting(_) | Self::Live => None,
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// How the classifier's verdicts take it. A session that ends because its page was lost is ending
    /// no less than one that was told to: what its other tasks say now is to be expected.
    pub(super) const fn phase(&self) -> Phase {
        match self {
            Self::Restarting(_) | Self::Live => Phase::Live,
            Self::Ending(_) | Self::Ended(_) => Phase::Ending,
        }
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Restarting(reason) | Self::Ending(reason) | Self::Ended(reason) => {
                write!(f, "{}: {reason}", self.as_str())
            }
        }
    }
}

/// What kind of [`Reason`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonKind {
    /// A task's error.
    Failed,
    /// A task's panic.
    Panicked,
    /// [`Session::end`](super::Session::end).
    Requested,
    /// [`Supervisor::stop`](super::Supervisor::stop), or the end of the runtime.
    Stopped,
    /// Its tasks are done, and nobody holds a handle of it.
    Finished,
}

impl ReasonKind {
    /// The stable name, as in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Requested => "requested",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for ReasonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a session ended, or what befell one of its tasks. Cheap to clone; its foreign text is cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    kind: ReasonKind,
    trouble: Option<Arc<Trouble>>,
}

/// A task's error or panic.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    task: Name,
    /// A panic has none.
    judged: Option<Judged>,
    failure: ProtocolFailure,
}

impl Reason {
    /// One without a failure.
    pub(super) const fn plain(kind: ReasonKind) -> Self {
        Self {
            kind,
            trouble: None,
        }
    }

    pub(super) fn failed(task: &Name, judged: Judged, failure: ProtocolFailure) -> Self {
        let trouble = Trouble {
            task: task.clone(),
            judged: Some(judged),
            failure,
        };
        Self {
            kind: ReasonKind::Failed,
            trouble: Some(Arc::new(trouble)),
        }
    }

    pub(super) fn panicked(task: &Name, failure: ProtocolFailure) -> Self {
        let trouble = Trouble {
            task: task.clone(),
            judged: None,
            failure,
        };
        Self {
            kind: ReasonKind::Panicked,
            trouble: Some(Arc::new(trouble)),
        }
    }

    /// What kind of reason it is.
    #[must_use]
    pub const fn kind(&self) -> ReasonKind {
        self.kind
    }

    /// Whether something went wrong: an error or a panic. Such an end is followed by a restart, where
    /// there is a hook for it.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.kind, ReasonKind::Failed | ReasonKind::Panicked)
    }

    /// The task that failed or panicked.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| &*trouble.task)
    }

    /// What the task's error means, by the classifier.
    #[must_use]
    pub fn class(&self) -> Option<ErrorClass> {
        self.judged().map(|judged| judged.class)
    }

    /// What the error means, in a line for a log, without a word of the error itself.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.judged().map(|judged| &*judged.explanation)
    }

    /// The name of the classifier's rule that told.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.judged().map(|judged| &*judged.rule)
    }

    fn judged(&self) -> Option<&Judged> {
        self.trouble.as_ref()?.judged.as_ref()
    }

    /// The error with its causes, or the words of the panic; cleaned.
    #[must_use]
    pub fn failure(&self) -> Option<&ProtocolFailure> {
        self.trouble.as_ref().map(|trouble| &trouble.failure)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trouble.as_deref() {
            None => f.write_str(match self.kind {
                ReasonKind::Requested => "ended on purpose",
                ReasonKind::Stopped => "the supervisor was stopped, or its runtime",
                _ => "its tasks are done",
            }),
            Some(Trouble {
                task,
                judged: Some(judged),
                failure,
            }) => {
                let Judged { class, rule, .. } = judged;
                write!(f, "task `{task}` failed, {class} ({rule}): {failure}")
            }
            Some(Trouble { task, failure, .. }) => write!(f, "task `{task}` panicked: {failure}"),
        }
    }
}

/// What [`SupervisorBuilder::on_report`](super::SupervisorBuilder::on_report) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The session's id. It prints masked.
    pub session: Id,
    /// What happened.
    pub event: Event,
    /// Why.
    pub reason: Reason,
}

/// What happened, in a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A task failed and is not run again. The session goes on, unless it was ending already.
    TaskFailed,
    /// A task panicked. Its session ends, which is reported as well.
    TaskPanicked,
    /// The session has ended, and none of its tasks is left.
    SessionEnded {
        /// The delay after which the restart hook is called for its id; `None` if it is not.
        restart_in: Option<Duration>,
    },
}
