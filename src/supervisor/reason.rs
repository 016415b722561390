//! Why a session ended: [`Reason`], and its [`Report`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::id::Id;
use crate::classify::{
    Classification, ErrorClass, OwnedClassification, Phase, ProtocolErrorClassifier, Verdict,
};
use crate::extract::ExtractError;
use crate::failure::{ProtocolFailure, Site, find};
use crate::text::stable_names;

/// A task's name, as its caller gave it.
pub(super) type Name = Cow<'static, str>;

/// The kind of a [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Its tasks are done, and it has no handle.
    Finished,
}

stable_names!(ReasonKind, "a kind of reasons", as_str {
    Failed = "failed",
    Panicked = "panicked",
    Requested = "requested",
    Stopped = "stopped",
    Finished = "finished",
});

/// Why a session ended, or what happened to one of its tasks. Cheap to clone; foreign text in it is
/// cleaned.
///
/// `Display` names the task, the class and the rule, and gives the error with its causes, cut at
/// [`MAX_TEXT`](crate::failure::MAX_TEXT) bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    kind: ReasonKind,
    task: Option<Arc<TaskFailure>>,
}

/// A task's error or panic.
#[derive(Debug, PartialEq, Eq)]
struct TaskFailure {
    name: Name,
    failure: ProtocolFailure,
    /// A panic has none.
    error: Option<OwnedClassification>,
}

impl Reason {
    /// Returns a reason that is no failure.
    pub(super) const fn plain(kind: ReasonKind) -> Self {
        Self { kind, task: None }
    }

    /// Returns the reason that an error of this task is.
    pub(super) fn failed(
        name: Name,
        classifier: &ProtocolErrorClassifier,
        error: &(dyn Error + 'static),
    ) -> Self {
        let failure = ProtocolFailure::from_error(Site::Unknown, error);
        let found = classifier.classify_error(Site::Unknown, error);
        // The extractor has classified its sources' failures by a classifier of its own, which may have a
        // more precise rule for the same class.
        let extraction = find::<ExtractError>(error).filter(|error| error.attempts() > 0);
        let own = extraction.as_ref().and_then(ExtractError::classification);
        let found = own.filter(|own| own.class == found.class).unwrap_or(found);
        Self::of_task(name, failure, Some(found.into()))
    }

    /// Returns the reason that a panic of this task with this message is.
    pub(super) fn panicked(name: Name, message: &str) -> Self {
        Self::of_task(name, ProtocolFailure::new(Site::Unknown, message), None)
    }

    fn of_task(name: Name, failure: ProtocolFailure, error: Option<OwnedClassification>) -> Self {
        let kind = error.as_ref().map(|_| ReasonKind::Failed);
        let task = TaskFailure {
            name,
            failure,
            error,
        };
        Self {
            kind: kind.unwrap_or(ReasonKind::Panicked),
            task: Some(Arc::new(task)),
        }
    }

    /// Returns what kind of reason it is.
    #[must_use]
    pub const fn kind(&self) -> ReasonKind {
        self.kind
    }

    /// Returns whether it is an error or a panic. A session that ended so is restarted, if there is a
    /// hook for it.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.kind, ReasonKind::Failed | ReasonKind::Panicked)
    }

    /// Returns the name of the task that failed or panicked.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        self.task.as_ref().map(|task| &*task.name)
    }

    /// Returns the class of the task's error.
    #[must_use]
    pub fn class(&self) -> Option<ErrorClass> {
        self.error().map(|error| error.class)
    }

    /// Returns what the error means, in a line for a log, without a word of the error itself.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.error().map(Classification::explanation)
    }

    /// Returns the name of the classifier's rule that matched the error.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.error().map(|error| error.rule)
    }

    /// Returns what to do about the error or panic. The state that a task shared with its session may be
    /// inconsistent after its panic, so the session ends.
    pub(super) fn verdict(&self, phase: Phase) -> Verdict {
        match (self.error(), phase) {
            (Some(error), _) => error.verdict(phase),
            (None, Phase::Live) => Verdict::EndSession,
            (None, Phase::Ending) => Verdict::Surface,
        }
    }

    fn error(&self) -> Option<Classification<'_>> {
        self.task
            .as_ref()?
            .error
            .as_ref()
            .map(OwnedClassification::get)
    }

    /// Returns the error with its causes, or the message of the panic; cleaned.
    #[must_use]
    pub fn failure(&self) -> Option<&ProtocolFailure> {
        self.task.as_ref().map(|task| &task.failure)
    }

    /// Returns what `Display` writes, with this text for the failure.
    pub(super) fn text(&self, of_failure: fn(&ProtocolFailure) -> String) -> String {
        let text = self.failure().map(of_failure).unwrap_or_default();
        match (self.kind, self.task(), self.error()) {
            (_, Some(task), Some(Classification { class, rule, .. })) => {
                format!("task `{task}` failed, {class} ({rule}): {text}")
            }
            (_, Some(task), None) => format!("task `{task}` panicked: {text}"),
            (ReasonKind::Requested, ..) => "ended on purpose".into(),
            (ReasonKind::Stopped, ..) => "the supervisor was stopped, or its runtime".into(),
            _ => "its tasks are done".into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(ProtocolFailure::with_causes))
    }
}

/// The argument of [`SupervisorBuilder::on_report`](super::SupervisorBuilder::on_report).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The session's id. It prints masked.
    pub session: Id,
    /// The event.
    pub event: Event,
    /// Why.
    pub reason: Reason,
}

/// The event of a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A task failed and is not run again. The session continues, unless it was ending already.
    TaskFailed,
    /// A task panicked. Its session ends, which is reported as well.
    TaskPanicked,
    /// The session has ended, and none of its tasks is left.
    SessionEnded {
        /// The delay after which the restart hook is called for its id; `None` if it is not.
        restart_in: Option<Duration>,
    },
}
