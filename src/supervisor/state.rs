//! The state of a session: [`SessionState`].

use std::fmt;

use super::reason::Reason;
use crate::classify::Phase;

/// The state of a session. It only ever moves down this list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// The session before it under this id ended for this reason; the restart hook is called once its
    /// delay is over. Tasks that others spawn run already.
    Restarting(Reason),
    /// It runs tasks.
    #[default]
    Live,
    /// It ends for this reason: its tasks have the stop signal, no new one begins.
    Ending(Reason),
    /// It has ended for this reason; none of its tasks is left.
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

    /// Returns the reason for which it ends or has ended.
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
