//! Sessions in PostgreSQL: [`PostgresStore`].

mod tables;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, SqlSafeStr, SqlStr};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::tables::make_tables;
use super::lease::{Lease, lock_wait, revive};
use super::meaning::{Meaning, cause, explain, late};
use super::steps::{Ask, Columns, Done, Fault, Life, PRUNE, SWEEP, Save, Steps, Told, carry_out};
use super::{Database, SqlStore, store};
use crate::event::{EventId, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::{
    Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError, StoreOptions,
};

/// Where it is told that sessions have changed.
const CHANNEL: &str = "whatsapp_phone_status";
/// The first half of our advisory locks, so that they meet none of others.
const LOCKS: i32 = 0x7761_7068;
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
        let begin = begin(options.deadline);
        let made = make_tables(&pool, &begin, options.duplicates);
        let made = timeout(options.deadline, made).await;
        made.map_err(|_| late(Postgres::NAME, options.deadline))?
            .map_err(|error| explain(Postgres::NAME, Postgres::meaning(&error), &error))?;
        let (news, told) = mpsc::channel(1024);
        tokio::spawn(notify(pool.clone(), told));
        let postgres = Postgres { pool, begin, news };
        Ok(Self(SqlStore::new(postgres, options)))
    }
}

/// Begins a transaction, in one round trip, whose statements the server ends when nobody waits for
/// them any longer. Each of them sees what was committed before it, whatever the server's default is.
fn begin(deadline: Duration) -> SqlStr {
    let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128);
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
        milliseconds(lock_wait(deadline)),
        milliseconds(deadline),
    );
    AssertSqlSafe(begin).into_sql_str()
}

/// Tells other processes, apart from whoever changed something: a `NOTIFY` within a transaction
/// would make all commits of the database wait for each other.
async fn notify(pool: PgPool, mut told: mpsc::Receiver<String>) {
    let mut words = Vec::new();
    while told.recv_many(&mut words, 256).await > 0 {
        let told = sqlx::query("SELECT pg_notify($1, word) FROM unnest($2::text[]) AS word")
            .bind(CHANNEL)
            .bind(&words)
            .execute(&pool)
            .await;
        if let Err(error) = told {
            tracing::warn!(error = %cause(&error), "other processes were not told of a change; they poll");
        }
        words.clear();
    }
}

/// What is read of a row. The first parameter is an event's id.
macro_rules! columns {
    ($condition:literal) => {
        concat!(
            "SELECT a.id::bigint, a.workspace_id::bigint, a.session_id::text, a.phone_number::text,
                a.status::text, a.metadata::text, (a.deleted_at IS NOT NULL)::int::bigint,
                s.last_seq, s.version, s.lid::text, s.assurance::text,
                EXISTS (SELECT 1 FROM whatsapp_phone_applied p
                    WHERE p.account_id = a.id AND p.event_id = $1)::int::bigint
            FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id
            WHERE ",
            $condition
        )
    };
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
    type Ear = Option<PgListener>;

    async fn run(&self, ask: &Ask, options: &StoreOptions) -> Result<Done, Fault> {
        let mut lease = Lease::of(&self.pool).await?;
        let mut transaction = lease.begin_with(self.begin.clone()).await?;
        let done = carry_out(&mut Transaction(&mut transaction), ask, options).await;
        let done = match done {
            Ok(done) => transaction
                .commit()
                .await
                .map(|()| done)
                .map_err(Fault::Sql),
            Err(fault) => {
                drop(transaction);
                Err(fault)
            }
        };
        match &done {
            Err(Fault::Sql(error)) if !Self::meaning(error).leaves_the_connection() => {}
            _ => lease.give_back(),
        }
        done
    }

    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Columns>, sqlx::Error> {
        let sessions: Vec<_> = sessions.iter().map(SessionId::as_str).collect();
        let mut lease = Lease::of(&self.pool).await?;
        let found = sqlx::query_as(columns!("a.session_id = ANY($2::text[])"))
            .bind(None::<&str>)
            .bind(sessions)
            .fetch_all(&mut *lease)
            .await?;
        lease.give_back();
        Ok(found)
    }

    fn meaning(error: &sqlx::Error) -> Meaning {
        Meaning::of(error, |error| match error.code().as_deref() {
            Some("40001" | "40P01") => Meaning::Conflict,
            Some("23505") => Meaning::Duplicate,
            // A prepared statement that is there already, behind a pooler.
            Some("42P05") | None => Meaning::Other,
            Some(code) => match code.get(..2) {
                Some("28" | "3D" | "3F" | "42") => Meaning::Setup,
                Some("21" | "22" | "23" | "44") => Meaning::Unfit,
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

struct Transaction<'a>(&'a mut PgConnection);

impl Transaction<'_> {
    /// Reads what was locked, apart from the locking: that one's snapshot of other tables is older
    /// than what it waited for.
    async fn locked(
        &mut self,
        accounts: Vec<(i64,)>,
        event: Option<&EventId>,
    ) -> Result<Vec<Columns>, sqlx::Error> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let accounts: Vec<_> = accounts.into_iter().map(|(account,)| account).collect();
        sqlx::query_as(columns!("a.id = ANY($2)"))
            .bind(event.map(EventId::as_str))
            .bind(accounts)
            .fetch_all(&mut *self.0)
            .await
    }
}

#[async_trait]
impl Steps for Transaction<'_> {
    async fn load(
        &mut self,
        session: &SessionId,
        number: Option<(i64, &PhoneNumber)>,
        event: Option<&EventId>,
    ) -> Result<Vec<Columns>, sqlx::Error> {
        if let Some((workspace, number)) = number {
            // Two sessions that take one number do so one after the other.
            sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
                .bind(LOCKS)
                .bind(format!("{workspace} {}", number.reveal()))
                .execute(&mut *self.0)
                .await?;
        }
        let locked = sqlx::query_as(
            "SELECT id::bigint FROM whatsapp_accounts
            WHERE session_id = $1
                OR (workspace_id = $2 AND phone_number = $3 AND deleted_at IS NULL)
            ORDER BY id FOR NO KEY UPDATE",
        );
        let locked = locked
            .bind(session.as_str())
            .bind(number.map(|(workspace, _)| workspace))
            .bind(number.map(|(_, number)| number.reveal()));
        let locked = locked.fetch_all(&mut *self.0).await?;
        self.locked(locked, event).await
    }

    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            VALUES ($1, $2, 'qr_scanning', date_trunc('second', now() AT TIME ZONE 'UTC'),
                date_trunc('second', now() AT TIME ZONE 'UTC'))
            ON CONFLICT (session_id) DO NOTHING",
        )
        .bind(workspace)
        .bind(session.as_str())
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn save(&mut self, save: &Save<'_>) -> Result<(), sqlx::Error> {
        if let Some(metadata) = &save.metadata {
            sqlx::query("UPDATE whatsapp_accounts SET metadata = $2::json WHERE id = $1")
                .bind(save.account)
                .bind(metadata)
                .execute(&mut *self.0)
                .await?;
        }
        // In whole seconds, downwards: the columns would round up, into the future.
        sqlx::query(
            "WITH t AS (SELECT date_trunc('second', now() AT TIME ZONE 'UTC') AS now),
            account AS (UPDATE whatsapp_accounts SET status = $2,
                phone_number = CASE WHEN $3 THEN NULL ELSE COALESCE($4, phone_number) END,
                deleted_at = CASE WHEN $5 THEN t.now WHEN $3 THEN NULL ELSE deleted_at END,
                updated_at = t.now,
                last_connected_at = CASE WHEN $6 THEN t.now ELSE last_connected_at END
                FROM t WHERE id = $1),
            session AS (INSERT INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance)
                VALUES ($1, $7, $8, $9, $10)
                ON CONFLICT (account_id) DO UPDATE SET last_seq = excluded.last_seq,
                    version = excluded.version, lid = excluded.lid, assurance = excluded.assurance)
            INSERT INTO whatsapp_phone_applied (account_id, event_id, applied_at)
            SELECT $1, $11, t.now FROM t WHERE $11::text IS NOT NULL",
        )
        .bind(save.account)
        .bind(save.row.status.as_str())
        .bind(save.life == Life::Begins)
        .bind(save.phone())
        .bind(save.life == Life::Ends)
        .bind(save.connects)
        .bind(save.last_seq())
        .bind(save.version())
        .bind(save.lid())
        .bind(save.assurance())
        .bind(save.event.map(EventId::as_str))
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error> {
        let locked = sqlx::query_as(
            "SELECT id::bigint FROM whatsapp_accounts
            WHERE status IN ('qr_scanning', 'authenticated') AND deleted_at IS NULL
                AND COALESCE(updated_at, created_at)
                    <= (now() AT TIME ZONE 'UTC') - $1 * interval '1 second'
                AND id > $3
            ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        );
        let locked = locked.bind(seconds).bind(SWEEP).bind(after);
        let locked = locked.fetch_all(&mut *self.0).await?;
        self.locked(locked, None).await
    }

    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM whatsapp_phone_applied
                WHERE applied_at < (now() AT TIME ZONE 'UTC') - $1 * interval '1 second'
                LIMIT $2 FOR UPDATE SKIP LOCKED))",
        )
        .bind(seconds)
        .bind(PRUNE)
        .execute(&mut *self.0)
        .await
        .map(|done| done.rows_affected())
    }
}
