//! The state of a session in a store: [`SessionRow`], [`Status`], [`StatusChange`], [`SessionError`].

use serde::{Deserialize, Serialize};

use crate::event::{Failed, SessionKey};
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::Assurance;
use crate::text::stable_names;

/// The status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It waits to be linked.
    QrScanning,
    /// The phone has accepted the code; the number is not known yet.
    Authenticated,
    /// It is linked, and its number is known.
    Connected,
    /// It is no longer linked. The number stays.
    Disconnected,
    /// It has no number, for the reason in [`SessionRow::error`].
    Error,
    /// It is given up: retired for another session of the same number, stuck, or deleted.
    Failed,
}

impl Status {
    /// Returns whether it is given up as stuck where nothing happens.
    pub(crate) const fn is_waiting(self) -> bool {
        matches!(self, Self::QrScanning | Self::Authenticated)
    }
}

stable_names!(Status, "a status", as_str {
    QrScanning = "qr_scanning",
    Authenticated = "authenticated",
    Connected = "connected",
    Disconnected = "disconnected",
    Error = "error",
    Failed = "failed",
});

/// The reason for the status [`Error`](Status::Error). Numbers in its texts are masked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionError {
    /// The stable code: `not_ready`, `number_already_connected`, ... If the sender of the event gave none,
    /// its `error`: `webhook_send_failed`, ...
    pub code: String,
    /// The reason as text. May be empty.
    pub message: String,
}

impl SessionError {
    /// Makes a reason again from the texts that a store has kept of it. A new one comes from a [`Failed`],
    /// which masks the numbers in its texts.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl From<&Failed> for SessionError {
    fn from(failed: &Failed) -> Self {
        Self::new(failed.code().unwrap_or(failed.error()), failed.message())
    }
}

/// A session as a store holds it. `Debug` masks number and LID; serialising reveals them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionRow {
    /// The session.
    pub session: SessionKey,
    /// Its status. Never [`Connected`](Status::Connected) without a number: a row that another
    /// program wrote so is shown as [`Authenticated`](Status::Authenticated).
    pub status: Status,
    /// The number that it is bound to, also while it is not linked.
    pub phone: Option<PhoneNumber>,
    /// The account's LID, where it is known.
    pub lid: Option<Jid>,
    /// How sure the number is, where the sender said so.
    pub assurance: Option<Assurance>,
    /// Why its status is [`Error`](Status::Error). `None` with any other status, and if another program
    /// wrote the row since.
    pub error: Option<SessionError>,
    /// The greatest `seq` that was applied. A new producer of events continues from it.
    pub last_seq: Option<u64>,
    /// Counts the changes that were made through this crate, from 0.
    pub version: u64,
}

impl SessionRow {
    /// Makes a row as [`SessionStore::register`](super::SessionStore::register) makes it: waiting for a
    /// scan, with no number.
    #[must_use]
    pub fn new(session: SessionKey) -> Self {
        Self {
            session,
            status: Status::QrScanning,
            phone: None,
            lid: None,
            assurance: None,
            error: None,
            last_seq: None,
            version: 0,
        }
    }

    /// Returns the change that watchers of this row see.
    #[must_use]
    pub fn to_change(&self) -> StatusChange {
        let is_shown = self.status != Status::Error;
        StatusChange {
            session: self.session.clone(),
            status: self.status,
            phone: self.phone.clone().filter(|_| is_shown),
            error: self.error.clone(),
            version: self.version,
        }
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    /// Corrects a row that another program wrote: `connected` without a number.
    pub(super) fn corrected(mut self) -> Self {
        if self.status == Status::Connected && self.phone.is_none() {
            self.status = Status::Authenticated;
        }
        self
    }
}

/// A session's status, as watchers see it. `Debug` masks the number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatusChange {
    /// The session.
    pub session: SessionKey,
    /// Its new status.
    pub status: Status,
    /// Its number. Always there when `status` is [`Connected`](Status::Connected), never when it is
    /// [`Error`](Status::Error).
    pub phone: Option<PhoneNumber>,
    /// The reason, as in [`SessionRow::error`].
    pub error: Option<SessionError>,
    /// Greater than that of every earlier change of this session, unless another program wrote the
    /// row: that is seen, but not counted.
    pub version: u64,
}
