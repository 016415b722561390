//! What the SQL drivers have in common: deadlines, conflicts that are tried again, and watchers.
//!
//! The table `whatsapp_accounts` is used as it is, or made where there is none. Beside it stand two
//! tables of ours: `whatsapp_phone_sessions` (last `seq`, version, LID, assurance of an account) and
//! `whatsapp_phone_applied` (ids of applied events).

mod apply;
mod follow;
mod lease;
mod meaning;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
mod queue;
mod rows;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod steps;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, Pool, SqlStr};
use tokio::sync::MutexGuard;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::follow::follow;
use self::lease::Lease;
use self::meaning::{Meaning, cause, explain, late};
use self::queue::Queue;
use self::rows::{Columns, Loaded, Told};
use self::steps::{Answer, Ask, Done, Fault, PRUNE, Steps, carry_out};
use super::watch::Hub;
use super::{
    Ignored, Outcome, SessionRow, StatusChange, StatusWatcher, StoreError, StoreErrorKind,
    StoreOptions,
};
use crate::event::{EventKind, SessionEvent, SessionId, SessionKey};

/// How often a number that another program took in the same moment is looked at again.
const ATTEMPTS_AT_A_NUMBER: u32 = 5;

/// How long a transaction in a hurry waits: longer than sound ones of ours hold a row.
const HURRY: Duration = Duration::from_millis(50);

/// What a transaction does about what others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It waits, up to the deadline, and begins anew after a conflict.
    Waits,
    /// It fails, after a moment.
    Hurries,
}

/// One driver.
#[async_trait]
trait Database: Send + Sync + 'static {
    const NAME: &'static str;
    type Sqlx: sqlx::Database;
    /// What it hears other processes with, for as long as anything is watched.
    type Ear: Default + Send;

    fn pool(&self) -> &Pool<Self::Sqlx>;

    /// Held while a transaction runs, where the database has one writer.
    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        None
    }

    /// What a transaction begins with, in one round trip.
    fn begin(&self, patience: Patience) -> SqlStr;

    /// The steps of a transaction that has begun.
    fn steps<'a>(
        connection: &'a mut <Self::Sqlx as sqlx::Database>::Connection,
        patience: Patience,
    ) -> Box<dyn Steps + 'a>;

    /// The rows of these sessions, deleted or not, without locks.
    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Columns>, sqlx::Error>;

    fn meaning(error: &sqlx::Error) -> Meaning;

    /// Tells other processes; called after the commit.
    fn tell(&self, _told: &[Told]) {}

    /// Waits until other processes may have written; whom they told of, or `None` for anyone.
    async fn hear(&self, _: &mut Self::Ear, poll_every: Duration) -> Option<Vec<SessionId>> {
        sleep(poll_every).await;
        None
    }
}

/// A store over one driver. Clones share it.
#[derive(Debug)]
struct SqlStore<D> {
    shared: Arc<Shared<D>>,
    queue: Queue,
}

impl<D> Clone for SqlStore<D> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            queue: self.queue.clone(),
        }
    }
}

#[derive(Debug)]
struct Shared<D> {
    database: Arc<D>,
    options: StoreOptions,
    hub: Hub,
    is_followed: Mutex<bool>,
}

impl<D: Database> SqlStore<D> {
    fn new(database: D, options: StoreOptions) -> Self {
        let shared = Arc::new(Shared {
            database: Arc::new(database),
            options,
            hub: Hub::default(),
            is_followed: Mutex::new(false),
        });
        Self {
            queue: Queue::new(&shared),
            shared,
        }
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        match self.shared.run(Ask::Register(session)).await?.answer {
            Answer::Registered(row) => Ok(row),
            _ => Err(unexpected(D::NAME)),
        }
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        if let EventKind::Foreign(_) = event.kind() {
            return Ok(Outcome::Ignored(Ignored::Foreign));
        }
        let deadline = self.shared.options.deadline;
        let applied = timeout(deadline, self.apply_with_others(event));
        applied
            .await
            .unwrap_or_else(|_| Err(late(D::NAME, deadline)))
    }

    async fn apply_with_others(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        if let Some(outcome) = self.queue.apply(event).await {
            return outcome;
        }
        match self.shared.run(Ask::Apply(&[event])).await?.answer {
            Answer::Applied(mut outcomes) => outcomes.pop().ok_or_else(|| unexpected(D::NAME))?,
            _ => Err(unexpected(D::NAME)),
        }
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        Ok(self.find(id).await?.map(|found| found.row))
    }

    async fn find(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        for columns in self.shared.read(std::slice::from_ref(id)).await? {
            // Some databases take ids for equal that differ.
            if columns.2.as_deref() == Some(id.as_str()) && columns.6 == 0 {
                return Loaded::read(columns).map(Some);
            }
        }
        Ok(None)
    }

    async fn sweep(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        let mut swept = Vec::new();
        let mut after = Some(0);
        while let Some(last) = after {
            let done = self.shared.run(Ask::Sweep(older_than, last)).await?;
            swept.extend(done.told.into_iter().map(|(_, change)| change));
            after = match done.answer {
                Answer::Swept(more) => more,
                _ => return Err(unexpected(D::NAME)),
            };
        }
        loop {
            match self.shared.run(Ask::Prune).await?.answer {
                Answer::Pruned(ids) if i64::try_from(ids).is_ok_and(|ids| ids < PRUNE) => {
                    return Ok(swept);
                }
                Answer::Pruned(_) => {}
                _ => return Err(unexpected(D::NAME)),
            }
        }
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        let found = self.find(id).await?;
        let found = found.ok_or_else(|| StoreError::unknown(id))?;
        let watcher = self.shared.hub.watch(found.account, found.to_change());
        // What changed between reading and watching.
        let mut watched = self.shared.hub.watched();
        watched.retain(|watched| watched.session() == id);
        self.shared.look(watched, &mut HashSet::new()).await?;
        let mut is_followed = self.shared.lock_followed();
        if !*is_followed {
            *is_followed = true;
            tokio::spawn(follow(Arc::downgrade(&self.shared)));
        }
        drop(is_followed);
        Ok(watcher.seen())
    }
}

impl<D: Database> Shared<D> {
    /// Does it within the deadline, conflicts and all.
    async fn run(&self, ask: Ask<'_>) -> Result<Done, StoreError> {
        let deadline = self.options.deadline;
        match timeout(deadline, self.try_until_done(ask)).await {
            Ok(done) => done,
            Err(_) => Err(late(D::NAME, deadline)),
        }
    }

    async fn try_until_done(&self, ask: Ask<'_>) -> Result<Done, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.transact(ask, Patience::Waits).await {
                Ok(done) => return Ok(done),
                Err(Fault::Refused(error)) => return Err(error),
                Err(Fault::Sql(error)) => error,
            };
            let meaning = D::meaning(&error);
            match (meaning, ask) {
                (Meaning::Conflict, _) => {}
                (Meaning::Duplicate, Ask::Apply([event])) => {
                    if let (true, Some(session)) =
                        (attempt >= ATTEMPTS_AT_A_NUMBER, event.session())
                    {
                        return Err(StoreError::held(session).caused_by(cause(&error)));
                    }
                }
                _ => return Err(explain(D::NAME, meaning, &error)),
            }
            tracing::debug!(store = D::NAME, attempt, error = %cause(&error), "transactions were in each other's way");
            sleep(Duration::from_micros(fastrand::u64(500..20_000))).await;
        }
    }

    /// Does it in one transaction, and tells who watches. Dropped, nothing of it stays.
    async fn transact(&self, ask: Ask<'_>, patience: Patience) -> Result<Done, Fault> {
        let database = &*self.database;
        let turn = database.turn().await;
        let mut lease = Lease::of(database.pool()).await?;
        let mut transaction = lease.begin_with(database.begin(patience)).await?;
        let done = {
            let mut steps = D::steps(&mut transaction, patience);
            carry_out(&mut *steps, ask, &self.options).await
        };
        let (done, is_over) = match done {
            Ok(done) => match transaction.commit().await {
                Ok(()) => (Ok(done), true),
                Err(error) => (Err(Fault::Sql(error)), false),
            },
            Err(Fault::Sql(error)) if !D::meaning(&error).leaves_the_connection() => {
                drop(transaction);
                (Err(Fault::Sql(error)), false)
            }
            Err(fault) => {
                let is_over = transaction.rollback().await.is_ok();
                (Err(fault), is_over)
            }
        };
        if is_over {
            lease.give_back();
        }
        drop(turn);
        let done = done?;
        for (account, change) in &done.told {
            self.hub.publish(*account, change);
        }
        database.tell(&done.told);
        Ok(done)
    }

    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Columns>, StoreError> {
        let deadline = self.options.deadline;
        let until = Instant::now() + deadline;
        loop {
            let read = timeout_at(until, self.database.read(sessions)).await;
            match read {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => match D::meaning(&error) {
                    Meaning::Conflict if Instant::now() < until => {}
                    meaning => return Err(explain(D::NAME, meaning, &error)),
                },
                Err(_) => return Err(late(D::NAME, deadline)),
            }
            sleep(Duration::from_micros(fastrand::u64(500..20_000))).await;
        }
    }
}

fn unexpected(name: &str) -> StoreError {
    let message = format!("the store `{name}` answered another question; this is a bug");
    StoreError::new(StoreErrorKind::Storage, message)
}

/// The public type of a driver.
macro_rules! store {
    ($(#[$doc:meta])* $name:ident($driver:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(SqlStore<$driver>);

        #[async_trait]
        impl SessionStore for $name {
            fn name(&self) -> &str {
                <$driver>::NAME
            }

            async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
                self.0.register(session).await
            }

            async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
                self.0.apply(event).await
            }

            async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
                self.0.session(id).await
            }

            async fn sweep_stuck(
                &self,
                older_than: Duration,
            ) -> Result<Vec<StatusChange>, StoreError> {
                self.0.sweep(older_than).await
            }

            async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
                self.0.watch(id).await
            }
        }
    };
}
use store;
