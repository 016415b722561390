//! Rows as they are read ([`Row`]) and written ([`Save`]), and the spellings of numbers.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::SessionKey;
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::store::status::Status;

/// A row of the accounts table, with our own row beside it, if that belongs to it. Flags are 0 or 1.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) workspace: Option<String>,
    pub(super) session: Option<String>,
    pub(super) number: Option<String>,
    pub(super) status: Option<String>,
    pub(super) is_deleted: u8,
    /// `updated_at`, for comparison alone.
    pub(super) updated: Option<String>,
    /// The database's clock, in seconds.
    pub(super) now: i64,
    #[serde(flatten)]
    pub(super) beside: Beside,
}

/// Our own row beside a row of the accounts. Flags are 0 or 1. A value that is absent is left out: MySQL
/// before 8.0.21 reads `null` as a text.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Beside {
    /// Which row of the accounts it belongs to, even if its id differs; events are noted under it. `None`: we have
    /// no row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) life: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assurance: Option<String>,
    /// The number that was taken from the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kept_number: Option<String>,
    /// The number that the column holds in an unusual spelling, and that spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spelled_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spelling: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_message: Option<String>,
    /// Whether the status `disconnected` stands for `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shows_error: Option<u8>,
    /// The `updated_at` that was seen last, and since when; `None`: from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seen_updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seen_at: Option<i64>,
}

impl Row {
    pub(super) fn stored_status(&self) -> Option<Status> {
        self.status
            .as_deref()
            .and_then(|status| status.parse().ok())
    }

    /// Returns the key; `None` if its ids are not recognised.
    pub(super) fn session_key(&self) -> Option<SessionKey> {
        SessionKey::new(self.workspace.as_deref()?, self.session.as_deref()?).ok()
    }

    /// Returns since when the row is known to have this `updated_at`; `None` if it has changed.
    pub(super) fn seen_at(&self) -> Option<i64> {
        let beside = &self.beside;
        beside
            .seen_at
            .filter(|_| beside.seen_updated_at == self.updated)
    }

    /// Returns whether it waits for a scan, and has not changed for so many seconds.
    pub(super) fn is_stuck(&self, seconds: i64) -> bool {
        let is_waiting = self.stored_status().is_some_and(Status::is_waiting);
        let age = self.now.saturating_sub(self.seen_at().unwrap_or(self.now));
        self.is_deleted == 0 && is_waiting && age >= seconds
    }

    /// Returns whether a scan has something to note or to give up.
    pub(super) fn is_due(&self, seconds: i64) -> bool {
        let has_spelling = self
            .number
            .as_deref()
            .is_some_and(|text| !is_looked_up(text));
        let is_noted = self.beside.spelling == self.number;
        self.is_stuck(seconds) || self.seen_at().is_none() || has_spelling && !is_noted
    }
}

/// Returns the number that a text of another program names, in any usual spelling.
pub(super) fn number(text: &str) -> Option<PhoneNumber> {
    let text = text.trim();
    if text.contains('@') {
        let jid: Jid = text.trim_start_matches('+').parse().ok()?;
        return jid.phone_number().ok();
    }
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '(' | ')' | '/');
    let digits = text
        .strip_prefix('+')
        .unwrap_or(text)
        .replace(is_separator, "");
    digits.parse().ok()
}

/// Returns the forms in which a number is looked up.
pub(super) fn spellings(number: &PhoneNumber) -> [String; 4] {
    let digits = number.reveal();
    [
        digits.to_owned(),
        format!("+{digits}"),
        format!("{digits}@c.us"),
        format!("{digits}@s.whatsapp.net"),
    ]
}

pub(super) fn is_looked_up(text: &str) -> bool {
    number(text).is_some_and(|number| spellings(&number).iter().any(|form| form == text))
}

/// The writing of a row. Flags are 0 or 1. No `Debug`: it holds numbers.
#[derive(Default, Serialize)]
pub(super) struct Save {
    pub(super) id: String,
    /// Whether status and `updated_at` are written.
    pub(super) touched: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
    /// The new number, if it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phone: Option<String>,
    /// Whether the number goes.
    pub(super) clears: u8,
    /// Whether it is no longer deleted.
    pub(super) begins: u8,
    /// Whether it is soft-deleted now.
    pub(super) ends: u8,
    /// Whether `last_connected_at` becomes now.
    pub(super) connects: u8,
    /// The new metadata, if it changes. A statement of its own writes it.
    #[serde(skip)]
    pub(super) metadata: Option<String>,
    /// The ids of applied events.
    pub(super) events: Vec<String>,
    #[serde(flatten)]
    pub(super) beside: Beside,
}

impl Save {
    /// Returns the metadata with its row, for the statement that writes it; `None`: it does not change.
    pub(super) fn metadata(&self) -> Option<Value> {
        let metadata = self.metadata.as_ref()?;
        Some(json!({"id": self.id, "metadata": metadata}))
    }
}
