//! Sessions in SQLite: [`SqliteStore`].

mod tables;
mod transaction;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr, SqlStr, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use self::tables::make_tables;
use self::transaction::{Transaction, read};
use super::meaning::{Meaning, explain, late};
use super::rows::Columns;
use super::steps::Steps;
use super::{Database, SqlStore, store};
use crate::event::{SessionEvent, SessionId, SessionKey};
use crate::store::{
    Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError, StoreOptions,
};

store! {
    /// A store in a file of SQLite.
    ///
    /// It makes `whatsapp_accounts` where there is none, with a unique index on workspace and number
    /// of rows that are not soft-deleted unless the policy is
    /// [`Companions`](crate::store::DuplicatePolicy::Companions), and its own two tables beside it. Times are in
    /// UTC. Clones share its pool.
    ///
    /// SQLite has one writer at a time. Other processes may use the file too.
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
            true => url.parse::<SqliteConnectOptions>().and_then(|file| {
                // Of that each connection would have its own, too.
                match file.get_filename().as_os_str().is_empty() {
                    true => Err(sqlx::Error::Configuration("the URL names no file".into())),
                    false => Ok(file),
                }
            }),
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
        let turn = Mutex::default();
        Ok(Self(SqlStore::new(Sqlite { pool, turn }, options)))
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
    /// Ours write one after the other, in the order in which they came: the database would have them try
    /// again and again.
    turn: Mutex<()>,
}

#[async_trait]
impl Database for Sqlite {
    const NAME: &'static str = "sqlite";
    type Sqlx = sqlx::Sqlite;
    type Ear = ();

    fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        Some(self.turn.lock().await)
    }

    /// It has the file to itself, or waits for it as its connection says.
    fn begin(&self) -> SqlStr {
        "BEGIN IMMEDIATE".into_sql_str()
    }

    fn steps<'a>(&'a self, connection: &'a mut SqliteConnection) -> Box<dyn Steps + 'a> {
        Box::new(Transaction(connection))
    }

    async fn read(
        connection: &mut SqliteConnection,
        sessions: &[SessionId],
    ) -> Result<Vec<Columns>, sqlx::Error> {
        read(connection, sessions).await
    }

    fn meaning(error: &sqlx::Error) -> Meaning {
        // The low byte is the kind, the rest says more of it.
        Meaning::of(error, |_| match (code(error), code(error) & 0xff) {
            (2067, _) => Meaning::Duplicate,
            (_, 5 | 6) => Meaning::Conflict,
            (_, 1 | 8 | 23 | 26) => Meaning::Setup,
            (_, 18 | 19 | 20 | 25) => Meaning::Unfit,
            _ => Meaning::Away,
        })
    }
}
