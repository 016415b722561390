//! Scans over the whole table: sessions that are stuck, numbers in unusual spellings; and the retention of
//! the ids of events and of our own rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::accounts::{Accounts, Wanted};
use super::database::Database;
use super::dialect::{MAX_PRUNED, MAX_SCANNED};
use super::driver::Driver;
use super::row::Row;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::status::StatusChange;

/// A row of ours whose account is gone. A new account may get its id, and a row of ours with another `life`.
#[derive(Deserialize, Serialize)]
struct Orphan {
    id: String,
    life: i64,
}

impl<D: Driver> Database<D> {
    /// Records unusual spellings and new values of `updated_at`, and gives up the sessions that have been
    /// waiting unchanged for so long. `None`: gives up none.
    pub(super) async fn scan(
        &self,
        older_than: Option<Duration>,
    ) -> Result<Vec<StatusChange>, StoreError> {
        let seconds = older_than.map_or(i64::MAX, |age| {
            i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
        });
        let mut swept = Vec::new();
        let mut after = self.layout.lowest_id().to_owned();
        loop {
            let rows: Vec<Row> = self
                .connections
                .read(&self.statements.scan, &[&after])
                .await?;
            let due = rows.iter().filter(|row| row.is_due(seconds));
            let due: Vec<_> = due.filter_map(Row::session_key).map(Wanted::of).collect();
            if !due.is_empty() {
                swept.extend(self.sweep(&due, seconds).await?);
            }
            match rows.last() {
                Some(last) if rows.len() >= MAX_SCANNED => after.clone_from(&last.id),
                _ => return Ok(swept),
            }
        }
    }

    /// Gives up those of these sessions that are stuck: in one transaction, or each in its own if the database refuses
    /// one of them.
    async fn sweep(
        &self,
        due: &[Wanted<'_>],
        seconds: i64,
    ) -> Result<Vec<StatusChange>, StoreError> {
        let is_refusal =
            |error: &StoreError| error.kind() == StoreErrorKind::Storage && !error.is_transient();
        let all = |accounts: &mut Accounts<'_>| Ok(sweep(accounts, due, seconds));
        match self.transact(due, None, &all).await {
            Err(error) if is_refusal(&error) => {}
            swept => return swept,
        }
        let mut swept = Vec::new();
        for one in due {
            let due = std::slice::from_ref(one);
            let alone = |accounts: &mut Accounts<'_>| Ok(sweep(accounts, due, seconds));
            match self.transact(due, None, &alone).await {
                Ok(one) => swept.extend(one),
                Err(error) if is_refusal(&error) => {
                    let (session, cause) = (&one.session, error.cause());
                    tracing::warn!(store = D::NAME, %session, %error, ?cause, "the database refuses to give up a session");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    /// Forgets the ids of events that were applied long ago, and our rows whose accounts are gone. Logs a failure; the
    /// next call tries again.
    pub(super) async fn tidy(&self) {
        if let Err(error) = self.prune().await {
            tracing::warn!(store = D::NAME, %error, "old event ids and rows of deleted accounts were not removed");
        }
    }

    async fn prune(&self) -> Result<(), StoreError> {
        loop {
            let pruned: Vec<u64> = self.connections.read(&self.statements.prune, &[]).await?;
            if pruned.first().is_none_or(|&pruned| pruned < MAX_PRUNED) {
                break;
            }
        }
        let mut after = self.layout.lowest_id().to_owned();
        loop {
            let orphans: Vec<Orphan> = self
                .connections
                .read(&self.statements.orphans, &[&after])
                .await?;
            if !orphans.is_empty() {
                let orphans = json!(orphans).to_string();
                let delete = (&self.statements.delete_orphans, &[orphans.as_str()][..]);
                self.transact(&[], Some(delete), &|_| Ok(())).await?;
            }
            match orphans.last() {
                Some(last) if orphans.len() >= MAX_SCANNED => after.clone_from(&last.id),
                _ => return Ok(()),
            }
        }
    }
}

/// Rows that others hold are left for the next scan.
fn sweep(accounts: &mut Accounts<'_>, due: &[Wanted<'_>], seconds: i64) -> Vec<StatusChange> {
    let mut swept = Vec::new();
    for Wanted { session, .. } in due {
        let own = accounts.own(session);
        if let Some(own) = own.filter(|&own| accounts.is_locked(own)) {
            let account = &mut accounts.all[own];
            account.record();
            if account.sweep(seconds) {
                swept.extend(accounts.report(own));
            }
        }
    }
    swept
}
