//! Sessions in MySQL or MariaDB: [`MySqlStore`].

mod tables;
mod transaction;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, MySqlConnection, MySqlPool, SqlSafeStr, SqlStr};
use tokio::time::timeout;

use self::tables::make_tables;
use self::transaction::{Large, Transaction, read};
use super::meaning::{Meaning, explain, late};
use super::rows::Columns;
use super::server::{at_first, lock_wait, revive};
use super::steps::Steps;
use super::{Database, SqlStore, store};
use crate::event::{SessionEvent, SessionId, SessionKey};
use crate::store::{
    Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError, StoreOptions,
};

store! {
    /// A store in MySQL 8.0 or MariaDB 10.6, or later, with InnoDB. Every change is tested on MariaDB 10.11;
    /// MySQL 9.7 passed the same tests.
    ///
    /// It makes `whatsapp_accounts` where there is none, and its own two tables beside it. Since
    /// there are no unique indexes over some rows only, a `session_ready` locks the rows of its
    /// workspace, and waits while another transaction holds any of them; in a table of yours an index on
    /// `(workspace_id, deleted_at)` spares it those that are soft-deleted. What a host held that vanished
    /// without a word is free when the server misses it (`wait_timeout`; MariaDB's
    /// `idle_transaction_timeout`). Clones share its pool.
    ///
    /// Times are in the time zone of the connections: that of `connect` is UTC, a pool of yours keeps its
    /// own. `timestamp` columns read the same in every zone.
    ///
    /// A server that asks for `caching_sha2_password`, MySQL 8's default, needs the feature
    /// `sql-rustls`.
    ///
    /// ```no_run
    /// use whatsapp_phone::store::{StoreOptions, mysql::MySqlStore};
    ///
    /// # async fn example() -> Result<(), whatsapp_phone::store::StoreError> {
    /// let url = "mysql://service@localhost/whatsapp";
    /// let store = MySqlStore::connect(url, StoreOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    MySqlStore(MySql)
}

impl MySqlStore {
    /// Connects, with up to ten connections, and makes the tables that are missing.
    ///
    /// # Errors
    ///
    /// `misconfigured` when the URL is none or the tables cannot be used, `storage` when the server
    /// cannot be reached in the time of [`StoreOptions::deadline`].
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let pool = MySqlPoolOptions::new()
            .acquire_timeout(options.deadline)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| Box::pin(revive(connection, meta.idle_for)))
            .connect_lazy(url)
            .map_err(|error| explain(MySql::NAME, Meaning::Setup, &error))?;
        Self::from_pool(pool, options).await
    }

    /// Uses a pool of the caller's, and makes the tables that are missing. Sets `lock_wait_timeout` and
    /// `innodb_lock_wait_timeout` of the connections that it uses to three quarters of the deadline, in
    /// whole seconds, one at least.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: MySqlPool, options: StoreOptions) -> Result<Self, StoreError> {
        let made = timeout(options.deadline, make_tables(&pool)).await;
        made.map_err(|_| late(MySql::NAME, options.deadline))?
            .map_err(|error| explain(MySql::NAME, at_first::<MySql>(&error), &error))?;
        let mysql = MySql {
            pool,
            begin: begin(lock_wait(options.deadline)),
            large: Large::default(),
        };
        Ok(Self(SqlStore::new(mysql, options)))
    }
}

/// Begins a transaction, in one round trip, of which each statement sees what was committed before it,
/// without locking the gaps between rows. What waits for a lock, that of a table which is altered or of
/// a unique index, the server ends while whoever asked is still there; it counts whole seconds, one at least.
fn begin(lock_wait: Duration) -> SqlStr {
    let seconds = lock_wait.as_secs().clamp(1, 1_000_000);
    let begin = format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds};
        BEGIN"
    );
    AssertSqlSafe(begin).into_sql_str()
}

#[derive(Debug)]
struct MySql {
    pool: MySqlPool,
    begin: SqlStr,
    large: Large,
}

#[async_trait]
impl Database for MySql {
    const NAME: &'static str = "mysql";
    type Sqlx = sqlx::MySql;
    type Ear = ();

    fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    fn begin(&self) -> SqlStr {
        self.begin.clone()
    }

    fn steps<'a>(&'a self, connection: &'a mut MySqlConnection) -> Box<dyn Steps + 'a> {
        Box::new(Transaction {
            connection,
            large: &self.large,
        })
    }

    async fn read(
        connection: &mut MySqlConnection,
        sessions: &[SessionId],
    ) -> Result<Vec<Columns>, sqlx::Error> {
        read(connection, sessions).await
    }

    fn meaning(error: &sqlx::Error) -> Meaning {
        Meaning::of(error, |error| {
            let ours = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
            match ours.map_or(0, sqlx::mysql::MySqlDatabaseError::number) {
                // Deadlock, a row that changed since the snapshot, a table that is being made.
                1213 | 1020 | 1412 | 1684 => return Meaning::Conflict,
                // In time, or at once.
                1205 | 3572 => return Meaning::Blocked,
                1062 => return Meaning::Duplicate,
                // Too many connections, queries or prepared statements, in the class of bad SQL. A disk
                // that is full, a server that ends or only reads.
                1203 | 1226 | 1461 | 1021 | 1053 | 1290 | 1836 | 3100 => return Meaning::Away,
                // Data that is cut or has no default, a CHECK, in classes that say nothing.
                // Or more than a packet holds.
                1265 | 1364 | 1366 | 3819 | 1153 => return Meaning::Unfit,
                // A host that may not connect, a way of authentication that one of us does not know.
                1130 | 1251 => return Meaning::Setup,
                _ => {}
            }
            match error.code().as_deref().and_then(|code| code.get(..2)) {
                Some("28" | "3D" | "42") => Meaning::Setup,
                Some("21" | "22" | "23" | "44") => Meaning::Unfit,
                _ => Meaning::Other,
            }
        })
    }
}
