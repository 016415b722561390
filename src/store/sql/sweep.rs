//! Scans over the whole table: sessions that are stuck, numbers in unusual spellings; and the retention of
//! the ids of events and of our own rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::accounts::{Accounts, Wanted};
use super::database::Database;
use super::dialect::MAX_PRUNED;
use super::driver::Driver;
use super::row::Row;
use crate::store::error::StoreError;
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
            let Some(last) = rows.last() else {
                return Ok(swept);
            };
            after.clone_from(&last.id);
            let due = rows.iter().filter(|row| row.is_due(seconds));
            let due: Vec<_> = due.filter_map(Row::session_key).map(Wanted::of).collect();
            if due.is_empty() {
                continue;
            }
            let sweep = |accounts: &mut Accounts<'_>| Ok(sweep(accounts, &due, seconds));
            swept.extend(self.transact(&due, None, &sweep).await?);
        }
    }

    /// Forgets the ids of events that were applied long ago, and our rows whose accounts are gone.
    pub(super) async fn prune(&self) -> Result<(), StoreError> {
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
            let Some(last) = orphans.last() else {
                return Ok(());
            };
            after.clone_from(&last.id);
            let orphans = json!(orphans).to_string();
            let delete = (&self.statements.delete_orphans, &[orphans.as_str()][..]);
            self.transact(&[], Some(delete), &|_| Ok(())).await?;
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
