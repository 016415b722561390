//! Sessions in PostgreSQL: [`PostgresStore`].

mod tables;
mod transaction;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, SqlSafeStr, SqlStr};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::tables::make_tables;
use self::transaction::{Transaction, read};
use super::lease::Lease;
use super::meaning::{Meaning, cause, explain, late};
use super::rows::{Columns, Told};
use super::server::{at_first, lock_wait, revive};
use super::steps::Steps;
use super::{Database, SqlStore, store};
use crate::event::{SessionEvent, SessionId, SessionKey};
use crate::store::{
    Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError, StoreOptions,
};

/// Where it is told that sessions have changed.
const CHANNEL: &str = "whatsapp_phone_status";
/// The first half of our advisory locks, so that they meet none of others.
const LOCKS: i32 = 0x7761_7068;
/// How long a transaction waits where it cannot pass by what others hold: at the unique index, for one
/// that has written a number.
const LOCK_WAIT: Duration = Duration::from_millis(50);
/// How long a change waits for others that are told along with it.
const TOLD_TOGETHER: Duration = Duration::from_millis(5);
/// Listening is what counts; polling is in case word was lost.
const POLLS_SKIPPED: u32 = 10;

store! {
    /// A store in PostgreSQL 12 or later.
    ///
    /// It makes `whatsapp_accounts` where there is none, with a unique index on workspace and number
    /// of rows that are not soft-deleted unless the policy is
    /// [`Companions`](crate::store::DuplicatePolicy::Companions), and its own two tables beside it. Times are in
    /// UTC. Clones share its pool.
    ///
    /// What other processes write is noticed by `LISTEN`, which keeps one connection of the pool while
    /// anything is watched; word that was lost is made up for by reading every ten
    /// [`poll_every`](StoreOptions::poll_every).
    ///
    /// Behind pgbouncer it needs a pool of sessions: listening and prepared statements belong to one.
    ///
    /// ```no_run
    /// use whatsapp_phone::store::{StoreOptions, postgres::PostgresStore};
    ///
    /// # async fn example() -> Result<(), whatsapp_phone::store::StoreError> {
    /// let url = "postgres://service@localhost/whatsapp";
    /// let store = PostgresStore::connect(url, StoreOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    PostgresStore(Postgres)
}

impl PostgresStore {
    /// Connects, with up to ten connections, and makes the tables that are missing.
    ///
    /// # Errors
    ///
    /// `misconfigured` when the URL is none or the tables cannot be used, `storage` when the server
    /// cannot be reached in the time of [`StoreOptions::deadline`].
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .acquire_timeout(options.deadline)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| Box::pin(revive(connection, meta.idle_for)))
            .connect_lazy(url)
            .map_err(|error| explain(Postgres::NAME, Meaning::Setup, &error))?;
        Self::from_pool(pool, options).await
    }

    /// Uses a pool of the caller's, and makes the tables that are missing.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: PgPool, options: StoreOptions) -> Result<Self, StoreError> {
        let patient = begin(options.deadline, lock_wait(options.deadline));
        let made = make_tables(&pool, &patient, options.duplicates);
        let made = timeout(options.deadline, made).await;
        made.map_err(|_| late(Postgres::NAME, options.deadline))?
            .map_err(|error| explain(Postgres::NAME, at_first::<Postgres>(&error), &error))?;
        let (news, told) = mpsc::channel(1024);
        tokio::spawn(notify(pool.clone(), options.deadline, told));
        let postgres = Postgres {
            pool,
            begin: begin(options.deadline, LOCK_WAIT),
            news,
        };
        Ok(Self(SqlStore::new(postgres, options)))
    }
}

/// Begins a transaction, in one round trip, which the server ends when nobody waits for it any longer, or
/// nobody is there. Each of its statements sees what was committed before it, whatever the server's default is.
fn begin(deadline: Duration, lock_wait: Duration) -> SqlStr {
    let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128);
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {};
        SET LOCAL statement_timeout = {deadline}; SET LOCAL idle_in_transaction_session_timeout = {deadline}",
        milliseconds(lock_wait),
        deadline = milliseconds(deadline),
    );
    AssertSqlSafe(begin).into_sql_str()
}

/// Tells other processes, apart from whoever changed something: a `NOTIFY` within a transaction
/// would make all commits of the database wait for each other.
async fn notify(pool: PgPool, deadline: Duration, mut told: mpsc::Receiver<String>) {
    let mut words = Vec::new();
    while told.recv_many(&mut words, 256).await > 0 {
        // What comes meanwhile is told along with it.
        sleep(TOLD_TOGETHER).await;
        while words.len() < 1024
            && let Ok(word) = told.try_recv()
        {
            words.push(word);
        }
        // Not worth a wait for the disk, unlike what it tells of.
        let notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, word)
            FROM unnest($2::text[]) AS word";
        let tell = async {
            let mut lease = Lease::of(&pool).await?;
            let told = sqlx::query(notify).bind(CHANNEL).bind(&words);
            told.execute(&mut *lease).await?;
            lease.give_back();
            Ok(())
        };
        let told = timeout(deadline, tell).await;
        if let Err(error) = told.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            tracing::warn!(error = %cause(&error), "other processes were not told of a change; they poll");
        }
        words.clear();
    }
}

#[derive(Debug)]
struct Postgres {
    pool: PgPool,
    begin: SqlStr,
    news: mpsc::Sender<String>,
}

#[async_trait]
impl Database for Postgres {
    const NAME: &'static str = "postgres";
    type Sqlx = sqlx::Postgres;
    type Ear = Option<PgListener>;

    fn pool(&self) -> &PgPool {
        &self.pool
    }

    fn begin(&self) -> SqlStr {
        self.begin.clone()
    }

    fn steps<'a>(&'a self, connection: &'a mut PgConnection) -> Box<dyn Steps + 'a> {
        Box::new(Transaction(connection))
    }

    async fn read(
        connection: &mut PgConnection,
        sessions: &[SessionId],
    ) -> Result<Vec<Columns>, sqlx::Error> {
        read(connection, sessions).await
    }

    fn meaning(error: &sqlx::Error) -> Meaning {
        Meaning::of(error, |error| match error.code().as_deref() {
            Some("40001" | "40P01") => Meaning::Conflict,
            Some("55P03") => Meaning::Blocked,
            Some("23505") => Meaning::Duplicate,
            // A prepared statement that is there already, behind a pooler.
            Some("42P05") | None => Meaning::Other,
            Some(code) => match code.get(..2) {
                Some("28" | "3D" | "3F" | "42") => Meaning::Setup,
                Some("21" | "22" | "23" | "44") => Meaning::Unfit,
                // The connection, a server that only reads, its means, its operator, its system.
                Some("08" | "25" | "53" | "57" | "58") => Meaning::Away,
                _ => Meaning::Other,
            },
        })
    }

    /// The words are version and session alone: who hears them reads the row.
    fn tell(&self, told: &[Told]) {
        for (_, change) in told {
            let session = change.session.session_id.as_str();
            if self
                .news
                .try_send(format!("{} {session}", change.version))
                .is_err()
            {
                tracing::warn!("other processes were not told of a change; they poll");
            }
        }
    }

    async fn hear(
        &self,
        ear: &mut Option<PgListener>,
        poll_every: Duration,
    ) -> Option<Vec<SessionId>> {
        match timeout(poll_every.saturating_mul(POLLS_SKIPPED), self.listen(ear)).await {
            Ok(Ok(sessions)) => sessions,
            Ok(Err(error)) => {
                tracing::warn!(error = %cause(&error), "listening to other processes failed; it is tried again");
                *ear = None;
                sleep(poll_every).await;
                None
            }
            Err(_) => None,
        }
    }
}

impl Postgres {
    /// Whom the next words are about; `None` where some may have been lost.
    async fn listen(
        &self,
        ear: &mut Option<PgListener>,
    ) -> Result<Option<Vec<SessionId>>, sqlx::Error> {
        let Some(listener) = ear else {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(CHANNEL).await?;
            *ear = Some(listener);
            return Ok(None);
        };
        let mut sessions = Vec::new();
        let mut word = listener.try_recv().await?;
        if word.is_none() {
            return Ok(None);
        }
        while let Some(heard) = word {
            let session = heard.payload().split_once(' ');
            sessions.extend(session.and_then(|(_, session)| SessionId::new(session).ok()));
            word = listener.next_buffered();
        }
        Ok(Some(sessions))
    }
}
