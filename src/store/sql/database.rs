//! [`Connections`]: reads, and retries until the deadline. [`Database`]: transactions.

use std::time::Duration;

use futures_util::future::OptionFuture;
use serde::de::DeserializeOwned;
use serde_json::json;
use sqlx::Pool;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::accounts::{Accounts, Wanted};
use super::dialect::{Statement, Statements, Templates};
use super::driver::{Connection, Driver};
use super::failure::{Class, Failure, late, late_again};
use super::lease::Lease;
use super::row::Save;
use super::schema::Layout;
use crate::retry::Backoff;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::StoreOptions;
use crate::store::outbox::table::to_json;
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
    pub(super) driver: D,
    pub(super) connections: Connections<D>,
    pub(super) layout: Layout,
    pub(super) statements: Statements,
    pub(super) templates: Templates,
    pub(super) options: StoreOptions,
    pub(super) hub: Hub,
    /// The task that reads watched sessions, if it runs.
    pub(super) follower: std::sync::Mutex<Option<JoinHandle<()>>>,
    /// Held during a transaction if the database has one writer at a time.
    turn: Option<Mutex<()>>,
    /// Notified when this process has stored events in an outbox.
    pub(super) stored: Notify,
}

/// A statement with its parameters.
pub(super) type Bound<'a> = (&'a Statement, &'a [&'a str]);

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
            run::<D, ()>(&mut lease.connection, script, &[]).await?;
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
            let rows = run::<D, T>(&mut lease.connection, statement, parameters).await;
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
            driver,
            connections,
            layout,
            options,
            hub: Hub::default(),
            follower: std::sync::Mutex::default(),
            turn: (!D::IS_CONCURRENT).then(Mutex::default),
            stored: Notify::new(),
            statements: templates.statements::<D>(),
            templates,
        }
    }

    /// Repeats a transaction until it succeeds, fails permanently or the deadline passes.
    pub(super) async fn transact<T>(
        &self,
        wanted: &[Wanted<'_>],
        first: Option<Bound<'_>>,
        change: &impl Fn(&mut Accounts<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let transact = |_| self.transact_once(wanted, first, change);
        self.connections.until_done(transact).await
    }

    /// Runs the statement `first`, locks and reads the rows of these sessions and those that hold their numbers,
    /// changes them in memory, and writes them, in one transaction. After the commit watchers are notified.
    pub(super) async fn transact_once<T>(
        &self,
        wanted: &[Wanted<'_>],
        first: Option<Bound<'_>>,
        change: impl Fn(&mut Accounts<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (_turn, mut lease) = self.begin().await?;
        let written = self
            .write(&mut lease.connection, wanted, first, change)
            .await;
        let (result, changes, has_stored) = self.end(lease, written).await?;
        for change in &changes {
            self.hub.publish(change);
        }
        if !changes.is_empty() {
            self.driver.notify(changes);
        }
        if has_stored {
            self.stored.notify_waiters();
        }
        Ok(result)
    }

    /// Begins a transaction. Hold the guard until its end.
    pub(super) async fn begin(
        &self,
    ) -> Result<(Option<MutexGuard<'_, ()>>, Lease<D::Sqlx>), Failure> {
        let turn = OptionFuture::from(self.turn.as_ref().map(Mutex::lock)).await;
        let mut lease = self.connections.lease().await?;
        if let Err(failure) = run::<D, ()>(&mut lease.connection, &self.statements.begin, &[]).await
        {
            // The file is busy. After any other error the connection is closed.
            if failure.class == Class::Conflict {
                lease.give_back();
            }
            return Err(failure);
        }
        Ok((turn, lease))
    }

    /// Commits the transaction of this connection, or rolls it back if the result is an error.
    pub(super) async fn end<T>(
        &self,
        mut lease: Lease<D::Sqlx>,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        match result {
            Ok(done) => {
                let commit = self.statements.commit.sql.clone();
                let committed = D::run(&mut lease.connection, commit, &[]).await;
                committed.map_err(|error| Failure::of_commit(D::NAME, D::class(&error), &error))?;
                lease.give_back();
                Ok(done)
            }
            Err(failure) => {
                let rollback = &self.statements.rollback;
                if failure.class.leaves_the_connection()
                    && run::<D, ()>(&mut lease.connection, rollback, &[])
                        .await
                        .is_ok()
                {
                    lease.give_back();
                }
                Err(failure)
            }
        }
    }

    async fn write<T>(
        &self,
        connection: &mut Connection<D>,
        wanted: &[Wanted<'_>],
        first: Option<Bound<'_>>,
        change: impl Fn(&mut Accounts<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Vec<StatusChange>, bool), Failure> {
        if let Some((statement, parameters)) = first {
            run::<D, ()>(connection, statement, parameters).await?;
        }
        let mut accounts = Accounts::new(&self.layout, &self.options, D::IS_CONCURRENT);
        let [sessions, numbers] = &Wanted::parameters(wanted);
        for statement in &self.statements.load {
            accounts.extend(run::<D, _>(connection, statement, &[sessions, numbers]).await?);
        }
        if let Some(failing) = Wanted::metadata_parameter(wanted) {
            let metadata = &self.statements.metadata;
            accounts.extend(run::<D, _>(connection, metadata, &[&failing]).await?);
        }
        let result = change(&mut accounts)?;
        let changes = std::mem::take(&mut accounts.changes);
        let passed_on = std::mem::take(&mut accounts.passed_on);
        let saves = accounts.into_saves();
        let metadata = saves.iter().flatten().filter_map(Save::metadata);
        let metadata: Vec<_> = metadata.collect();
        // First: a trigger may change `updated_at`, and the last value is noted.
        if !metadata.is_empty() {
            let (save, metadata) = (&self.statements.save_metadata, json!(metadata).to_string());
            run::<D, ()>(connection, save, &[&metadata]).await?;
        }
        for saves in saves {
            if saves.is_empty() {
                continue;
            }
            let saves =
                serde_json::to_string(&saves).map_err(|error| of_json::<D>("write", &error))?;
            for statement in &self.statements.save {
                run::<D, ()>(connection, statement, &[&saves]).await?;
            }
        }
        if !passed_on.is_empty() {
            let entries = to_json(&passed_on);
            run::<D, ()>(connection, &self.statements.outbox_put, &[&entries]).await?;
        }
        Ok((result, changes, !passed_on.is_empty()))
    }
}

/// Runs a statement, and reads the JSON of its rows.
pub(super) async fn run<D: Driver, T: DeserializeOwned>(
    connection: &mut Connection<D>,
    statement: &Statement,
    parameters: &[&str],
) -> Result<Vec<T>, Failure> {
    let parameters = statement.order.iter().map(|&at| parameters[at]);
    let parameters: Vec<_> = parameters.collect();
    let rows = D::run(connection, statement.sql.clone(), &parameters).await;
    let rows = rows.map_err(|error| failure::<D>(&error))?;
    let rows = rows.iter().map(|row| serde_json::from_str(row));
    let rows = rows.collect::<Result<_, _>>();
    rows.map_err(|error| of_json::<D>("read", &error))
}

/// Returns the failure to read or write a row as JSON.
fn of_json<D: Driver>(action: &str, error: &serde_json::Error) -> Failure {
    let name = D::NAME;
    let message = format!("the store `{name}` cannot {action} a row: {error}; this is a bug");
    StoreError::new(StoreErrorKind::Storage, message).into()
}

fn failure<D: Driver>(error: &sqlx::Error) -> Failure {
    Failure::of(D::NAME, D::class(error), error)
}
