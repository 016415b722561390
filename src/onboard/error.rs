//! [`OnboardError`]: an event that was not accepted.

use std::error::Error;
use std::fmt;

use crate::event::{Failed, SessionEvent, SinkError};

/// A sink did not accept an event. The error carries the event, so that the caller can send it again
/// under the same id.
#[derive(Clone, Debug)]
pub struct OnboardError(Box<(SessionEvent, SinkError)>);

impl OnboardError {
    pub(super) fn new(event: SessionEvent, cause: SinkError) -> Self {
        Self(Box::new((event, cause)))
    }

    /// Returns the event that was not accepted.
    #[must_use]
    pub fn event(&self) -> &SessionEvent {
        &self.0.0
    }

    /// Returns the code of the reason: `sink_timeout`, `unknown_session`, ... `queue_full` (transient): 64
    /// events wait already. `superseded`: the event was dropped for a later one.
    #[must_use]
    pub fn code(&self) -> &str {
        self.0.1.code()
    }

    /// Returns whether the sink may accept it later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.1.is_transient()
    }
}

impl fmt::Display for OnboardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.1.disclose();
        write!(f, "the event {} was not accepted", self.event().name())
    }
}

impl Error for OnboardError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.1)
    }
}

impl From<OnboardError> for Failed {
    fn from(error: OnboardError) -> Self {
        Self::new(error.code(), error.0.1.to_string())
    }
}
