//! The kinds of events, and what each carries.

use std::fmt;

use serde_json::Value;

use super::QrCode;
use crate::extract::{ExtractError, Extraction};
use crate::failure::MAX_TEXT;
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::Assurance;
use crate::text::clean;

/// The kind of an event, with its data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The session waits to be linked by this code, or the page's code has
    /// [expired](QrCode::is_expired).
    QrCodeGenerated(QrCode),
    /// The phone has accepted the code; the number is not known yet.
    SessionAuthenticated,
    /// The session is linked to a number.
    SessionReady(Ready),
    /// No number was found, or it was refused.
    SessionError(Failed),
    /// The session is connected again after a disconnect; the event names no number. A session of the
    /// reference sends it.
    SessionReconnected,
    /// The session is no longer linked.
    #[non_exhaustive]
    SessionDisconnected {
        /// The reason as its reporter wrote it, cleaned. May be empty.
        reason: String,
    },
    /// An event of others, which is only passed on.
    Foreign(Foreign),
}

impl EventKind {
    /// Returns the name in JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::QrCodeGenerated(_) => "qr_code_generated",
            Self::SessionAuthenticated => "session_authenticated",
            Self::SessionReady(_) => "session_ready",
            Self::SessionError(_) => "session_error",
            Self::SessionReconnected => "session_reconnected",
            Self::SessionDisconnected { .. } => "session_disconnected",
            Self::Foreign(foreign) => &foreign.name,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The data of a `session_ready`: the number, and its LID, source and assurance if they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    phone: PhoneNumber,
    lid: Option<Jid>,
    assurance: Option<Assurance>,
}

impl Ready {
    /// Adds the account's LID. A JID that is no LID is ignored, and so is one whose digits are the
    /// number's: one of the two has been mistaken for the other.
    #[must_use]
    pub fn with_lid(mut self, lid: Jid) -> Self {
        if lid.server().has_lids() && lid.user() != self.phone.reveal() {
            self.lid = Some(lid);
        }
        self
    }

    /// Adds how sure the number is.
    #[must_use]
    pub fn with_assurance(mut self, assurance: Assurance) -> Self {
        self.assurance = Some(assurance);
        self
    }

    /// Returns the number.
    #[must_use]
    pub fn phone(&self) -> &PhoneNumber {
        &self.phone
    }

    /// Returns the account's LID, where it is known.
    #[must_use]
    pub fn lid(&self) -> Option<&Jid> {
        self.lid.as_ref()
    }

    /// Returns how sure the number is. `None`: the sender did not say.
    #[must_use]
    pub fn assurance(&self) -> Option<Assurance> {
        self.assurance
    }
}

impl From<PhoneNumber> for Ready {
    fn from(phone: PhoneNumber) -> Self {
        Self {
            phone,
            lid: None,
            assurance: None,
        }
    }
}

impl From<&Extraction> for Ready {
    fn from(found: &Extraction) -> Self {
        let ready = Self::from(found.phone.clone()).with_assurance(found.assurance);
        match &found.lid {
            Some(lid) => ready.with_lid(lid.clone()),
            None => ready,
        }
    }
}

/// The data of a `session_error`. Its texts are cleaned: numbers in them are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub(super) error: String,
    pub(super) code: Option<String>,
    message: String,
}

impl Failed {
    /// The value of `error` in events of this crate.
    pub const EXTRACTION: &'static str = "phone_extraction_failed";

    /// Makes a failure by its stable code (`not_ready`, `number_already_connected`, ...) and its message.
    #[must_use]
    pub fn new(code: impl AsRef<str>, message: impl AsRef<str>) -> Self {
        Self::read(Self::EXTRACTION, Some(code.as_ref()), message.as_ref())
    }

    pub(super) fn read(error: &str, code: Option<&str>, message: &str) -> Self {
        Self {
            error: clean(error, 128),
            code: code.map(|code| clean(code, 128)),
            message: clean(message, MAX_TEXT),
        }
    }

    /// Returns the error name: `phone_extraction_failed`, or that of another sender.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.error
    }

    /// Returns the stable code of the reason. `None`: the sender gave none.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the message. It may be empty.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<&ExtractError> for Failed {
    fn from(error: &ExtractError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// An event of another kind than ours, kept as it came. `Debug` shows its name alone.
#[derive(Clone)]
pub struct Foreign {
    pub(super) name: String,
    pub(super) data: Option<Value>,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign({})", clean(&self.name, 128))
    }
}
