//! [`Account`]: a row in memory, and its changes.

use std::fmt;

use super::metadata::with_error;
use super::row::{Beside, Row, Save, is_looked_up, number};
use super::schema::Layout;
use crate::event::{EventId, Failed, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::effect::{RowWrite, given_up, registered_again};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::status::{SessionError, SessionRow, Status, StatusChange};
use crate::text::UnknownName;

/// A row in memory, with the changes that are to be written. No `Debug`: it holds numbers.
pub(super) struct Account {
    read: Row,
    /// As the store shows it; an error if it has an unrecognised status or id.
    pub(super) row: Result<SessionRow, StoreError>,
    /// The number that its column holds, or will hold.
    pub(super) number: Option<PhoneNumber>,
    pub(super) is_deleted: bool,
    lacks_error: bool,
    life: i64,
    /// Whether it is written.
    is_dirty: bool,
    save: Save,
    /// The error to put into the metadata.
    error: Option<Failed>,
}

impl Account {
    /// Makes an account from its row. `lacks_error`: the status column cannot hold `error`.
    pub(super) fn new(read: Row, lacks_error: bool) -> Self {
        let number = read.number.as_deref().and_then(number);
        Self {
            row: session_row(&read, number.clone(), lacks_error),
            number,
            is_deleted: read.is_deleted != 0,
            lacks_error,
            life: read.beside.life.unwrap_or_else(|| fastrand::i64(1..)),
            is_dirty: false,
            save: Save::default(),
            error: None,
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

    /// Returns the change that watchers see. `None`: the row is not recognised.
    pub(super) fn change(&self) -> Option<StatusChange> {
        let mut change = self.row.as_ref().ok()?.to_change();
        if self.is_deleted {
            change.status = Status::Failed;
        }
        Some(change)
    }

    /// Counts this as a sign of life.
    pub(super) fn touch(&mut self) {
        (self.is_dirty, self.save.touched) = (true, 1);
    }

    pub(super) fn apply(&mut self, write: RowWrite, event: Option<&EventId>) {
        self.touch();
        self.save.connects |= u8::from(write.connects);
        self.error = write.error.or(self.error.take());
        self.number = write.row.phone.clone();
        self.row = Ok(write.row);
        self.save
            .events
            .extend(event.map(|event| event.as_str().to_owned()));
    }

    /// Records what the scan saw.
    pub(super) fn record(&mut self) {
        self.is_dirty = true;
    }

    /// Gives it up if it is stuck.
    pub(super) fn sweep(&mut self, seconds: i64) -> bool {
        let is_stuck = self.save.touched == 0 && self.row.is_ok() && self.read.is_stuck(seconds);
        if is_stuck {
            self.give_up();
        }
        is_stuck
    }

    pub(super) fn give_up(&mut self) {
        self.touch();
        self.is_deleted = true;
        (self.save.ends, self.save.begins) = (1, 0);
        self.number = None;
        self.row = self.row.clone().map(given_up);
    }

    pub(super) fn register_again(&mut self) {
        self.touch();
        self.is_deleted = false;
        self.save.begins = 1;
        self.number = None;
        self.row = self.row.clone().map(registered_again);
    }

    /// Takes the number from a row that was given up.
    pub(super) fn clear_number(&mut self) {
        self.is_dirty = true;
        self.number = None;
    }

    /// Returns the changes to write, if there are any. `metadata` is that of the row before.
    pub(super) fn into_save(self, layout: &Layout, metadata: Option<&str>) -> Option<Save> {
        if !self.is_dirty {
            return None;
        }
        let status = self.stored_status();
        let Self { read, mut save, .. } = self;
        let (is_touched, begins) = (save.touched == 1, save.begins == 1);
        let digits = |number: PhoneNumber| number.reveal().to_owned();
        let before = read.number.as_deref().and_then(number).map(digits);
        let number = self.number.map(digits);
        let has_text = before.is_some() || save.ends == 1 && read.number.is_some();
        let clears = begins || has_text && number.is_none();
        let seen_at = read.seen_at().filter(|_| !is_touched);
        let is_unusual = |text: &String| number == before && !clears && !is_looked_up(text);
        let spelling = read.number.filter(is_unusual);
        save.beside = Beside {
            life: Some(self.life),
            version: read.beside.version.or(Some(0)),
            spelled_number: number.clone().filter(|_| spelling.is_some()),
            spelling: spelling.filter(|text| text.len() <= 255),
            shows_error: Some(0),
            seen_at,
            ..read.beside
        };
        if clears && !begins && before.is_some() {
            save.beside.kept_number.clone_from(&before);
        }
        if let Ok(row) = self.row {
            let shows_error = self.lacks_error && row.status == Status::Error;
            let error = row.error.map(|error| (error.code, error.message)).unzip();
            save.beside = Beside {
                last_seq: row.last_seq,
                version: Some(row.version),
                lid: row.lid.as_ref().map(|lid| lid.reveal().to_owned()),
                assurance: row.assurance.map(|assurance| assurance.as_str().to_owned()),
                error: error.0,
                error_message: error.1,
                shows_error: Some(shows_error.into()),
                ..save.beside
            };
        }
        let metadata = self.error.and_then(|error| with_error(metadata, &error));
        save.id = read.id;
        save.status = status.filter(|_| is_touched).map(Status::as_str);
        save.phone = number.filter(|number| Some(number) != before.as_ref());
        save.clears = clears.into();
        save.metadata = metadata.filter(|metadata| layout.fits("metadata", metadata));
        Some(save)
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
    let beside = &read.beside;
    // A later write of another program wins.
    let is_latest = beside.seen_updated_at == read.updated;
    let shows_error = lacks_error && beside.shows_error == Some(1) && is_latest;
    let status = match status {
        Status::Disconnected if shows_error => Status::Error,
        status => status,
    };
    let is_current = is_latest && status == Status::Error;
    let error = beside.error.as_ref().filter(|_| is_current);
    let message = beside.error_message.as_deref().unwrap_or_default();
    let row = SessionRow {
        status,
        error: error.map(|code| SessionError::new(code, message)),
        phone,
        last_seq: beside.last_seq,
        version: beside.version.unwrap_or(0),
        lid: beside.lid.as_deref().and_then(|text| text.parse().ok()),
        assurance: beside
            .assurance
            .as_deref()
            .and_then(|text| text.parse().ok()),
        ..SessionRow::new(session)
    };
    Ok(row.corrected())
}
