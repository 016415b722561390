//! [`Account`]: a row in memory, and its changes.

use std::fmt;

use super::row::{Row, Save, is_looked_up, number};
use crate::event::{EventId, Failed, SessionKey};
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::Assurance;
use crate::store::effect::{RowWrite, given_up, registered_again};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::status::{SessionError, SessionRow, Status, StatusChange};
use crate::text::UnknownName;

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
    changes: Changes,
}

/// The changes to write.
#[derive(Default)]
struct Changes {
    /// Whether the row is written at all.
    is_dirty: bool,
    /// Whether status and `updated_at` are written.
    is_touched: bool,
    begins: bool,
    ends: bool,
    connects: bool,
    error: Option<Failed>,
    /// The ids of applied events.
    events: Vec<String>,
}

impl Account {
    /// Makes an account from its row. `lacks_error`: the status column cannot hold `error`.
    pub(super) fn new(read: Row, lacks_error: bool) -> Self {
        let number = read.number.as_deref().and_then(number);
        Self {
            row: session_row(&read, number.clone(), lacks_error),
            number_before: number.clone(),
            number,
            is_deleted: read.is_deleted != 0,
            lacks_error,
            life: read.life.unwrap_or_else(|| fastrand::i64(1..)),
            changes: Changes::default(),
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

    /// Returns whether it is given up. Its columns decide, since another program may have restored it.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_deleted || self.stored_status() == Some(Status::Failed)
    }

    /// Returns the status that the column has, or will have: without `error` if that does not fit.
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
        (self.changes.is_dirty, self.changes.is_touched) = (true, true);
    }

    pub(super) fn apply(&mut self, write: RowWrite, event: Option<&EventId>) {
        self.touch();
        self.changes.connects |= write.connects;
        self.changes.error = write.error.or(self.changes.error.take());
        self.number = write.row.phone.clone();
        self.row = Ok(write.row);
        self.changes
            .events
            .extend(event.map(|event| event.as_str().to_owned()));
    }

    /// Records what the scan saw.
    pub(super) fn record(&mut self) {
        self.changes.is_dirty = true;
    }

    /// Gives it up if it is stuck.
    pub(super) fn sweep(&mut self, seconds: i64) -> bool {
        let is_stuck = !self.changes.is_touched && self.row.is_ok() && self.read.is_stuck(seconds);
        if is_stuck {
            self.give_up();
        }
        is_stuck
    }

    pub(super) fn give_up(&mut self) {
        self.touch();
        self.is_deleted = true;
        (self.changes.ends, self.changes.begins) = (true, false);
        self.number = None;
        self.row = self.row.clone().map(given_up);
    }

    pub(super) fn register_again(&mut self) {
        self.touch();
        self.is_deleted = false;
        self.changes.begins = true;
        self.number = None;
        self.row = self.row.clone().map(registered_again);
    }

    /// Takes the number from a row that was given up.
    pub(super) fn clear_number(&mut self) {
        self.changes.is_dirty = true;
        self.number = None;
    }

    /// Returns the error to put into the metadata.
    pub(super) fn new_error(&self) -> Option<&Failed> {
        self.changes.error.as_ref()
    }

    /// Returns the change to write, if there is one.
    pub(super) fn to_save(&self) -> Option<Save<'_>> {
        let Self { read, changes, .. } = self;
        if !changes.is_dirty {
            return None;
        }
        let row = self.row.as_ref().ok();
        let number = self.number.as_ref().map(PhoneNumber::reveal);
        let before = self.number_before.as_ref().map(PhoneNumber::reveal);
        let has_text = before.is_some() || changes.ends && read.number.is_some();
        let clears = changes.begins || has_text && number.is_none();
        let kept = before.filter(|_| clears && !changes.begins);
        let spelling = read.number.as_deref();
        let spelling = spelling.filter(|text| number == before && !clears && !is_looked_up(text));
        let status = self.stored_status().filter(|_| changes.is_touched);
        let (error, error_message) = match row {
            Some(row) => {
                let error = row.error.as_ref();
                error.map(|error| (&*error.code, &*error.message)).unzip()
            }
            None => (read.error.as_deref(), read.error_message.as_deref()),
        };
        let shows_error = self.lacks_error && row.is_some_and(|row| row.status == Status::Error);
        Some(Save {
            id: &read.id,
            touched: changes.is_touched.into(),
            status: status.map(Status::as_str),
            phone: number.filter(|_| number != before),
            clears: clears.into(),
            begins: changes.begins.into(),
            ends: changes.ends.into(),
            connects: changes.connects.into(),
            life: self.life,
            last_seq: row.map_or(read.last_seq, |row| row.last_seq),
            version: row.map_or(read.version.unwrap_or(0), |row| row.version),
            lid: row.and_then(|row| row.lid.as_ref()).map(Jid::reveal),
            assurance: row.and_then(|row| row.assurance).map(Assurance::as_str),
            kept_number: kept.or(read.kept_number.as_deref()),
            spelled_number: number.filter(|_| spelling.is_some()),
            spelling: spelling.filter(|text| text.len() <= 255),
            error,
            error_message,
            shows_error: shows_error.into(),
            seen_at: read.seen_at().filter(|_| !changes.is_touched),
            events: &changes.events,
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
        .map_err(|error: UnknownName| unrecognised(&error))?;
    // A later write of another program wins.
    let is_latest = read.seen_updated_at == read.updated;
    let shows_error = lacks_error && read.shows_error == Some(1) && is_latest;
    let status = match status {
        Status::Disconnected if shows_error => Status::Error,
        status => status,
    };
    let is_current = is_latest && status == Status::Error;
    let error = read.error.as_ref().filter(|_| is_current);
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
