//! The state of a session: [`SessionState`].

use std::fmt;

use super::reason::Reason;
use crate::classify::Phase;

/// The state of a session. It changes in this order only, and may leave states out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// It follows a session of this id that ended for this reason, and waits for the delay after which the
    /// restart hook runs. Tasks can be spawned already.
    Restarting(Reason),
    /// The session is neither waiting for its restart nor ending.
    #[default]
    Live,
    /// It ends for this reason: its tasks have got the stop signal, and no further task is started.
    Ending(Reason),
    /// It has ended for this reason, and all its tasks are gone.
    Ended(Reason),
}

impl SessionState {
    /// Returns the stable name: `restarting`, `live`, `ending`, `ended`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Restarting(_) => "restarting",
            Self::Live => "live",
            Self::Ending(_) => "ending",
            Self::Ended(_) => "ended",
        }
    }

    /// Returns the reason for which it ends or has ended. `None` for the other two states: the reason in
    /// [`Restarting`](Self::Restarting) is that of the session before.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Ending(reason) | Self::Ended(reason) => Some(reason),
            Self::Restarting(_) | Self::Live => None,
        }
    }

    /// Returns whether it has ended.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Returns the phase for the classifier. A session that ends because its page was lost is ending
    /// like one that was ended on purpose: the errors of its other tasks are expected.
    pub(super) const fn phase(&self) -> Phase {
        match self.reason() {
            None => Phase::Live,
            Some(_) => Phase::Ending,
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
