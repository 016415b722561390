//! A row as the drivers read it, and as they write it.

use std::time::Duration;

use serde::Serialize;

use crate::event::{EventId, SessionKey};
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::Assurance;
use crate::store::decide::Write;
use crate::store::decide::{given_up, merged, revived};
use crate::store::{SessionRow, Status, StatusChange, StoreError, StoreErrorKind, UnknownStatus};

/// The columns that every driver reads, in this order: id, workspace, session, number, status,
/// metadata, whether it is soft-deleted; then of our table: last `seq`, version, LID, assurance; and
/// which of the session's events in hand were applied to it, as a JSON array of their ids.
pub(super) type Columns = (
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// A change, and the id of its account.
pub(super) type Told = (i64, StatusChange);

/// What becomes of `deleted_at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Stays,
    Ends,
    /// The row begins anew, without its number.
    Begins,
}

/// A row of `whatsapp_accounts`, with what is ours beside it, and what is to be written of it. No
/// `Debug`: what others keep in its metadata may be anything.
pub(super) struct Loaded {
    pub(super) account: i64,
    pub(super) row: SessionRow,
    pub(super) is_deleted: bool,
    metadata: Option<String>,
    /// Events that are known to be applied to it; the last `noted` of them are yet to be noted.
    applied: Vec<String>,
    noted: usize,
    is_touched: bool,
    life: Life,
    connects: bool,
    has_new_metadata: bool,
}

impl Loaded {
    /// Texts that other programs wrote and that are none of ours are no errors: a number that is none
    /// is none.
    pub(super) fn read(columns: Columns) -> Result<Self, StoreError> {
        let odd = |what: &dyn std::fmt::Display| {
            let message = format!("the row of account {} is none of ours: {what}", columns.0);
            StoreError::new(StoreErrorKind::Storage, message)
        };
        let (Some(workspace), Some(session), Some(status)) = (columns.1, columns.2, columns.4)
        else {
            return Err(odd(&"workspace, session or status is null"));
        };
        let session = SessionKey::new(workspace, session).map_err(|error| odd(&error))?;
        let status = status.parse().map_err(|error: UnknownStatus| odd(&error))?;
        let applied = columns.11.as_deref().map(serde_json::from_str);
        let applied = applied.transpose().map_err(|error| odd(&error))?;
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let row = SessionRow {
            status,
            phone: columns.3.and_then(|text| text.parse().ok()),
            last_seq: columns.7.map(unsigned),
            version: columns.8.map_or(0, unsigned),
            lid: columns.9.and_then(|text| text.parse().ok()),
            assurance: columns.10.and_then(|text| text.parse().ok()),
            ..SessionRow::new(session)
        };
        Ok(Self {
            account: columns.0,
            row: row.corrected(),
            metadata: columns.5,
            is_deleted: columns.6 != 0,
            applied: applied.unwrap_or_default(),
            noted: 0,
            is_touched: false,
            life: Life::default(),
            connects: false,
            has_new_metadata: false,
        })
    }

    /// What is told of it: whoever deleted it gave it up.
    pub(super) fn to_change(&self) -> StatusChange {
        let mut change = self.row.to_change();
        if self.is_deleted {
            change.status = Status::Failed;
        }
        change
    }

    pub(super) fn told(&self) -> Told {
        (self.account, self.to_change())
    }

    pub(super) fn is_applied(&self, event: &EventId) -> bool {
        self.applied.iter().any(|id| id == event.as_str())
    }

    /// Says that it lives.
    pub(super) fn touch(&mut self) {
        self.is_touched = true;
    }

    pub(super) fn apply(&mut self, write: Write, event: Option<&EventId>) {
        self.is_touched = true;
        self.row = write.row;
        self.connects |= write.connects;
        if !write.metadata.is_empty() {
            self.metadata = Some(merged(self.metadata.as_deref(), write.metadata));
            self.has_new_metadata = true;
        }
        if let Some(event) = event {
            self.applied.push(event.as_str().to_owned());
            self.noted += 1;
        }
    }

    pub(super) fn give_up(&mut self) {
        self.is_touched = true;
        self.is_deleted = true;
        self.life = Life::Ends;
        self.row = given_up(self.row.clone());
    }

    pub(super) fn revive(&mut self) {
        self.is_touched = true;
        self.is_deleted = false;
        self.life = Life::Begins;
        self.row = revived(self.row.clone());
    }

    /// The metadata, if it is to be written.
    pub(super) fn new_metadata(&self) -> Option<&str> {
        self.metadata.as_deref().filter(|_| self.has_new_metadata)
    }

    /// What else is to be written of it, if anything.
    pub(super) fn to_save(&self) -> Option<Save<'_>> {
        let first_noted = self.applied.len() - self.noted;
        self.is_touched.then(|| Save {
            id: self.account,
            status: self.row.status.as_str(),
            phone: self.row.phone.as_ref().map(PhoneNumber::reveal),
            begins: u8::from(self.life == Life::Begins),
            ends: u8::from(self.life == Life::Ends),
            connects: u8::from(self.connects),
            seq: self.row.last_seq.map(signed),
            version: signed(self.row.version),
            lid: self.row.lid.as_ref().map(Jid::reveal),
            assurance: self.row.assurance.map(Assurance::as_str),
            events: &self.applied[first_noted..],
        })
    }
}

/// What is written of a row. The drivers hand it to their database as one JSON text, so that any
/// number of rows is one statement. No `Debug`: it holds numbers.
#[derive(Serialize)]
pub(super) struct Save<'a> {
    pub(super) id: i64,
    status: &'a str,
    /// `None` leaves what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    /// Whether it is no longer deleted, and without its number.
    begins: u8,
    /// Whether it is soft-deleted now.
    pub(super) ends: u8,
    /// Whether `last_connected_at` becomes now.
    connects: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq: Option<i64>,
    pub(super) version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assurance: Option<&'static str>,
    /// The events whose ids are noted.
    pub(super) events: &'a [String],
}

/// As a parameter of the statements that save.
pub(super) fn as_json<T: Serialize>(rows: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn seconds(time: Duration) -> i64 {
    // More than any clock has counted, and nothing that a database's interval cannot hold.
    signed(time.as_secs()).min(100 * 365 * 24 * 60 * 60)
}
