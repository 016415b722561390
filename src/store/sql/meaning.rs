//! What an error of a database means for who asked.

use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::event::SessionKey;
use crate::failure::{ProtocolFailure, Site};
use crate::store::{StoreError, StoreErrorKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is our own answer, and final.
    Refused,
    /// Two transactions were in each other's way: try again.
    Conflict,
    /// Another transaction holds a row that one event needs; the others were applied.
    Held,
    /// Another transaction holds what this one waited for, for as long as it may wait.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    Blocked,
    /// The unique index on workspace and number.
    Duplicate,
    /// The set-up is wrong.
    Setup,
    /// What was to be written does not fit, and never will.
    Unfit,
    /// The database cannot be reached, is lost on the way, full or read-only. Trying again later may help.
    Away,
    /// It answers, but is ill in a way that nobody listed. Likewise.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    Other,
}

impl Meaning {
    /// `listed` knows the database's own errors.
    pub(super) fn of(error: &sqlx::Error, listed: impl FnOnce(&dyn DatabaseError) -> Self) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => listed(&**error),
            E::Configuration(_)
            | E::PoolClosed
            | E::TypeNotFound { .. }
            | E::ColumnNotFound(_)
            | E::ColumnIndexOutOfBounds { .. }
            | E::ColumnDecode { .. }
            | E::Decode(_) => Self::Setup,
            E::Encode(_) | E::InvalidArgument(_) => Self::Unfit,
            _ => Self::Away,
        }
    }

    /// Whether the connection is as good as before once its transaction has ended.
    pub(super) fn leaves_the_connection(self) -> bool {
        !matches!(self, Self::Away | Self::Other)
    }

    /// Whether it may be over in a moment, so that it is asked again.
    pub(super) fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Conflict | Self::Held | Self::Blocked | Self::Duplicate
        )
    }

    /// Whether one event may be the reason that others beside it were not applied.
    pub(super) fn may_be_of_one(self) -> bool {
        matches!(
            self,
            Self::Blocked | Self::Duplicate | Self::Unfit | Self::Other
        )
    }

    /// Whether a commit that ended so wrote nothing.
    pub(super) fn is_of_an_aborted_commit(self) -> bool {
        matches!(self, Self::Conflict | Self::Duplicate | Self::Unfit)
    }
}

/// Why it was not done, and what whoever asked is told of it in the end.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) meaning: Meaning,
    pub(super) error: StoreError,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            meaning: Meaning::Refused,
            error,
        }
    }
}

impl Failure {
    pub(super) fn held(session: &SessionKey) -> Self {
        let message = format!(
            "other transactions hold the row of session {session}, or one of its workspace; see what keeps them open, and try again"
        );
        Self {
            meaning: Meaning::Held,
            error: StoreError::new(StoreErrorKind::Storage, message).transient(),
        }
    }
}

pub(super) fn cause(error: &sqlx::Error) -> ProtocolFailure {
    ProtocolFailure::from_error(Site::Unknown, error)
}

pub(super) fn late(name: &str, deadline: Duration) -> StoreError {
    let message = format!(
        "the database behind `{name}` did not answer in {deadline:?}; it may have done it all the same: try again, an event with an id or `seq` has effect once"
    );
    StoreError::new(StoreErrorKind::Storage, message).transient()
}

/// Out of time in the middle of another try, after one that failed so.
pub(super) fn late_again(before: &StoreError) -> StoreError {
    let message = format!("{before}; the last try may have done it all the same");
    StoreError::new(StoreErrorKind::Storage, message).transient()
}

/// Of a commit that nobody knows the end of.
pub(super) fn undecided(name: &str, error: Option<&sqlx::Error>) -> Failure {
    let message = format!(
        "the database behind `{name}` did not say whether it wrote, and may have done it: try again, an event with an id or `seq` has effect once"
    );
    let mut failed = StoreError::new(StoreErrorKind::Storage, message).transient();
    if let Some(error) = error {
        failed = failed.caused_by(cause(error));
    }
    Failure {
        meaning: Meaning::Away,
        error: failed,
    }
}

pub(super) fn explain(name: &str, meaning: Meaning, error: &sqlx::Error) -> StoreError {
    let cause = cause(error);
    if meaning == Meaning::Setup {
        let message = format!(
            "the store `{name}` is not set up for this: check its URL, the server's certificate where that asks for TLS, and that `whatsapp_accounts` and our tables beside it have the columns that the documentation names"
        );
        return StoreError::new(StoreErrorKind::Misconfigured, message).caused_by(cause);
    }
    let message = format!("the database behind `{name}` did not do it; its words are the cause");
    let failed = StoreError::new(StoreErrorKind::Storage, message).caused_by(cause);
    match meaning {
        Meaning::Duplicate | Meaning::Unfit => failed,
        _ => failed.transient(),
    }
}
