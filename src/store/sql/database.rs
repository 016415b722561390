//! [`Connections`]: reads, and retries until the deadline. [`Database`]: transactions.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use sqlx::Pool;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{sleep, timeout};

use super::account::{Account, Notice};
use super::dialect::{Statement, Statements, Templates};
use super::driver::{Connection, Driver};
use super::failure::{Class, Failure, late, late_again};
use super::lease::Lease;
use super::schema::Layout;
use crate::retry::Backoff;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::StoreOptions;
use crate::store::status::StatusChange;
use crate::store::watch::Hub;

/// How often a row that a unique index refuses is tried: another transaction may be leaving its place.
const MAX_DUPLICATES: u32 = 5;

/// A pool, and how long each call may use it.
#[derive(Debug)]
pub(super) struct Connections<D: Driver> {
    pub(super) pool: Pool<D::Sqlx>,
    deadline: Duration,
    probe: Mutex<()>,
}

/// One table of accounts, in one database.
#[derive(Debug)]
pub(super) struct Database<D: Driver> {
    pub(super) driver: Arc<D>,
    pub(super) connections: Connections<D>,
    pub(super) layout: Layout,
    pub(super) statements: Statements,
    pub(super) templates: Templates,
    pub(super) options: StoreOptions,
    pub(super) hub: Hub,
    /// Held during a transaction if the database has one writer at a time.
    turn: Option<Mutex<()>>,
}

/// An open transaction. Dropped before its end, it leaves nothing behind.
pub(super) struct Transaction<'a, D: Driver> {
    pub(super) database: &'a Database<D>,
    lease: Lease<D::Sqlx>,
    _turn: Option<MutexGuard<'a, ()>>,
    /// Changes that watchers see after the commit.
    notices: Vec<Notice>,
}

/// The steps of a transaction; they may borrow as long as it does.
type Steps<'a, D, T> =
    dyn for<'t> Fn(&'t mut Transaction<'a, D>) -> BoxFuture<'t, Result<T, Failure>> + Sync + 'a;

impl<D: Driver> Connections<D> {
    pub(super) fn new(pool: Pool<D::Sqlx>, deadline: Duration) -> Self {
        Self {
            pool,
            deadline,
            probe: Mutex::default(),
        }
    }

    async fn lease(&self) -> Result<Lease<D::Sqlx>, Failure> {
        let lease = Lease::of(&self.pool, &self.probe).await;
        lease.map_err(|error| failure::<D>(&error))
    }

    /// Runs a script that begins and ends a transaction. If it fails, its connection is closed.
    pub(super) async fn create(&self, script: &Statement) -> Result<(), StoreError> {
        self.until_done(|_| async {
            let mut lease = self.lease().await?;
            run::<D, ()>(&mut lease, script, &[]).await?;
            lease.give_back();
            Ok(())
        })
        .await
    }

    /// Runs a statement without a transaction.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        statement: &Statement,
        parameters: &[&str],
    ) -> Result<Vec<T>, StoreError> {
        self.until_done(|_| async {
            let mut lease = self.lease().await?;
            let rows = run::<D, T>(&mut lease, statement, parameters).await;
            let failed = rows.as_ref().err();
            if failed.is_none_or(|failure| failure.class.leaves_the_connection()) {
                lease.give_back();
            }
            rows
        })
        .await
    }

    /// Repeats an attempt until it succeeds, fails permanently or the deadline passes. It is given the class of
    /// the failure before.
    pub(super) async fn until_done<T, F>(
        &self,
        mut attempt: impl FnMut(Option<Class>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let (mut reason, mut is_pausing) = (None, false);
        let tries = async {
            let (mut duplicates, mut before) = (0, None);
            // The first attempt has no delay.
            let mut delays = Backoff::CONFLICTS.delays().skip(1);
            loop {
                let Failure { class, error } = match attempt(before).await {
                    Ok(done) => return Ok(done),
                    Err(failure) => failure,
                };
                duplicates += u32::from(class == Class::Duplicate);
                if duplicates >= MAX_DUPLICATES || !class.is_retried() {
                    return Err(error);
                }
                tracing::debug!(store = D::NAME, ?class, "retrying after a conflict");
                before = Some(class);
                // A duplicate says nothing yet: the other transaction may be rolled back.
                reason = Some(error).filter(|_| class != Class::Duplicate);
                is_pausing = true;
                sleep(delays.next().unwrap_or_default()).await;
                is_pausing = false;
            }
        };
        if let Ok(done) = timeout(self.deadline, tries).await {
            return done;
        }
        Err(match reason {
            Some(reason) if is_pausing => reason,
            Some(reason) => late_again(&reason),
            None => late(D::NAME, self.deadline),
        })
    }
}

impl<D: Driver> Database<D> {
    pub(super) fn new(
        driver: D,
        connections: Connections<D>,
        layout: Layout,
        options: StoreOptions,
    ) -> Self {
        let templates = Templates::new::<D>(&layout.tables, Some(&layout), &options);
        Self {
            driver: Arc::new(driver),
            connections,
            layout,
            options,
            hub: Hub::default(),
            turn: (!D::IS_CONCURRENT).then(Mutex::default),
            statements: templates.statements::<D>(),
            templates,
        }
    }

    /// Repeats a transaction of these steps until it succeeds, fails permanently or the deadline passes.
    pub(super) async fn transact<'a, T>(
        &'a self,
        steps: &Steps<'a, D, T>,
    ) -> Result<T, StoreError> {
        let transact = |_| self.transact_once(steps);
        self.connections.until_done(transact).await
    }

    /// Runs these steps in a transaction, which is committed if they succeed.
    pub(super) async fn transact_once<'a, T>(
        &'a self,
        steps: &Steps<'a, D, T>,
    ) -> Result<T, Failure> {
        let mut transaction = self.begin().await?;
        let result = steps(&mut transaction).await;
        transaction.end(result).await
    }

    async fn begin(&self) -> Result<Transaction<'_, D>, Failure> {
        let turn = match &self.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let mut lease = self.connections.lease().await?;
        match run::<D, ()>(&mut lease, &self.statements.begin, &[]).await {
            Ok(_) => Ok(Transaction {
                database: self,
                lease,
                _turn: turn,
                notices: Vec::new(),
            }),
            Err(failure) => {
                // The file is busy. After any other error the connection is closed.
                if failure.class == Class::Conflict {
                    lease.give_back();
                }
                Err(failure)
            }
        }
    }
}

impl<D: Driver> Transaction<'_, D> {
    pub(super) async fn run<T: DeserializeOwned>(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
    ) -> Result<Vec<T>, Failure> {
        run::<D, T>(&mut self.lease, statement, parameters).await
    }

    /// Adds a changed row to those that watchers see after the commit, and returns its change. `None`: the row
    /// is not recognised.
    pub(super) fn report(&mut self, account: &Account) -> Option<StatusChange> {
        let notice = account.notice()?;
        let change = notice.1.clone();
        self.notices.push(notice);
        Some(change)
    }

    /// Commits if there is a result, and notifies watchers; otherwise rolls back.
    async fn end<T>(mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        let database = self.database;
        let statements = &database.statements;
        let result = match result {
            Ok(done) => done,
            Err(failure) => {
                let is_usable = failure.class.leaves_the_connection();
                if is_usable && self.run::<()>(&statements.rollback, &[]).await.is_ok() {
                    self.lease.give_back();
                }
                return Err(failure);
            }
        };
        let sql = statements.commit.sql.clone();
        let committed = D::run(&mut self.lease, sql, &[]).await;
        committed.map_err(|error| Failure::of_commit(D::NAME, D::class(&error), &error))?;
        self.lease.give_back();
        let mut changes = Vec::with_capacity(self.notices.len());
        for (account, change) in &self.notices {
            database.hub.publish(account, change);
            changes.push(change.session.session_id.as_str().to_owned());
        }
        if !changes.is_empty() {
            database.driver.notify(&database.connections.pool, changes);
        }
        Ok(result)
    }
}

/// Runs a statement, and reads the JSON of its rows.
async fn run<D: Driver, T: DeserializeOwned>(
    connection: &mut Connection<D>,
    statement: &Statement,
    parameters: &[&str],
) -> Result<Vec<T>, Failure> {
    let parameters = match &statement.order[..] {
        [] => parameters.to_vec(),
        order => order.iter().map(|&at| parameters[at]).collect(),
    };
    let rows = D::run(connection, statement.sql.clone(), &parameters).await;
    let rows = rows.map_err(|error| failure::<D>(&error))?;
    let rows = rows.iter().map(|row| serde_json::from_str(row));
    rows.collect::<Result<_, _>>().map_err(|error| {
        let message = format!(
            "the store `{}` cannot read a row: {error}; this is a bug",
            D::NAME
        );
        StoreError::new(StoreErrorKind::Storage, message).into()
    })
}

fn failure<D: Driver>(error: &sqlx::Error) -> Failure {
    Failure::of(D::NAME, D::class(error), error)
}
