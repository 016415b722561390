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
mod tries;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, Pool, SqlStr};
use tokio::sync::MutexGuard;
use tokio::time::sleep;

use self::follow::follow;
use self::lease::Lease;
use self::meaning::{Failure, Meaning, cause, explain, undecided};
use self::queue::Queue;
use self::rows::{Columns, Loaded, Told};
use self::steps::{Answer, Ask, Done, Fault, PRUNE, Steps, carry_out};
use super::watch::Hub;
use super::{
    Ignored, Outcome, SessionRow, StatusChange, StatusWatcher, StoreError, StoreErrorKind,
    StoreOptions,
};
use crate::event::{EventKind, SessionEvent, SessionId, SessionKey};

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
    fn begin(&self) -> SqlStr;

    /// The steps of a transaction that has begun.
    fn steps<'a>(
        &'a self,
        connection: &'a mut <Self::Sqlx as sqlx::Database>::Connection,
    ) -> Box<dyn Steps + 'a>;

    /// The rows of these sessions, deleted or not, without locks.
    async fn read(
        connection: &mut <Self::Sqlx as sqlx::Database>::Connection,
        sessions: &[SessionId],
    ) -> Result<Vec<Columns>, sqlx::Error>;

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
        let apply = async |before: Option<Meaning>| {
            // Others need not fail with it again.
            if before.is_none_or(|before| !before.may_be_of_one())
                && let Some(applied) = self.queue.apply::<D>(event).await
            {
                return applied;
            }
            self.shared.apply_alone(event).await
        };
        self.shared.until_done(apply).await
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
    /// Does it within the deadline, whoever is in its way.
    async fn run(&self, ask: Ask<'_>) -> Result<Done, StoreError> {
        self.until_done(|_| self.transact(ask)).await
    }

    async fn apply_alone(&self, event: &SessionEvent) -> Result<Outcome, Failure> {
        match self.transact(Ask::Apply(&[event])).await?.answer {
            Answer::Applied(mut outcomes) => outcomes.pop().ok_or_else(|| unexpected(D::NAME))?,
            _ => Err(unexpected(D::NAME).into()),
        }
    }

    /// Does it in one transaction, and tells who watches. Dropped before its commit, nothing of it stays.
    async fn transact(&self, ask: Ask<'_>) -> Result<Done, Failure> {
        let turn = self.database.turn().await;
        let lease = Lease::of(self.database.pool()).await;
        let mut lease = lease.map_err(|error| failure::<D>(ask, &error))?;
        let (done, is_over) = self.transact_on(&mut lease, ask).await;
        if is_over {
            lease.give_back();
        }
        drop(turn);
        let done = done?;
        for (account, change) in &done.told {
            self.hub.publish(*account, change);
        }
        self.database.tell(&done.told);
        Ok(done)
    }

    /// Does it in one transaction, and says whether no transaction is open on this connection now.
    async fn transact_on(
        &self,
        connection: &mut <D::Sqlx as sqlx::Database>::Connection,
        ask: Ask<'_>,
    ) -> (Result<Done, Failure>, bool) {
        let begun = connection.begin_with(self.database.begin()).await;
        let mut transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) => {
                let failure = failure::<D>(ask, &error);
                // A file that is busy; anything else is the connection's own.
                let is_over = failure.meaning == Meaning::Conflict;
                return (Err(failure), is_over);
            }
        };
        let done = {
            let mut steps = self.database.steps(&mut transaction);
            carry_out(&mut *steps, ask, &self.options).await
        };
        let failure = match done {
            Ok(done) => {
                return match transaction.commit().await {
                    Ok(()) => (Ok(done), true),
                    Err(error) if D::meaning(&error).is_of_an_aborted_commit() => {
                        (Err(failure::<D>(ask, &error)), false)
                    }
                    Err(error) => (Err(undecided(D::NAME, Some(&error))), false),
                };
            }
            Err(Fault::Ours(failure)) => failure,
            Err(Fault::Sql(error)) => failure::<D>(ask, &error),
        };
        let is_over =
            failure.meaning.leaves_the_connection() && transaction.rollback().await.is_ok();
        (Err(failure), is_over)
    }

    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Columns>, StoreError> {
        let pool = self.database.pool();
        let read = async || {
            let mut lease = Lease::of(pool).await?;
            let found = D::read(&mut lease, sessions).await?;
            lease.give_back();
            Ok(found)
        };
        self.until_done(|_| async { read().await.map_err(|error| failed::<D>(&error)) })
            .await
    }
}

fn failed<D: Database>(error: &sqlx::Error) -> Failure {
    let meaning = D::meaning(error);
    let error = explain(D::NAME, meaning, error);
    Failure { meaning, error }
}

/// The unique index speaks of the number, if it is a number that it refuses.
fn failure<D: Database>(ask: Ask<'_>, error: &sqlx::Error) -> Failure {
    let mut failure = failed::<D>(error);
    if let (Meaning::Duplicate, Ask::Apply([event])) = (failure.meaning, ask)
        && let (Some(session), EventKind::SessionReady(_)) = (event.session(), event.kind())
    {
        failure.error = StoreError::held(session).caused_by(cause(error));
    }
    failure
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
