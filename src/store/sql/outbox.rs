//! The outbox in an SQL database: [`Table`] for a [`Database`].

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::database::{Database, run};
use super::dialect::{MAX_SCANNED, Statement};
use super::driver::{Connection, Driver};
use super::failure::Failure;
use crate::store::error::StoreError;
use crate::store::outbox::table::{
    Count, Ended, Entry, Found, Head, Job, Letter, Step, Table, to_json,
};

impl<D: Driver> Database<D> {
    async fn heads(
        &self,
        connection: &mut Connection<D>,
        step: Step<'_>,
    ) -> Result<(Vec<i64>, Found), Failure> {
        let after = step.after.to_string();
        let heads = &self.statements.outbox_heads;
        let heads: Vec<Head> = run::<D, _>(connection, heads, &[step.queue, &after]).await?;
        Ok(Found::of(&heads, MAX_SCANNED, step))
    }

    /// Records and leases, in a transaction.
    async fn exchange(
        &self,
        connection: &mut Connection<D>,
        step: Step<'_>,
    ) -> Result<Found, Failure> {
        let statements = &self.statements;
        let (done, failed) = ended(step.ended);
        for (statement, ended) in [
            (&statements.outbox_done, done),
            (&statements.outbox_failed, failed),
        ] {
            if !ended.is_empty() {
                let ended = Value::from(ended).to_string();
                run::<D, ()>(connection, statement, &[&ended]).await?;
            }
        }
        if step.limit == 0 {
            return Ok(Found {
                next: Some(step.after),
                ..Found::default()
            });
        }
        let (due, mut found) = self.heads(connection, step).await?;
        if due.is_empty() {
            return Ok(found);
        }
        let due = json!(due).to_string();
        let mut jobs: Vec<Job> = run::<D, _>(connection, &statements.outbox_lock, &[&due]).await?;
        if jobs.is_empty() {
            return Ok(found);
        }
        let lease = fastrand::i64(1..);
        for job in &mut jobs {
            job.lease = lease;
        }
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let (ids, lease) = (json!(ids).to_string(), lease.to_string());
        let until = step.lease.as_millis().to_string();
        run::<D, ()>(
            connection,
            &statements.outbox_lease,
            &[&ids, &lease, &until],
        )
        .await?;
        found.jobs = jobs;
        Ok(found)
    }

    /// Locks the dead letters among these events, and runs a statement with their ids, in a transaction. Returns
    /// their number.
    async fn change_dead(
        &self,
        statement: &Statement,
        queue: &str,
        ids: &[i64],
    ) -> Result<u64, StoreError> {
        let ids = json!(ids).to_string();
        let change = |_| async {
            let (_turn, mut lease) = self.begin().await?;
            let connection = &mut lease.connection;
            let changed = async {
                let lock = &self.statements.outbox_lock_dead;
                let dead: Vec<i64> = run::<D, _>(connection, lock, &[&ids, queue]).await?;
                run::<D, ()>(connection, statement, &[&json!(dead).to_string()]).await?;
                Ok(dead.len() as u64)
            };
            let changed = changed.await;
            self.end(lease, changed).await
        };
        self.connections.until_done(change).await
    }
}

/// Returns the parameters of `outbox_done` and `outbox_failed`.
fn ended(ended: &[Ended]) -> (Vec<Value>, Vec<Value>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for Ended { id, lease, result } in ended {
        match result {
            Ok(()) => done.push(json!({"id": id, "lease": lease})),
            Err(failure) => {
                let delay = failure.delay.unwrap_or_default().as_millis();
                failed.push(json!({
                    "id": id, "lease": lease, "dead": u8::from(failure.delay.is_none()),
                    "delay": u64::try_from(delay).unwrap_or(u64::MAX), "error": failure.error,
                }));
            }
        }
    }
    (done, failed)
}

#[async_trait]
impl<D: Driver> Table for Database<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn poll_interval(&self) -> Duration {
        self.options.poll_every
    }

    fn deadline(&self) -> Duration {
        self.options.deadline
    }

    fn stored(&self) -> &Notify {
        &self.stored
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let (put, entries) = (&self.statements.outbox_put, to_json(entries));
        let change = |_| async {
            let (_turn, mut lease) = self.begin().await?;
            let done = run::<D, ()>(&mut lease.connection, put, &[&entries]).await;
            self.end(lease, done).await
        };
        self.connections.until_done(change).await?;
        self.stored.notify_waiters();
        Ok(())
    }

    async fn step(&self, step: Step<'_>) -> Result<Found, StoreError> {
        if step.ended.is_empty() {
            // A plain read: an idle worker takes no lock.
            let after = step.after.to_string();
            let heads = &self.statements.outbox_heads;
            let heads: Vec<Head> = self.connections.read(heads, &[step.queue, &after]).await?;
            let (due, found) = Found::of(&heads, MAX_SCANNED, step);
            if due.is_empty() {
                return Ok(found);
            }
        }
        let exchange = |_| async {
            let (_turn, mut lease) = self.begin().await?;
            let found = self.exchange(&mut lease.connection, step).await;
            self.end(lease, found).await
        };
        self.connections.until_done(exchange).await
    }

    async fn count(&self, queue: &str) -> Result<Count, StoreError> {
        let count = &self.statements.outbox_count;
        let mut counts = self.connections.read(count, &[queue]).await?;
        Ok(counts.pop().unwrap_or(Count {
            waiting: 0,
            dead: 0,
            age: None,
        }))
    }

    async fn waiting(&self, queue: &str, limit: u64) -> Result<u64, StoreError> {
        let waiting = &self.statements.outbox_waiting;
        let waiting = waiting.filled("limit", &limit.to_string());
        let mut waiting = self.connections.read(&waiting, &[queue]).await?;
        Ok(waiting.pop().unwrap_or_default())
    }

    async fn holds(&self, queue: &str, order_key: i64) -> Result<bool, StoreError> {
        let (first, key) = (&self.statements.outbox_first, order_key.to_string());
        let first: Vec<i64> = self.connections.read(first, &[queue, &key]).await?;
        Ok(!first.is_empty())
    }

    async fn holds_before(&self, queue: &str, id: i64) -> Result<bool, StoreError> {
        let (before, id) = (&self.statements.outbox_before, id.to_string());
        let before: Vec<i64> = self.connections.read(before, &[queue, &id]).await?;
        Ok(!before.is_empty())
    }

    async fn letters(
        &self,
        queue: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let letters = &self.statements.outbox_letters;
        let letters = letters.filled("limit", &limit.to_string());
        let after = after.to_string();
        self.connections.read(&letters, &[queue, &after]).await
    }

    async fn dead(
        &self,
        queue: &str,
        after: i64,
        dead_for: Duration,
    ) -> Result<Vec<i64>, StoreError> {
        let (after, dead_for) = (after.to_string(), dead_for.as_millis().to_string());
        let dead = &self.statements.outbox_dead;
        self.connections
            .read(dead, &[queue, &after, &dead_for])
            .await
    }

    async fn surplus(&self, queue: &str, kept: u64) -> Result<Option<i64>, StoreError> {
        let surplus = &self.statements.outbox_surplus;
        let surplus = surplus.filled("limit", &kept.to_string());
        let newest: Vec<i64> = self.connections.read(&surplus, &[queue]).await?;
        Ok(newest.first().copied())
    }

    async fn replay(&self, queue: &str, ids: &[i64]) -> Result<u64, StoreError> {
        let replay = &self.statements.outbox_replay;
        let replayed = self.change_dead(replay, queue, ids).await?;
        self.stored.notify_waiters();
        Ok(replayed)
    }

    async fn delete(&self, queue: &str, ids: &[i64]) -> Result<u64, StoreError> {
        let delete = &self.statements.outbox_delete;
        self.change_dead(delete, queue, ids).await
    }
}
