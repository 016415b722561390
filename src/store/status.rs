//! The state of a session in a store: [`SessionRow`], [`Status`], [`StatusChange`], [`SessionError`].

use std::fmt;
use std::str::FromStr;

use crate::event::{Failed, SessionKey};
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::Assurance;

macro_rules! statuses {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The status of a session.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status { $($(#[$doc])* $variant,)* }

        impl Status {
            /// Every status.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name as in the database and in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for Status {
            type Err = UnknownStatus;

            fn from_str(text: &str) -> Result<Self, UnknownStatus> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(UnknownStatus) }
            }
        }
    };
}

statuses! {
    /// It waits to be linked.
    QrScanning = "qr_scanning",
    /// The phone has accepted the code; the number is not known yet.
    Authenticated = "authenticated",
    /// It is linked, and its number is known.
    Connected = "connected",
    /// It is no longer linked. The number stays.
    Disconnected = "disconnected",
    /// It has no number, for the reason in [`SessionRow::error`].
    Error = "error",
    /// It is given up: retired for another session of the same number, stuck, or deleted.
    Failed = "failed",
}

impl Status {
    /// Returns whether it is given up as stuck where nothing happens.
    pub(crate) const fn is_waiting(self) -> bool {
        matches!(self, Self::QrScanning | Self::Authenticated)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a status; there are qr_scanning, authenticated, connected, disconnected, error and failed"
)]
pub struct UnknownStatus;

/// The reason for the status [`Error`](Status::Error). Numbers in its texts are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A session as a store holds it. `Debug` masks number and LID.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
