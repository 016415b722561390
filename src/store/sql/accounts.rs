//! [`Accounts`]: the rows of one transaction, and the effect of an event on them.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::failure::Failure;
use super::row::{Row, Save, spellings};
use super::schema::Layout;
use crate::event::{EventId, EventKind, SessionEvent, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::effect::{Effect, apply_event, check_retirable};
use crate::store::error::StoreError;
use crate::store::options::{DuplicatePolicy, StoreOptions};
use crate::store::outbox::table::Entry;
use crate::store::session_store::{Ignored, Outcome};
use crate::store::status::{SessionRow, Status, StatusChange};

/// A session whose rows and locks a transaction needs, as the table holds it, and the event to apply.
pub(super) struct Wanted<'a> {
    pub(super) session: SessionKey,
    pub(super) event: Option<&'a SessionEvent>,
    /// The number with which the event may connect the session. Its holders are read and locked.
    pub(super) number: Option<PhoneNumber>,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(session: SessionKey) -> Self {
        Self {
            session,
            event: None,
            number: None,
        }
    }

    /// Makes the entry for an event. `find_numbers` adds the number of a `session_reconnected`, which is in its row alone.
    pub(super) fn applying(session: SessionKey, event: &'a SessionEvent) -> Self {
        let number = match event.kind() {
            EventKind::SessionReady(ready) => Some(ready.phone().clone()),
            _ => None,
        };
        Self {
            session,
            event: Some(event),
            number,
        }
    }

    /// Returns whether the event may connect the session with the number of its row.
    pub(super) fn reconnects(&self) -> bool {
        let kind = self.event.map(SessionEvent::kind);
        matches!(kind, Some(EventKind::SessionReconnected))
    }

    /// Returns whether the event puts an error into the metadata.
    fn fails(&self) -> bool {
        let kind = self.event.map(SessionEvent::kind);
        matches!(kind, Some(EventKind::SessionError(_)))
    }

    /// Returns the parameter of the statement that reads metadata. `None`: no event needs it.
    pub(super) fn metadata_parameter(wanted: &[Self]) -> Option<String> {
        let failing = wanted.iter().filter(|wanted| wanted.fails());
        let failing = failing.map(|wanted| json!({"session": wanted.session.session_id.as_str()}));
        let failing: Vec<_> = failing.collect();
        (!failing.is_empty()).then(|| json!(failing).to_string())
    }

    /// Returns the parameters of the statement that reads the rows.
    pub(super) fn parameters(wanted: &[Self]) -> [String; 2] {
        let sessions = wanted.iter().map(|Self { session, event, .. }| {
            let id = event.and_then(SessionEvent::id).map_or("", EventId::as_str);
            json!({"session": session.session_id.as_str(), "event": id})
        });
        let numbers = wanted.iter().filter_map(|wanted| {
            let (workspace, number) = (
                wanted.session.workspace_id.as_str(),
                wanted.number.as_ref()?,
            );
            let texts = spellings(number);
            Some(json!({"workspace": workspace, "number": number.reveal(), "texts": texts}))
        });
        [
            Value::from_iter(sessions).to_string(),
            Value::from_iter(numbers).to_string(),
        ]
    }
}

/// The rows of a transaction, as they will be.
pub(super) struct Accounts<'a> {
    pub(super) all: Vec<Account>,
    layout: &'a Layout,
    options: &'a StoreOptions,
    /// `None`: the transaction locks the whole database.
    locked: Option<HashSet<Lock>>,
    /// The events that were applied, by the rows' `life`.
    applied: HashSet<(i64, String)>,
    /// The metadata of rows whose error is written to it, by their ids.
    metadata: HashMap<String, String>,
    /// The changes that watchers see after the commit.
    pub(super) changes: Vec<StatusChange>,
    /// The events that outboxes get.
    pub(super) passed_on: Vec<Entry>,
}

/// One thing that was locked or read.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Loaded {
    Row(Box<Row>),
    /// An event that was applied before.
    Applied {
        life: i64,
        event: String,
    },
    Metadata {
        id: String,
        metadata: Option<String>,
    },
    Lock(Lock),
}

#[derive(Deserialize, PartialEq, Eq, Hash)]
#[serde(untagged)]
pub(super) enum Lock {
    /// The id of a row.
    Row(String),
    /// A workspace and a number.
    Number(String, String),
}

impl<'a> Accounts<'a> {
    pub(super) fn new(layout: &'a Layout, options: &'a StoreOptions, has_locks: bool) -> Self {
        Self {
            all: Vec::new(),
            layout,
            options,
            locked: has_locks.then(Default::default),
            applied: HashSet::new(),
            metadata: HashMap::new(),
            changes: Vec::new(),
            passed_on: Vec::new(),
        }
    }

    pub(super) fn extend(&mut self, loaded: Vec<Loaded>) {
        for loaded in loaded {
            match loaded {
                Loaded::Row(row) => self.all.push(Account::new(*row, self.layout.lacks_error)),
                Loaded::Applied { life, event } => self.applied.extend([(life, event)]),
                Loaded::Metadata { id, metadata } => {
                    let metadata = metadata.map(|metadata| (id, metadata));
                    self.metadata.extend(metadata);
                }
                Loaded::Lock(lock) => {
                    self.locked.get_or_insert_default().insert(lock);
                }
            }
        }
    }

    pub(super) fn is_locked(&self, account: usize) -> bool {
        self.has(&Lock::Row(self.all[account].id().to_owned()))
    }

    fn has(&self, lock: &Lock) -> bool {
        let locked = self.locked.as_ref();
        locked.is_none_or(|locked| locked.contains(lock))
    }

    /// Returns the row of a session, given up or not. Compared here: some databases take ids for equal that
    /// differ.
    pub(super) fn own(&self, session: &SessionKey) -> Option<usize> {
        let (workspace, name) = (session.workspace_id.as_str(), session.session_id.as_str());
        let is_own = |account: &Account| {
            account.session() == Some(name) && account.workspace() == Some(workspace)
        };
        self.all.iter().position(is_own)
    }

    /// Returns the row of a session that is not soft-deleted, to change it.
    fn live(&self, session: &SessionKey) -> Result<(usize, SessionRow), Failure> {
        let unknown = || StoreError::unknown(session);
        let own = self.own(session).ok_or_else(unknown)?;
        let row = match &self.all[own].row {
            Ok(row) if self.all[own].is_deleted => return Err(StoreError::given_up(row).into()),
            Err(_) if self.all[own].is_deleted => return Err(unknown().into()),
            row => row.clone()?,
        };
        match self.is_locked(own) {
            true => Ok((own, row)),
            false => Err(Failure::held(session)),
        }
    }

    pub(super) fn apply(&mut self, wanted: &Wanted<'_>) -> Result<Outcome, Failure> {
        let session = &wanted.session;
        let (own, row) = self.live(session)?;
        let event = wanted.event.ok_or_else(|| StoreError::unknown(session))?;
        let life = self.all[own].life();
        let id = event.id().map(|id| (life, id.as_str().to_owned()));
        let is_applied = id.as_ref().is_some_and(|id| self.applied.contains(id));
        let write = match apply_event(&row, is_applied, event, self.options.rebind)? {
            Effect::Ignore(why) => {
                // Other sinks show that the code has expired.
                if why == Ignored::Expired {
                    self.pass_on(event);
                }
                return Ok(Outcome::Ignored(why));
            }
            Effect::Write(write) => write,
        };
        let mut retired = Vec::new();
        if let Some(number) = &write.row.phone {
            let workspace = session.workspace_id.as_str().to_owned();
            let lock = Lock::Number(workspace, number.reveal().to_owned());
            let others = self.holders(own, number);
            // If they differ, the number has changed since `find_numbers` read it.
            let is_read = !write.connects || wanted.number.as_ref() == Some(number);
            if !is_read || !self.has(&lock) || !others.iter().all(|&other| self.is_locked(other)) {
                return Err(Failure::held(session));
            }
            let is_given_up = |&other: &usize| self.all[other].is_given_up();
            let (given_up, mut holders): (Vec<_>, Vec<_>) =
                others.into_iter().partition(is_given_up);
            let duplicates = self.options.duplicates;
            if !write.connects || duplicates == DuplicatePolicy::Companions {
                holders.clear();
            }
            let statuses = holders.iter().map(|&holder| {
                // An unrecognised row keeps its number: no watcher could see that it loses it.
                let holder = &self.all[holder];
                let status = holder.row.is_ok().then(|| holder.stored_status());
                status.flatten().unwrap_or(Status::Connected)
            });
            check_retirable(&write.row, statuses, duplicates)?;
            for other in given_up {
                self.all[other].clear_number();
            }
            for holder in holders {
                self.all[holder].give_up();
                retired.extend(self.report(holder));
            }
        }
        self.all[own].apply(*write, event.id());
        self.applied.extend(id);
        self.pass_on(event);
        let change = self.report(own);
        let change = change.ok_or_else(|| StoreError::unknown(session))?;
        Ok(Outcome::Applied { change, retired })
    }

    fn pass_on(&mut self, event: &SessionEvent) {
        let queues = self.options.outboxes.iter();
        let entries = queues.map(|queue| Entry::new(queue, event));
        self.passed_on.extend(entries);
    }

    /// Gives up a session on request of the program, whatever its status.
    pub(super) fn delete(&mut self, session: &SessionKey) -> Result<StatusChange, Failure> {
        let (own, _) = self.live(session)?;
        self.all[own].give_up();
        let change = self.report(own);
        Ok(change.ok_or_else(|| StoreError::unknown(session))?)
    }

    /// Adds a changed row to those that watchers see after the commit, and returns its change. `None`: the row
    /// is not recognised.
    pub(super) fn report(&mut self, account: usize) -> Option<StatusChange> {
        let change = self.all[account].change()?;
        self.changes.push(change.clone());
        Some(change)
    }

    /// Returns the changes to write: rows that lose their numbers, and then the others, which may take them.
    pub(super) fn into_saves(self) -> [Vec<Save>; 2] {
        let saves = self.all.into_iter().filter_map(|account| {
            let metadata = self.metadata.get(account.id()).map(String::as_str);
            account.into_save(self.layout, metadata)
        });
        let (cleared, others) = saves.partition(|save| save.clears != 0);
        [cleared, others]
    }

    /// Returns the other rows of the workspace that hold the number, given up or not.
    fn holders(&self, own: usize, number: &PhoneNumber) -> Vec<usize> {
        let workspace = self.all[own].workspace();
        let holds = |other: &usize| {
            let account = &self.all[*other];
            *other != own
                && account.workspace() == workspace
                && account.number.as_ref() == Some(number)
        };
        (0..self.all.len()).filter(holds).collect()
    }
}
