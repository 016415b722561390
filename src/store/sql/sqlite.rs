//! Sessions in SQLite: [`SqliteStore`].

mod tables;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use self::tables::make_tables;
use super::meaning::{Meaning, explain, late};
use super::steps::{Ask, Columns, Done, Fault, Life, PRUNE, SWEEP, Save, Steps, carry_out};
use super::{Database, SqlStore, store};
use crate::event::{EventId, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::{
    Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError, StoreOptions,
};

/// Most that one transaction does.
const BATCH: usize = 64;

store! {
    /// A store in a file of SQLite.
    ///
    /// It makes `whatsapp_accounts` where there is none, with a unique index on workspace and number
    /// of rows that are not soft-deleted unless the policy is
    /// [`Companions`](crate::store::DuplicatePolicy::Companions), and its own two tables beside it. Times are in
    /// UTC. Clones share its pool.
    ///
    /// SQLite has one writer at a time. So what is asked at once is written in one transaction, whose
    /// one write to the disk serves all who asked. Other processes may use the file too.
    ///
    /// ```no_run
    /// use whatsapp_phone::store::{StoreOptions, sqlite::SqliteStore};
    ///
    /// # async fn example() -> Result<(), whatsapp_phone::store::StoreError> {
    /// let url = "sqlite:/var/lib/service/sessions.db";
    /// let store = SqliteStore::connect(url, StoreOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    SqliteStore(Sqlite)
}

impl SqliteStore {
    /// Opens a file by its `sqlite:` URL, and makes the file and the tables that are missing. It is
    /// set to write-ahead logging, and every commit is on the disk when it is answered
    /// (`synchronous=FULL`).
    ///
    /// # Errors
    ///
    /// `misconfigured` when the URL is none or names no file, or the file or its tables cannot be used.
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let is_memory = url.contains(":memory:") || url.contains("mode=memory");
        let file = match url.starts_with("sqlite:") {
            true if is_memory => Err(sqlx::Error::Configuration(
                "each connection would have a memory of its own; use `MemoryStore`, or a file"
                    .into(),
            )),
            true => url.parse::<SqliteConnectOptions>(),
            // Else it would be the name of a file.
            false => Err(sqlx::Error::Configuration(
                "the URL must begin with `sqlite:`".into(),
            )),
        };
        let connect = file
            .map_err(|error| explain(Sqlite::NAME, Meaning::Setup, &error))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(1))
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(options.deadline)
            .connect_lazy_with(connect);
        Self::from_pool(pool, options).await
    }

    /// Uses a pool of the caller's, with the durability that it is set to, and makes the tables that
    /// are missing. It must not be one in memory, of which every connection has its own.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: SqlitePool, options: StoreOptions) -> Result<Self, StoreError> {
        let made = timeout(options.deadline, make_tables(&pool, options.duplicates)).await;
        made.map_err(|_| late(Sqlite::NAME, options.deadline))?
            .map_err(|error| explain(Sqlite::NAME, meaning_at_first(&error), &error))?;
        let (jobs, asked) = mpsc::channel(4 * BATCH);
        tokio::spawn(write(pool.clone(), asked, options.clone()));
        Ok(Self(SqlStore::new(Sqlite { pool, jobs }, options)))
    }
}

/// A file that cannot be opened is a wrong path at first, and a lack of handles later.
fn meaning_at_first(error: &sqlx::Error) -> Meaning {
    match code(error) & 0xff {
        14 => Meaning::Setup,
        _ => Sqlite::meaning(error),
    }
}

fn code(error: &sqlx::Error) -> i64 {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[derive(Debug)]
struct Sqlite {
    pool: SqlitePool,
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    ask: Ask,
    reply: oneshot::Sender<Result<Done, Fault>>,
}

/// Does what is asked, all that waits in one transaction, until nobody can ask any more.
async fn write(pool: SqlitePool, mut asked: mpsc::Receiver<Job>, options: StoreOptions) {
    let mut jobs = Vec::with_capacity(BATCH);
    while asked.recv_many(&mut jobs, BATCH).await > 0 {
        let mut at_once = BATCH;
        while !jobs.is_empty() {
            // Whoever waits no longer will ask again.
            jobs.retain(|job| !job.reply.is_closed());
            let some = jobs.len().min(at_once);
            match write_all(&pool, &jobs[..some], &options).await {
                Ok(answers) => {
                    for (job, answer) in jobs.drain(..some).zip(answers) {
                        let _ = job.reply.send(answer);
                    }
                }
                Err(failed) if Sqlite::meaning(&failed.error) == Meaning::Conflict => {
                    sleep(Duration::from_millis(fastrand::u64(1..10))).await;
                }
                // Nobody says whose fault it was: each for itself.
                Err(Failed { job: None, .. }) if some > 1 => at_once = 1,
                Err(Failed { job, error }) => {
                    let job = jobs.remove(job.unwrap_or(0));
                    let _ = job.reply.send(Err(Fault::Sql(error)));
                }
            }
        }
    }
}

/// Why nothing was written of a batch, and at which job, where it was at one.
struct Failed {
    job: Option<usize>,
    error: sqlx::Error,
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self { job: None, error }
    }
}

/// All of them, or none. A refusal, or an error that is one job's own, undoes what that job wrote, and
/// stops nobody else.
async fn write_all(
    pool: &SqlitePool,
    jobs: &[Job],
    options: &StoreOptions,
) -> Result<Vec<Result<Done, Fault>>, Failed> {
    let mut answers = Vec::with_capacity(jobs.len());
    if jobs.is_empty() {
        return Ok(answers);
    }
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for (index, job) in jobs.iter().enumerate() {
        let mut steps = Transaction {
            connection: &mut transaction,
            has_written: false,
        };
        let answer = carry_out(&mut steps, &job.ask, options).await;
        let is_to_undo = answer.is_err() && steps.has_written;
        let is_undone = !is_to_undo || {
            let undo = sqlx::raw_sql("ROLLBACK TO job").execute(&mut *transaction);
            undo.await.is_ok()
        };
        match answer {
            Err(Fault::Sql(error)) if !is_undone || !is_of_one_job(&error) => {
                let job = Some(index);
                return Err(Failed { job, error });
            }
            answer => answers.push(answer),
        }
    }
    transaction.commit().await?;
    Ok(answers)
}

fn is_of_one_job(error: &sqlx::Error) -> bool {
    !matches!(Sqlite::meaning(error), Meaning::Conflict | Meaning::Other)
}

/// What is read of a row. The first parameter is an event's id.
macro_rules! columns {
    ($condition:literal) => {
        concat!(
            "SELECT a.id, CAST(a.workspace_id AS INTEGER), CAST(a.session_id AS TEXT),
                CAST(a.phone_number AS TEXT), CAST(a.status AS TEXT), CAST(a.metadata AS TEXT),
                a.deleted_at IS NOT NULL, s.last_seq, s.version, s.lid, s.assurance,
                EXISTS (SELECT 1 FROM whatsapp_phone_applied p
                    WHERE p.account_id = a.id AND p.event_id = ?1)
            FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id
            WHERE ",
            $condition
        )
    };
}

#[async_trait]
impl Database for Sqlite {
    const NAME: &'static str = "sqlite";
    type Ear = ();

    async fn run(&self, ask: &Ask, _: &StoreOptions) -> Result<Done, Fault> {
        let (reply, answer) = oneshot::channel();
        let ask = ask.clone();
        let sent = self.jobs.send(Job { ask, reply }).await;
        sent.map_err(|_| sqlx::Error::WorkerCrashed)?;
        answer.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    async fn read(&self, sessions: &[SessionId]) -> Result<Vec<Columns>, sqlx::Error> {
        let sessions: Vec<_> = sessions.iter().map(SessionId::as_str).collect();
        let sessions = serde_json::Value::from(sessions).to_string();
        let found = columns!("a.session_id IN (SELECT value FROM json_each(?2))");
        let found = sqlx::query_as(found).bind(None::<&str>).bind(sessions);
        found.fetch_all(&self.pool).await
    }

    fn meaning(error: &sqlx::Error) -> Meaning {
        // The low byte is the kind, the rest says more of it.
        Meaning::of(error, |_| match (code(error), code(error) & 0xff) {
            (2067, _) => Meaning::Duplicate,
            (_, 5 | 6) => Meaning::Conflict,
            (_, 1 | 8 | 23 | 26) => Meaning::Setup,
            (_, 18 | 19 | 20 | 25) => Meaning::Unfit,
            _ => Meaning::Other,
        })
    }
}

struct Transaction<'a> {
    connection: &'a mut SqliteConnection,
    has_written: bool,
}

impl Transaction<'_> {
    /// The connection, to write to, with a mark before the first of it, up to which it can be undone.
    async fn writing(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if !self.has_written {
            let mark = sqlx::raw_sql("SAVEPOINT job");
            mark.execute(&mut *self.connection).await?;
            self.has_written = true;
        }
        Ok(self.connection)
    }
}

/// The transaction has the file to itself, so nothing needs a lock.
#[async_trait]
impl Steps for Transaction<'_> {
    async fn load(
        &mut self,
        session: &SessionId,
        number: Option<(i64, &PhoneNumber)>,
        event: Option<&EventId>,
    ) -> Result<Vec<Columns>, sqlx::Error> {
        sqlx::query_as(columns!(
            "a.session_id = ?2 OR (a.workspace_id = ?3 AND a.phone_number = ?4 AND a.deleted_at IS NULL)"
        ))
        .bind(event.map(EventId::as_str))
        .bind(session.as_str())
        .bind(number.map(|(workspace, _)| workspace))
        .bind(number.map(|(_, number)| number.reveal()))
        .fetch_all(&mut *self.connection)
        .await
    }

    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            VALUES (?1, ?2, 'qr_scanning', datetime('now'), datetime('now'))",
        )
        .bind(workspace)
        .bind(session.as_str())
        .execute(self.writing().await?)
        .await
        .map(drop)
    }

    async fn save(&mut self, save: &Save<'_>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE whatsapp_accounts SET status = ?2,
                phone_number = CASE WHEN ?3 THEN NULL ELSE COALESCE(?4, phone_number) END,
                deleted_at = CASE WHEN ?5 THEN datetime('now') WHEN ?3 THEN NULL ELSE deleted_at END,
                updated_at = datetime('now'),
                last_connected_at = CASE WHEN ?6 THEN datetime('now') ELSE last_connected_at END,
                metadata = COALESCE(?7, metadata)
            WHERE id = ?1",
        )
        .bind(save.account)
        .bind(save.row.status.as_str())
        .bind(save.life == Life::Begins)
        .bind(save.phone())
        .bind(save.life == Life::Ends)
        .bind(save.connects)
        .bind(&save.metadata)
        .execute(self.writing().await?)
        .await?;
        sqlx::query(
            "INSERT OR REPLACE INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance)
            VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(save.account)
        .bind(save.last_seq())
        .bind(save.version())
        .bind(save.lid())
        .bind(save.assurance())
        .execute(self.writing().await?)
        .await?;
        let Some(event) = save.event else {
            return Ok(());
        };
        sqlx::query("INSERT INTO whatsapp_phone_applied VALUES (?1, ?2, datetime('now'))")
            .bind(save.account)
            .bind(event.as_str())
            .execute(self.writing().await?)
            .await
            .map(drop)
    }

    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error> {
        sqlx::query_as(columns!(
            "a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL
            AND datetime(COALESCE(a.updated_at, a.created_at)) <= datetime('now', '-' || ?2 || ' seconds')
            AND a.id > ?4 ORDER BY a.id LIMIT ?3"
        ))
        .bind(None::<&str>)
        .bind(seconds)
        .bind(SWEEP)
        .bind(after)
        .fetch_all(&mut *self.connection)
        .await
    }

    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied WHERE (account_id, event_id) IN (
                SELECT account_id, event_id FROM whatsapp_phone_applied
                WHERE applied_at < datetime('now', '-' || ?1 || ' seconds') LIMIT ?2)",
        )
        .bind(seconds)
        .bind(PRUNE)
        .execute(self.writing().await?)
        .await
        .map(|done| done.rows_affected())
    }
}
