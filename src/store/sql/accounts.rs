//! [`Accounts`]: the rows of one transaction, and the effect of an event on them.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::account::Account;
use super::database::{Database, Transaction};
use super::dialect::LOCK_COUNT;
use super::driver::{Driver, hash};
use super::failure::Failure;
use super::row::Row;
use crate::event::{EventId, SessionEvent, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::effect::{Effect, apply_event, check_retirable};
use crate::store::error::StoreError;
use crate::store::options::DuplicatePolicy;
use crate::store::session_store::Outcome;
use crate::store::status::{SessionRow, Status};

/// The rows and locks that an event needs.
pub(super) struct Wanted<'a> {
    /// As the table holds it.
    pub(super) session: SessionKey,
    pub(super) number: Option<&'a PhoneNumber>,
    pub(super) event: Option<&'a EventId>,
}

impl Wanted<'_> {
    pub(super) fn of(session: SessionKey) -> Self {
        Self {
            session,
            number: None,
            event: None,
        }
    }
}

/// The rows of a transaction, as they will be.
pub(super) struct Accounts {
    pub(super) all: Vec<Account>,
    /// The ids of locked rows, and the locks of numbers, as the driver gives them. `None`: all.
    locked: Option<HashSet<String>>,
    /// The events that were applied before, by the rows' `life`.
    applied: HashMap<i64, Vec<String>>,
}

/// A row, or an event that was applied.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Loaded {
    Row(Box<Row>),
    Applied { life: i64, event: String },
}

/// Returns the lock of a number in a workspace.
pub(super) fn lock_of<D: Driver>(
    database: &Database<D>,
    workspace: &str,
    number: &PhoneNumber,
) -> u64 {
    let table = &database.layout.tables.accounts;
    hash(&[table, workspace, number.reveal()].join(" ")) % LOCK_COUNT
}

pub(super) fn workspace(session: &SessionKey) -> &str {
    session.workspace_id.as_str()
}

impl Accounts {
    pub(super) fn new(
        loaded: Vec<Loaded>,
        locked: Option<HashSet<String>>,
        lacks_error: bool,
    ) -> Self {
        let (mut all, mut applied) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for loaded in loaded {
            match loaded {
                Loaded::Row(row) => all.push(Account::new(*row, lacks_error)),
                Loaded::Applied { life, event } => applied.entry(life).or_default().push(event),
            }
        }
        Self {
            all,
            locked,
            applied,
        }
    }

    pub(super) fn is_locked(&self, account: usize) -> bool {
        let id = self.all[account].id();
        self.locked
            .as_ref()
            .is_none_or(|locked| locked.contains(id))
    }

    fn has_lock(&self, lock: u64) -> bool {
        let lock = format!("lock {lock}");
        self.locked
            .as_ref()
            .is_none_or(|locked| locked.contains(&lock))
    }

    /// Returns the row of a session, given up or not. Compared here: some databases take ids for equal that
    /// differ.
    pub(super) fn own(&self, session: &SessionKey) -> Option<usize> {
        let (workspace, name) = (workspace(session), session.session_id.as_str());
        let is_own = |account: &Account| {
            account.session() == Some(name) && account.workspace() == Some(workspace)
        };
        self.all.iter().position(is_own)
    }

    /// Returns the row of a session that is not soft-deleted, to change it.
    pub(super) fn live(&self, session: &SessionKey) -> Result<(usize, SessionRow), Failure> {
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

    pub(super) fn apply<D: Driver>(
        &mut self,
        transaction: &mut Transaction<'_, D>,
        event: &SessionEvent,
        session: &SessionKey,
    ) -> Result<Outcome, Failure> {
        let database = transaction.database;
        let options = &database.options;
        let (own, row) = self.live(session)?;
        let life = self.all[own].life();
        let before = self.applied.get(&life);
        let is_applied = event.id().is_some_and(|id| {
            before.is_some_and(|before| before.iter().any(|event| event == id.as_str()))
        });
        let write = match apply_event(&row, is_applied, event, options.rebind)? {
            Effect::Ignore(why) => return Ok(Outcome::Ignored(why)),
            Effect::Write(write) => write,
        };
        let mut retired = Vec::new();
        if let Some(number) = &write.row.phone {
            let lock = lock_of(database, workspace(session), number);
            let others = self.holders(own, number);
            if !self.has_lock(lock) || !others.iter().all(|&other| self.is_locked(other)) {
                return Err(Failure::held(session));
            }
            let is_given_up = |&other: &usize| self.all[other].is_given_up();
            let (given_up, mut holders): (Vec<_>, Vec<_>) =
                others.into_iter().partition(is_given_up);
            if !write.connects || options.duplicates == DuplicatePolicy::Companions {
                holders.clear();
            }
            let statuses = holders.iter().map(|&holder| {
                // An unrecognised row keeps its number: no watcher could see that it loses it.
                let holder = &self.all[holder];
                let status = holder.row.is_ok().then(|| holder.stored_status());
                status.flatten().unwrap_or(Status::Connected)
            });
            check_retirable(&write.row, statuses, options.duplicates)?;
            for other in given_up {
                self.all[other].clear_number();
            }
            for holder in holders {
                self.all[holder].give_up();
                retired.extend(transaction.report(&self.all[holder]));
            }
        }
        self.all[own].apply(*write, event.id());
        if let Some(id) = event.id() {
            self.applied
                .entry(life)
                .or_default()
                .push(id.as_str().to_owned());
        }
        let change = transaction.report(&self.all[own]);
        let change = change.ok_or_else(|| StoreError::unknown(session))?;
        Ok(Outcome::Applied { change, retired })
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
