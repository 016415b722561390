//! What the SQL drivers have in common: deadlines, conflicts that are tried again, and watchers.
//!
//! The table `whatsapp_accounts` is used as it is, or made where there is none. Beside it stand two
//! tables of ours: `whatsapp_phone_sessions` (last `seq`, version, LID, assurance of an account) and
//! `whatsapp_phone_applied` (ids of applied events).

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod steps;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};

use self::steps::{Answer, Ask, Columns, Fault, Loaded};
use super::watch::Hub;
use super::{
    Ignored, Outcome, SessionRow, StatusChange, StatusWatcher, StoreError, StoreErrorKind,
    StoreOptions,
};
use crate::event::{EventKind, SessionEvent, SessionId, SessionKey};
use crate::failure::{ProtocolFailure, Site};

/// How often a number that another program took in the same moment is looked at again.
const ATTEMPTS_AT_A_NUMBER: u32 = 5;

/// What an error of a database means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Two transactions were in each other's way: try again.
    Conflict,
    /// The unique index on workspace and number.
    Duplicate,
    /// The set-up is wrong.
    Setup,
    /// The database cannot be reached, or is going away.
    Away,
    Other,
}

/// One driver.
#[async_trait]
trait Database: Send + Sync + 'static {
    const NAME: &'static str;
    /// What it hears other processes with, for as long as anything is watched.
    type Ear: Default + Send;

    /// In a transaction of its own, which is committed when this returns.
    async fn run(&self, ask: &Ask, options: &StoreOptions) -> Result<Answer, Fault>;

    /// The rows of these sessions, deleted or not, without locks.
    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Columns>, sqlx::Error>;

    fn meaning(error: &sqlx::Error) -> Meaning;

    /// Tells other processes; called after the commit.
    fn tell(&self, _changes: &[StatusChange]) {}

    /// Waits until other processes may have written; whom they told of, or `None` for anyone.
    async fn hear(&self, _: &mut Self::Ear, poll_every: Duration) -> Option<Vec<SessionId>> {
        sleep(poll_every).await;
        None
    }
}

/// A store over one driver. Clones share it.
#[derive(Debug)]
struct SqlStore<D>(Arc<Shared<D>>);

impl<D> Clone for SqlStore<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
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
        Self(Arc::new(Shared {
            database: Arc::new(database),
            options,
            hub: Hub::default(),
            is_followed: Mutex::new(false),
        }))
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        match self.0.run(&Ask::Register(session.clone())).await? {
            Answer::Registered(row) => Ok(row),
            _ => Err(unexpected(D::NAME)),
        }
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        if let EventKind::Foreign(_) = event.kind() {
            return Ok(Outcome::Ignored(Ignored::Foreign));
        }
        match self.0.run(&Ask::Apply(event.clone())).await? {
            Answer::Applied(outcome) => Ok(outcome),
            _ => Err(unexpected(D::NAME)),
        }
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let found = self.0.read(std::slice::from_ref(id)).await?;
        // Some databases take ids for equal that differ.
        let mut found = found
            .into_iter()
            .filter(|found| !found.is_deleted && found.row.session.session_id == *id);
        Ok(found.next().map(|found| found.row))
    }

    async fn sweep(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        let mut swept = Vec::new();
        loop {
            match self.0.run(&Ask::Sweep(older_than)).await? {
                Answer::Swept(some) => {
                    let is_last = i64::try_from(some.len()).is_ok_and(|n| n < steps::SWEEP);
                    swept.extend(some);
                    if is_last {
                        return Ok(swept);
                    }
                }
                _ => return Err(unexpected(D::NAME)),
            }
        }
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        let row = self.session(id).await?;
        let row = row.ok_or_else(|| StoreError::unknown(id))?;
        let watcher = self.0.hub.watch(row.to_change());
        // What changed between reading and watching.
        for found in self.0.read(std::slice::from_ref(id)).await? {
            self.0.hub.publish(&found.row.to_change());
        }
        let mut is_followed = self.0.lock_followed();
        if !*is_followed {
            *is_followed = true;
            tokio::spawn(follow(Arc::downgrade(&self.0)));
        }
        drop(is_followed);
        Ok(watcher.seen())
    }
}

/// Reads what is watched, as often as there may be news, for as long as anything is.
async fn follow<D: Database>(store: Weak<Shared<D>>) {
    let mut told = None;
    let mut ear = D::Ear::default();
    loop {
        let Some(store) = store.upgrade() else { return };
        let mut watched = store.hub.watched();
        if watched.is_empty() {
            let mut is_followed = store.lock_followed();
            if store.hub.watched().is_empty() {
                *is_followed = false;
                return;
            }
        }
        if let Some(told) = told.take() {
            let told: Vec<SessionId> = told;
            watched.retain(|id| told.contains(id));
        }
        if !watched.is_empty() {
            match store.read(&watched).await {
                Ok(found) => {
                    for found in found {
                        store.hub.publish(&found.row.to_change());
                    }
                }
                Err(error) => {
                    tracing::warn!(store = D::NAME, code = error.code(), %error, "watched sessions were not read");
                }
            }
        }
        let (database, every) = (store.database.clone(), store.options.poll_every);
        // Meanwhile the store may be dropped, which ends its watchers.
        drop(store);
        told = database.hear(&mut ear, every).await;
    }
}

impl<D> Shared<D> {
    fn lock_followed(&self) -> std::sync::MutexGuard<'_, bool> {
        self.is_followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Database> Shared<D> {
    /// Does it within the deadline, conflicts and all, and tells who watches.
    async fn run(&self, ask: &Ask) -> Result<Answer, StoreError> {
        let deadline = self.options.deadline;
        let answer = match timeout(deadline, self.try_until_done(ask)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(late(D::NAME, deadline)),
        };
        let changes = answer.changes();
        for change in &changes {
            self.hub.publish(change);
        }
        self.database.tell(&changes);
        Ok(answer)
    }

    async fn try_until_done(&self, ask: &Ask) -> Result<Answer, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.database.run(ask, &self.options).await {
                Ok(answer) => return Ok(answer),
                Err(Fault::Refused(error)) => return Err(error),
                Err(Fault::Sql(error)) => error,
            };
            let meaning = D::meaning(&error);
            match (meaning, ask) {
                (Meaning::Conflict, _) => {}
                (Meaning::Duplicate, Ask::Apply(event)) => {
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

    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Loaded>, StoreError> {
        let deadline = self.options.deadline;
        let start = Instant::now();
        loop {
            let read = timeout(deadline, self.database.read(sessions)).await;
            match read {
                Ok(Ok(found)) => return found.into_iter().map(Loaded::read).collect(),
                Ok(Err(error)) => match D::meaning(&error) {
                    Meaning::Conflict if start.elapsed() < deadline => {}
                    meaning => return Err(explain(D::NAME, meaning, &error)),
                },
                Err(_) => return Err(late(D::NAME, deadline)),
            }
            sleep(Duration::from_micros(fastrand::u64(500..20_000))).await;
        }
    }
}

/// Asks a connection that was idle for long whether it is still there; asking each time would cost each
/// call a round trip.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn revive<C: sqlx::Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    if idle_for > Duration::from_secs(1) {
        connection.ping().await?;
    }
    Ok(true)
}

fn cause(error: &sqlx::Error) -> ProtocolFailure {
    ProtocolFailure::from_error(Site::Unknown, error)
}

fn unexpected(name: &str) -> StoreError {
    let message = format!("the store `{name}` answered another question; this is a bug");
    StoreError::new(StoreErrorKind::Storage, message)
}

fn late(name: &str, deadline: Duration) -> StoreError {
    let message = format!(
        "the database behind `{name}` did not answer in {deadline:?}; it may have done it all the same: try again, the same event has effect once"
    );
    StoreError::new(StoreErrorKind::Storage, message).transient()
}

fn explain(name: &str, meaning: Meaning, error: &sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    let cause = cause(error);
    let is_setup = meaning == Meaning::Setup || matches!(error, E::Configuration(_));
    if is_setup {
        let message = format!(
            "the store `{name}` is not set up for this: check its URL, and that `whatsapp_accounts` and our tables beside it have the columns that the documentation names"
        );
        return StoreError::new(StoreErrorKind::Misconfigured, message).caused_by(cause);
    }
    let is_away = matches!(
        error,
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed
    );
    let message = format!("the database behind `{name}` did not do it; its words are the cause");
    let failed = StoreError::new(StoreErrorKind::Storage, message).caused_by(cause);
    match is_away || matches!(meaning, Meaning::Away | Meaning::Conflict) {
        true => failed.transient(),
        false => failed,
    }
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
