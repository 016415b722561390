//! [`Account`]: a row in memory, and its changes.

use std::fmt;

use super::row::{Row, Save, is_looked_up, number};
use crate::event::{EventId, Failed, SessionKey};
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::Assurance;
use crate::store::decide::{RowWrite, given_up, revived};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::status::{SessionError, SessionRow, Status, StatusChange, UnknownStatus};

/// A change, and the life of its row: another row may get the same id.
pub(super) type Notice = (String, StatusChange);

/// A row in memory, with the changes that are to be written. No `Debug`: it holds numbers.
pub(super) struct Account {
    read: Row,
    /// As the store shows it; an error if it has an unrecognised status or id.
    pub(super) row: Result<SessionRow, StoreError>,
    /// The number that its column holds, or will hold.
    pub(super) number: Option<PhoneNumber>,
    number_before: Option<PhoneNumber>,
    pub(super) is_deleted: bool,
    lacks_error: bool,
    life: i64,
    error: Option<Failed>,
    /// Events to note.
    events: Vec<String>,
    is_dirty: bool,
    is_touched: bool,
    begins: bool,
    ends: bool,
    connects: bool,
}

impl Account {
    /// `lacks_error`: the status column cannot hold `error`.
    pub(super) fn new(read: Row, lacks_error: bool) -> Self {
        let number = read.number.as_deref().and_then(number);
        Self {
            row: session_row(&read, number.clone(), lacks_error),
            number_before: number.clone(),
            number,
            is_deleted: read.is_deleted != 0,
            lacks_error,
            life: read.life.unwrap_or_else(|| fastrand::i64(1..)),
            error: None,
            events: Vec::new(),
            is_dirty: false,
            is_touched: false,
            begins: false,
            ends: false,
            connects: false,
            read,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.read.id
    }

    pub(super) fn life(&self) -> i64 {
        self.life
    }

    pub(super) fn workspace(&self) -> Option<&str> {
        self.read.workspace.as_deref()
    }

    pub(super) fn session(&self) -> Option<&str> {
        self.read.session.as_deref()
    }

    /// Whether it is given up. Its columns decide, since another program may have restored it.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_deleted || self.stored_status() == Some(Status::Failed)
    }

    /// The status that the column has, or will have: without `error` if that does not fit.
    pub(super) fn stored_status(&self) -> Option<Status> {
        match &self.row {
            Ok(row) if self.lacks_error && row.status == Status::Error => {
                Some(Status::Disconnected)
            }
            Ok(row) => Some(row.status),
            Err(_) => self.read.stored_status(),
        }
    }

    pub(super) fn notice(&self) -> Option<Notice> {
        let mut change = self.row.as_ref().ok()?.to_change();
        if self.is_deleted {
            change.status = Status::Failed;
        }
        Some((self.life.to_string(), change))
    }

    /// Counts this as a sign of life.
    pub(super) fn touch(&mut self) {
        (self.is_dirty, self.is_touched) = (true, true);
    }

    pub(super) fn apply(&mut self, write: RowWrite, event: Option<&EventId>) {
        self.touch();
        self.connects |= write.connects;
        self.error = write.error.or(self.error.take());
        self.number = write.row.phone.clone();
        self.row = Ok(write.row);
        self.events
            .extend(event.map(|event| event.as_str().to_owned()));
    }

    /// Notes what the scan saw.
    pub(super) fn note(&mut self) {
        self.is_dirty = true;
    }

    /// Gives it up if it is stuck.
    pub(super) fn sweep(&mut self, seconds: i64) -> bool {
        let is_stuck = !self.is_touched && self.row.is_ok() && self.read.is_stuck(seconds);
        if is_stuck {
            self.give_up();
        }
        is_stuck
    }

    pub(super) fn give_up(&mut self) {
        self.touch();
        self.is_deleted = true;
        (self.ends, self.begins) = (true, false);
        self.number = None;
        self.row = self.row.clone().map(given_up);
    }

    pub(super) fn revive(&mut self) {
        self.touch();
        self.is_deleted = false;
        self.begins = true;
        self.number = None;
        self.row = self.row.clone().map(revived);
    }

    /// Takes the number from a row that was given up.
    pub(super) fn clear_number(&mut self) {
        self.is_dirty = true;
        self.number = None;
    }

    /// The error to put into the metadata.
    pub(super) fn new_error(&self) -> Option<&Failed> {
        self.error.as_ref()
    }

    /// The change to write, if there is one.
    pub(super) fn to_save(&self) -> Option<Save<'_>> {
        let row = self.row.as_ref().ok();
        if !self.is_dirty {
            return None;
        }
        let before = &self.number_before;
        let is_new_number = self.number != *before;
        let has_text = before.is_some() || self.ends && self.read.number.is_some();
        let clears = self.begins || has_text && self.number.is_none();
        let kept = before.as_ref().filter(|_| clears && !self.begins);
        let kept = kept
            .map(PhoneNumber::reveal)
            .or(self.read.kept_number.as_deref());
        let spelling = self.read.number.as_deref();
        let spelling = spelling.filter(|text| !is_new_number && !clears && !is_looked_up(text));
        let error = match &self.row {
            Ok(row) => {
                let error = row.error.as_ref();
                (
                    error.map(|error| &*error.code),
                    error.map(|error| &*error.message),
                )
            }
            Err(_) => (
                self.read.error.as_deref(),
                self.read.error_message.as_deref(),
            ),
        };
        let shows_error = self.lacks_error && row.is_some_and(|row| row.status == Status::Error);
        Some(Save {
            id: &self.read.id,
            touched: self.is_touched.into(),
            status: self
                .stored_status()
                .filter(|_| self.is_touched)
                .map(Status::as_str),
            phone: self
                .number
                .as_ref()
                .filter(|_| is_new_number)
                .map(PhoneNumber::reveal),
            clears: clears.into(),
            begins: self.begins.into(),
            ends: self.ends.into(),
            connects: self.connects.into(),
            life: self.life,
            last_seq: row.map_or(self.read.last_seq, |row| row.last_seq),
            version: row
                .map_or(self.read.version, |row| Some(row.version))
                .unwrap_or(0),
            lid: row.and_then(|row| row.lid.as_ref()).map(Jid::reveal),
            assurance: row.and_then(|row| row.assurance).map(Assurance::as_str),
            kept_number: kept,
            spelled_number: self
                .number
                .as_ref()
                .filter(|_| spelling.is_some())
                .map(PhoneNumber::reveal),
            spelling: spelling.filter(|text| text.len() <= 255),
            error: error.0,
            error_message: error.1,
            shows_error: shows_error.into(),
            seen_at: self.read.seen_at().filter(|_| !self.is_touched),
            events: &self.events,
        })
    }
}

/// Reads a row as the store shows it. Texts of other programs that name no number or JID count as absent.
fn session_row(
    read: &Row,
    phone: Option<PhoneNumber>,
    lacks_error: bool,
) -> Result<SessionRow, StoreError> {
    let unrecognised = |what: &dyn fmt::Display| {
        let message = format!(
            "the row with id {} of the accounts is not recognised: {what}",
            read.id
        );
        StoreError::new(StoreErrorKind::Storage, message)
    };
    let (Some(workspace), Some(session)) = (&read.workspace, &read.session) else {
        return Err(unrecognised(&"workspace or session is NULL"));
    };
    let session =
        SessionKey::new(&**workspace, &**session).map_err(|error| unrecognised(&error))?;
    let status = read.status.as_deref().unwrap_or_default();
    let status: Status = status
        .parse()
        .map_err(|error: UnknownStatus| unrecognised(&error))?;
    // A later write of another program wins.
    let is_latest = read.seen_updated_at == read.updated;
    let is_error = lacks_error && read.shows_error == Some(1) && status == Status::Disconnected;
    let status = if is_error && is_latest {
        Status::Error
    } else {
        status
    };
    let error = read
        .error
        .as_ref()
        .filter(|_| is_latest && status == Status::Error);
    let message = read.error_message.as_deref().unwrap_or_default();
    let row = SessionRow {
        status,
        error: error.map(|code| SessionError::new(code, message)),
        phone,
        last_seq: read.last_seq,
        version: read.version.unwrap_or(0),
        lid: read.lid.as_deref().and_then(|text| text.parse().ok()),
        assurance: read.assurance.as_deref().and_then(|text| text.parse().ok()),
        ..SessionRow::new(session)
    };
    Ok(row.corrected())
}
