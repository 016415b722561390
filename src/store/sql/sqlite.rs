//! Sessions in SQLite: [`SqliteStore`].

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlStr, SqlitePool};

use super::dialect::Dialect;
use super::driver::{Connection, Driver, run};
use super::failure::{Class, Failure};
use super::sql_store::SqlStore;
use crate::store::error::StoreError;
use crate::store::options::StoreOptions;
use crate::store::outbox::Outbox;
use crate::store::session_store::forward;

/// A store in a file of SQLite.
///
/// [`create_tables`](StoreOptions::create_tables) makes `whatsapp_accounts` with a unique index on
/// workspace and number of rows that are not soft-deleted, unless the policy is
/// [`Companions`](crate::store::DuplicatePolicy::Companions). Times are written in UTC. Clones share its
/// pool.
///
/// SQLite has one writer at a time. Other processes may use the file too; one that is frozen in the
/// middle of a transaction stops all others until it continues or ends.
///
/// ```no_run
/// use whatsapp_phone::store::{StoreOptions, sqlite::SqliteStore};
///
/// # async fn example() -> Result<(), whatsapp_phone::store::StoreError> {
/// let url = "sqlite:/var/lib/service/sessions.db";
/// let store = SqliteStore::connect(url, StoreOptions::default().create_tables()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore(SqlStore<Sqlite>);

forward!([] SqliteStore, inner);

impl SqliteStore {
    /// Opens a file by its `sqlite:` URL, which is created if it is missing, and checks the tables. The file is
    /// set to write-ahead logging, and every commit is on the disk when it is answered
    /// (`synchronous=FULL`).
    ///
    /// # Errors
    ///
    /// `misconfigured` if the URL is invalid or names no file, or the file or a table cannot be used.
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let is_memory = url.contains(":memory:") || url.contains("mode=memory");
        let invalid = |message: &str| Err(sqlx::Error::Configuration(message.into()));
        let file = match url.parse::<SqliteConnectOptions>() {
            // It would be the name of a file.
            _ if !url.starts_with("sqlite:") => invalid("the URL must begin with `sqlite:`"),
            _ if is_memory => invalid(
                "each connection would have a memory of its own; use `MemoryStore`, or a file",
            ),
            // Of a nameless file each connection would have its own, too.
            Ok(file) if file.get_filename().as_os_str().is_empty() => {
                invalid("the URL names no file")
            }
            file => file,
        };
        let connect = file
            .map_err(|error| Failure::of(Sqlite::NAME, Class::Setup, &error).error)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(1))
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            // A file needs no ping.
            .test_before_acquire(false)
            .acquire_timeout(options.deadline)
            .connect_lazy_with(connect);
        Self::from_pool(pool, options).await
    }

    /// Uses a pool of the caller's, with the durability that it is set to, and checks the tables. It must
    /// not be one in memory, of which every connection has its own.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: SqlitePool, options: StoreOptions) -> Result<Self, StoreError> {
        let file = pool.connect_options().get_filename().display().to_string();
        let store = SqlStore::open(|_| Sqlite, pool, options);
        let store = store.await.map_err(|error| {
            let is_path = error.cause().and_then(|cause| cause.code()) == Some("14");
            let message = format!(
                "the file {file} cannot be opened; check the path, that its directory exists, and its permissions"
            );
            if is_path { error.with_message(message) } else { error }
        });
        Ok(Self(store?))
    }

    fn inner(&self) -> &SqlStore<Sqlite> {
        &self.0
    }

    /// Returns a queue of the outbox in this database; see [`outbox`](crate::store::outbox).
    ///
    /// # Errors
    ///
    /// `misconfigured` if the name is invalid, or the table is missing and
    /// [`create_tables`](StoreOptions::create_tables) was not called; `storage` if the database fails.
    pub async fn outbox(&self, queue: &str) -> Result<Outbox, StoreError> {
        self.0.outbox(queue).await
    }

    /// Returns the pool, for the program's own statements beside the store's.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        self.0.pool()
    }
}

fn code(error: &sqlx::Error) -> i64 {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[derive(Clone, Debug)]
struct Sqlite;

impl Dialect for Sqlite {
    const QUOTE: char = '"';

    const PARAMETER: Option<char> = Some('?');

    const SQL: &str = include_str!("sqlite/statements.sql");

    const IS_CONCURRENT: bool = false;
}

impl Driver for Sqlite {
    const NAME: &'static str = "sqlite";
    type Sqlx = sqlx::Sqlite;
    type Listener = ();

    run!();

    fn class_at_first(error: &sqlx::Error) -> Class {
        match code(error) & 0xff {
            // A wrong path; later it is a lack of handles.
            14 => Class::Setup,
            _ => Self::class(error),
        }
    }

    fn class(error: &sqlx::Error) -> Class {
        // The low byte is the kind, the rest says more of it.
        Class::of(error, |_| match (code(error), code(error) & 0xff) {
            (1555 | 2067, _) => Class::Duplicate,
            (_, 5 | 6) => Class::Conflict,
            (_, 1 | 23 | 26) => Class::Setup,
            (_, 18 | 19 | 20 | 25) => Class::Unfit,
            // A full disk, a file that may only be read, an error of the disk.
            _ => Class::Away,
        })
    }
}
