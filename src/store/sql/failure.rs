//! The one internal error, [`Failure`]: a [`StoreError`] for the caller, and its [`Class`] for retries.

use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::event::{EventKind, SessionEvent, SessionKey};
use crate::failure::{ProtocolFailure, Site};
use crate::store::error::{StoreError, StoreErrorKind};

/// The consequence of a failure for the transaction and its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The store refused the call; final.
    Refused,
    /// Two transactions conflicted, and the database chose this one: retry.
    Conflict,
    /// Another transaction holds a lock that one event needs; the others were applied.
    Held,
    /// A statement waited too long for another transaction.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    Blocked,
    /// A unique index refused a row.
    Duplicate,
    /// The configuration is wrong.
    Setup,
    /// The database refuses the values, and always will.
    Unfit,
    /// The database is unreachable, full, read-only or ending. A later retry may help.
    Away,
    /// An unlisted error. Likewise.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    Other,
}

impl Class {
    /// Classifies an error; `listed` knows the database's own codes.
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

    /// Returns whether the connection stays usable once its transaction is rolled back.
    pub(super) fn leaves_the_connection(self) -> bool {
        !matches!(self, Self::Away | Self::Other)
    }

    /// Returns whether a retry within the deadline makes sense.
    pub(super) fn is_retried(self) -> bool {
        matches!(
            self,
            Self::Conflict | Self::Held | Self::Blocked | Self::Duplicate
        )
    }

    /// Returns whether one event may have failed the others in its transaction.
    pub(super) fn may_be_of_one(self) -> bool {
        matches!(
            self,
            Self::Blocked | Self::Duplicate | Self::Unfit | Self::Other
        )
    }
}

#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) class: Class,
    pub(super) error: StoreError,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            class: Class::Refused,
            error,
        }
    }
}

impl Failure {
    pub(super) fn held(session: &SessionKey) -> Self {
        let message = format!(
            "other transactions hold the row of session {session}, or a row or lock of its number; see what keeps them open, and try again"
        );
        Self {
            class: Class::Held,
            error: StoreError::new(StoreErrorKind::Storage, message).transient(),
        }
    }

    /// Returns the failure of an operation of the store called `name`.
    pub(super) fn of(name: &str, class: Class, error: &sqlx::Error) -> Self {
        let text = match class {
            Class::Setup => format!(
                "the store `{name}` is configured wrongly for this database: check its URL, TLS, the user's rights and the tables; the cause says what the database refused"
            ),
            Class::Duplicate => format!(
                "a unique index of the database behind `{name}` refused the row; the cause names the index"
            ),
            Class::Unfit => format!(
                "the database behind `{name}` refused the values, and always will; the cause says why"
            ),
            _ => format!("the operation failed in the database behind `{name}`"),
        };
        let (kind, is_final) = match class {
            Class::Setup => (StoreErrorKind::Misconfigured, true),
            Class::Duplicate | Class::Unfit => (StoreErrorKind::Storage, true),
            _ => (StoreErrorKind::Storage, false),
        };
        let failed = StoreError::new(kind, text).caused_by(cause(error));
        let error = if is_final { failed } else { failed.transient() };
        Self { class, error }
    }

    /// Returns the failure of this event alone: a unique index that refuses a number says that it is taken.
    pub(super) fn of_event(mut self, event: &SessionEvent) -> Self {
        let connects = matches!(
            event.kind(),
            EventKind::SessionReady(_) | EventKind::SessionReconnected
        );
        if let (Class::Duplicate, Some(session), true) = (self.class, event.session(), connects) {
            let held = StoreError::held(session);
            self.error = match self.error.cause() {
                Some(cause) => held.caused_by(cause.clone()),
                None => held,
            };
        }
        self
    }

    /// Returns the failure of a commit.
    pub(super) fn of_commit(name: &str, class: Class, error: &sqlx::Error) -> Self {
        match class {
            // It wrote nothing.
            Class::Conflict | Class::Duplicate | Class::Unfit => Self::of(name, class, error),
            _ => Self::undecided(name, Some(error)),
        }
    }

    /// Returns the failure of a commit whose result is unknown.
    pub(super) fn undecided(name: &str, error: Option<&sqlx::Error>) -> Self {
        let message = format!(
            "the database behind `{name}` did not confirm the commit, and may have done it: try again, an event with an id or `seq` has effect once"
        );
        let failed = StoreError::new(StoreErrorKind::Storage, message).transient();
        Self {
            class: Class::Away,
            error: match error {
                Some(error) => failed.caused_by(cause(error)),
                None => failed,
            },
        }
    }
}

pub(super) fn cause(error: &sqlx::Error) -> ProtocolFailure {
    let cause = ProtocolFailure::from_error(Site::Unknown, error);
    let code = error.as_database_error().and_then(DatabaseError::code);
    match code {
        Some(code) => cause.with_code(code.into_owned()),
        None => cause,
    }
}

pub(super) fn late(name: &str, deadline: Duration) -> StoreError {
    let message = format!(
        "the database behind `{name}` did not answer in {deadline:?}, and may have done the operation: try again, an event with an id or `seq` has effect once"
    );
    StoreError::new(StoreErrorKind::Storage, message).transient()
}

/// Returns the failure for a deadline that passed during another try, after one that failed with `before`.
pub(super) fn late_again(before: &StoreError) -> StoreError {
    let message = format!("{before}; the last try did not end in time, and may have had effect");
    before.clone().with_message(message)
}
