//! [`StoreError`]: why a call to a store failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::status::SessionRow;
use crate::codes;
use crate::event::{EventError, Failed, SessionEvent, SessionKey, SinkError};
use crate::failure::{MAX_TEXT, ProtocolFailure, disclose_code};
use crate::text::{clean, stable_names};

/// The reason for a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No such session in that workspace, or it was given up.
    UnknownSession,
    /// The session's id belongs to another workspace.
    SessionTaken,
    /// The event, or an id in it, cannot be stored.
    InvalidEvent,
    /// Another session of the workspace holds the number, and the policy does not retire it.
    NumberAlreadyConnected,
    /// The session is bound to another number.
    RebindRefused,
    /// The cursor is not one that this store returned.
    InvalidCursor,
    /// The configuration cannot work: an invalid URL, a table that lacks a column.
    Misconfigured,
    /// The operation failed in the storage, for instance because the server is unreachable.
    Storage,
}

stable_names!(StoreErrorKind, "a kind of store errors", code {
    UnknownSession = codes::UNKNOWN_SESSION,
    SessionTaken = codes::SESSION_TAKEN,
    InvalidEvent = codes::INVALID_EVENT,
    NumberAlreadyConnected = codes::NUMBER_ALREADY_CONNECTED,
    RebindRefused = codes::REBIND_REFUSED,
    InvalidCursor = codes::INVALID_CURSOR,
    Misconfigured = codes::MISCONFIGURED,
    Storage = codes::STORAGE,
});

/// The error of a call to a store. Nothing was written, unless the connection was lost, or the storage was
/// late: then the message says that it may have been. Cheap to clone; never contains a number.
///
/// `Display` says what happened, to what, and what to do. [`Error::source`] gives the database's own
/// message, cleaned, with its code.
#[derive(Clone, Debug)]
pub struct StoreError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: StoreErrorKind,
    message: String,
    is_transient: bool,
    /// Of a row that was given up: its `last_seq`.
    given_up: Option<Option<u64>>,
    source: Option<ProtocolFailure>,
}

impl StoreError {
    /// Makes a permanent error of this kind; the message is cleaned.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl AsRef<str>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: clean(message.as_ref(), MAX_TEXT),
            is_transient: false,
            given_up: None,
            source: None,
        }))
    }

    /// Marks the error as transient: a retry may help.
    #[must_use]
    pub fn transient(self) -> Self {
        self.with(|inner| inner.is_transient = true)
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(self, cause: ProtocolFailure) -> Self {
        self.with(|inner| inner.source = Some(cause))
    }

    /// Returns the cause, if the database gave one.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn cause(&self) -> Option<&ProtocolFailure> {
        self.0.source.as_ref()
    }

    /// Says it in other words; kind and cause stay.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn with_message(self, message: impl AsRef<str>) -> Self {
        self.with(|inner| inner.message = clean(message.as_ref(), MAX_TEXT))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Makes an `unknown_session` error: the store has no such session in that workspace, or has given it up.
    #[must_use]
    pub fn unknown(session: impl fmt::Display) -> Self {
        let message = format!(
            "the store has no session {session}, or has given it up; register it before its first event"
        );
        Self::new(StoreErrorKind::UnknownSession, message)
    }

    /// Makes an `unknown_session` error for an event of a row that was given up. By the row's `last_seq`,
    /// [`StoreSink::register_unknown`](super::StoreSink::register_unknown) distinguishes late events from new ones.
    #[must_use]
    pub fn given_up(row: &SessionRow) -> Self {
        Self::unknown(&row.session).with(|inner| inner.given_up = Some(row.last_seq))
    }

    /// Returns whether the session of this event may be registered: it is unknown, and if it was given up,
    /// the event comes after all that were applied before.
    pub(super) fn allows_registration(&self, event: &SessionEvent) -> bool {
        let is_later = |last| event.seq() > last;
        self.kind() == StoreErrorKind::UnknownSession && self.0.given_up.is_none_or(is_later)
    }

    /// Makes a `session_taken` error: the session's id belongs to another workspace.
    #[must_use]
    pub fn taken(session: &SessionKey) -> Self {
        let message = format!(
            "the session id {} belongs to another workspace, or the database takes it for the id of another session; choose another id",
            session.session_id
        );
        Self::new(StoreErrorKind::SessionTaken, message)
    }

    pub(super) fn cursor() -> Self {
        let message =
            "the cursor is not one that this store returned; begin again without a cursor";
        Self::new(StoreErrorKind::InvalidCursor, message)
    }

    pub(super) fn held(session: &SessionKey) -> Self {
        let message = format!(
            "the number of session {session} is held by another session of the workspace; end that one first"
        );
        Self::new(StoreErrorKind::NumberAlreadyConnected, message)
    }

    pub(super) fn rebind(session: &SessionKey) -> Self {
        let message = format!(
            "session {session} is bound to another number than it was linked to now; scan with the right account, or use a new session"
        );
        Self::new(StoreErrorKind::RebindRefused, message)
    }

    /// Returns the reason.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }

    /// Returns the reason's stable code: `unknown_session`, `number_already_connected`, ...
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// Returns whether trying again may help. Only [`Storage`](StoreErrorKind::Storage) ever is.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.is_transient
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        disclose_code(self.code(), self.0.is_transient);
        f.write_str(&self.0.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|cause| cause as _)
    }
}

impl From<EventError> for StoreError {
    fn from(error: EventError) -> Self {
        Self::new(StoreErrorKind::InvalidEvent, error.to_string())
    }
}

impl From<&StoreError> for Failed {
    /// Makes the failure for a `session_error` that says why a number was not stored.
    fn from(error: &StoreError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        let refused = match error.is_transient() {
            true => Self::transient(error.code(), error.to_string()),
            false => Self::permanent(error.code(), error.to_string()),
        };
        match &error.0.source {
            Some(cause) => refused.caused_by(cause.clone()),
            None => refused,
        }
    }
}
