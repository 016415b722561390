//! What an error of a database means for who asked.

use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::failure::{ProtocolFailure, Site};
use crate::store::{StoreError, StoreErrorKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Two transactions were in each other's way: try again.
    Conflict,
    /// Somebody holds a row, for longer than was waited.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    Held,
    /// The unique index on workspace and number.
    Duplicate,
    /// The set-up is wrong.
    Setup,
    /// What was to be written does not fit, and never will.
    Unfit,
    /// Anything else: the database is away, full, read-only, or ill in a way that nobody listed.
    /// Trying again later may help.
    Other,
}

impl Meaning {
    /// `listed` knows the database's own errors.
    pub(super) fn of(error: &sqlx::Error, listed: impl FnOnce(&dyn DatabaseError) -> Self) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => listed(&**error),
            E::Configuration(_)
            | E::TypeNotFound { .. }
            | E::ColumnNotFound(_)
            | E::ColumnIndexOutOfBounds { .. }
            | E::ColumnDecode { .. }
            | E::Decode(_) => Self::Setup,
            E::Encode(_) | E::InvalidArgument(_) => Self::Unfit,
            _ => Self::Other,
        }
    }

    /// Whether the connection is as good as before once its transaction has ended.
    pub(super) fn leaves_the_connection(self) -> bool {
        self != Self::Other
    }
}

pub(super) fn cause(error: &sqlx::Error) -> ProtocolFailure {
    ProtocolFailure::from_error(Site::Unknown, error)
}

pub(super) fn late(name: &str, deadline: Duration) -> StoreError {
    let message = format!(
        "the database behind `{name}` did not answer in {deadline:?}; it may have done it all the same: try again, the same event has effect once"
    );
    StoreError::new(StoreErrorKind::Storage, message).transient()
}

pub(super) fn explain(name: &str, meaning: Meaning, error: &sqlx::Error) -> StoreError {
    let cause = cause(error);
    if meaning == Meaning::Setup {
        let message = format!(
            "the store `{name}` is not set up for this: check its URL, and that `whatsapp_accounts` and our tables beside it have the columns that the documentation names"
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
