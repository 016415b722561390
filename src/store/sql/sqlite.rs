//! Sessions in SQLite: [`SqliteStore`].

use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::steps::{Answer, Ask, Columns, Fault, Life, SWEEP, Save, Steps, carry_out};
use super::{Database, Meaning, SqlStore, explain, late, store};
use crate::event::{EventId, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::{
    DuplicatePolicy, Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError,
    StoreOptions,
};

/// Most that one transaction does.
const BATCH: usize = 64;

store! {
    /// A store in a file of SQLite.
    ///
    /// It makes `whatsapp_accounts` where there is none, with a unique index on workspace and number
    /// of rows that are not soft-deleted unless the policy is
    /// [`Companions`](DuplicatePolicy::Companions), and its own two tables beside it. Times are in
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
    /// `misconfigured` when the URL is none or the file or its tables cannot be used.
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let file = match url.starts_with("sqlite:") {
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
            .map_err(|error| explain(Sqlite::NAME, Sqlite::meaning(&error), &error))?;
        let (jobs, asked) = mpsc::channel(4 * BATCH);
        tokio::spawn(write(pool.clone(), asked, options.clone()));
        Ok(Self(SqlStore::new(Sqlite { pool, jobs }, options)))
    }
}

async fn make_tables(pool: &SqlitePool, duplicates: DuplicatePolicy) -> Result<(), sqlx::Error> {
    loop {
        match try_to_make_tables(pool, duplicates).await {
            Err(error) if Sqlite::meaning(&error) == Meaning::Conflict => {
                sleep(Duration::from_millis(10)).await;
            }
            made => return made,
        }
    }
}

async fn try_to_make_tables(
    pool: &SqlitePool,
    duplicates: DuplicatePolicy,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let exists = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'whatsapp_accounts'";
    let (accounts,): (i64,) = sqlx::query_as(exists).fetch_one(&mut *transaction).await?;
    let beside = sqlx::raw_sql(include_str!("schema/sqlite.sql"));
    beside.execute(&mut *transaction).await?;
    if accounts == 0 {
        let accounts = sqlx::raw_sql(include_str!("schema/sqlite_accounts.sql"));
        accounts.execute(&mut *transaction).await?;
    }
    if accounts == 0 && duplicates != DuplicatePolicy::Companions {
        sqlx::raw_sql(
            "CREATE UNIQUE INDEX whatsapp_accounts_one_number ON whatsapp_accounts
                (workspace_id, phone_number) WHERE deleted_at IS NULL",
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

#[derive(Debug)]
struct Sqlite {
    pool: SqlitePool,
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    ask: Ask,
    reply: oneshot::Sender<Result<Answer, Fault>>,
}

/// Does what is asked, all that waits in one transaction, until nobody can ask any more.
async fn write(pool: SqlitePool, mut asked: mpsc::Receiver<Job>, options: StoreOptions) {
    let mut jobs = Vec::with_capacity(BATCH);
    while asked.recv_many(&mut jobs, BATCH).await > 0 {
        while !jobs.is_empty() {
            // Whoever waits no longer will ask again.
            jobs.retain(|job| !job.reply.is_closed());
            match write_all(&pool, &jobs, &options).await {
                Ok(answers) => {
                    for (job, answer) in jobs.drain(..).zip(answers) {
                        let _ = job.reply.send(answer.map_err(Fault::Refused));
                    }
                }
                Err(error) if Sqlite::meaning(&error) == Meaning::Conflict => {
                    sleep(Duration::from_millis(fastrand::u64(1..10))).await;
                }
                // One of them is to blame: each for itself.
                Err(_) if jobs.len() > 1 => {
                    let last = jobs.split_off(1);
                    let answer = write_all(&pool, &jobs, &options).await;
                    reply_alone(&mut jobs, answer);
                    jobs.extend(last);
                }
                Err(error) => reply_alone(&mut jobs, Err(error)),
            }
        }
    }
}

type Answers = Vec<Result<Answer, StoreError>>;

fn reply_alone(jobs: &mut Vec<Job>, answers: Result<Answers, sqlx::Error>) {
    let answer = match answers {
        Ok(mut answers) => answers.pop().map(|answer| answer.map_err(Fault::Refused)),
        Err(error) => Some(Err(Fault::Sql(error))),
    };
    if let (Some(job), Some(answer)) = (jobs.pop(), answer) {
        let _ = job.reply.send(answer);
    }
}

/// All of them, or none. A refusal writes nothing, so it stops nobody else.
async fn write_all(
    pool: &SqlitePool,
    jobs: &[Job],
    options: &StoreOptions,
) -> Result<Answers, sqlx::Error> {
    let mut answers = Vec::with_capacity(jobs.len());
    if jobs.is_empty() {
        return Ok(answers);
    }
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for job in jobs {
        let mut steps = Transaction(&mut transaction);
        answers.push(match carry_out(&mut steps, &job.ask, options).await {
            Ok(answer) => Ok(answer),
            Err(Fault::Refused(error)) => Err(error),
            Err(Fault::Sql(error)) => return Err(error),
        });
    }
    transaction.commit().await?;
    Ok(answers)
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

    async fn run(&self, ask: &Ask, _: &StoreOptions) -> Result<Answer, Fault> {
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
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        let code: i64 = code.and_then(|code| code.parse().ok()).unwrap_or(0);
        // The low byte is the kind, the rest says more of it.
        match (code, code & 0xff) {
            (2067, _) => Meaning::Duplicate,
            (_, 5 | 6) => Meaning::Conflict,
            (_, 1 | 8 | 14 | 26) => Meaning::Setup,
            (_, 10 | 13) => Meaning::Away,
            _ => Meaning::Other,
        }
    }
}

struct Transaction<'a>(&'a mut SqliteConnection);

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
        .fetch_all(&mut *self.0)
        .await
    }

    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            VALUES (?1, ?2, 'qr_scanning', datetime('now'), datetime('now'))",
        )
        .bind(workspace)
        .bind(session.as_str())
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn save(&mut self, save: &Save<'_>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE whatsapp_accounts SET status = ?2,
                phone_number = CASE WHEN ?3 THEN NULL ELSE COALESCE(?4, phone_number) END,
                deleted_at = CASE WHEN ?5 THEN datetime('now') WHEN ?3 THEN NULL ELSE deleted_at END,
                updated_at = CASE WHEN ?6 THEN datetime('now') ELSE updated_at END,
                last_connected_at = CASE WHEN ?7 THEN datetime('now') ELSE last_connected_at END,
                metadata = COALESCE(?8, metadata)
            WHERE id = ?1",
        )
        .bind(save.account)
        .bind(save.row.status.as_str())
        .bind(save.life == Life::Begins)
        .bind(save.phone())
        .bind(save.life == Life::Ends)
        .bind(save.is_change)
        .bind(save.connects)
        .bind(&save.metadata)
        .execute(&mut *self.0)
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
        .execute(&mut *self.0)
        .await?;
        let Some(event) = save.event else {
            return Ok(());
        };
        sqlx::query("INSERT INTO whatsapp_phone_applied VALUES (?1, ?2, datetime('now'))")
            .bind(save.account)
            .bind(event.as_str())
            .execute(&mut *self.0)
            .await
            .map(drop)
    }

    async fn stuck(&mut self, seconds: i64) -> Result<Vec<Columns>, sqlx::Error> {
        sqlx::query_as(columns!(
            "a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL
            AND datetime(COALESCE(a.updated_at, a.created_at)) <= datetime('now', '-' || ?2 || ' seconds')
            ORDER BY a.id LIMIT ?3"
        ))
        .bind(None::<&str>)
        .bind(seconds)
        .bind(SWEEP)
        .fetch_all(&mut *self.0)
        .await
    }

    async fn prune(&mut self, seconds: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied WHERE applied_at < datetime('now', '-' || ?1 || ' seconds')",
        )
        .bind(seconds)
        .execute(&mut *self.0)
        .await
        .map(drop)
    }
}
