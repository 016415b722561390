//! Sessions in MySQL or MariaDB: [`MySqlStore`].

mod statements;

use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::{MySqlPool, SqlStr};

use super::driver::{Connection, Driver, run};
use super::failure::Class;
use super::server::pool;
use super::sql_store::SqlStore;
use crate::store::error::StoreError;
use crate::store::options::StoreOptions;
use crate::store::session_store::forward;

/// A store in MySQL 8.0 or MariaDB 10.6, or later, with InnoDB. Every change is tested on MariaDB 10.11.
///
/// A number is locked by a row of `whatsapp_phone_locks`, which
/// [`create_tables`](StoreOptions::create_tables) fills with the ids 0 to 4095. Clones share its pool.
///
/// Times are written in the time zone of the connections. Those of `connect` run in UTC unless the URL
/// says otherwise (`?timezone=%2B07:00`); a pool of the caller's keeps its own.
///
/// A server that asks for `caching_sha2_password`, MySQL 8's default, needs the feature
/// `sql-rustls`.
///
/// ```no_run
/// use whatsapp_phone::store::{StoreOptions, mysql::MySqlStore};
///
/// # async fn example() -> Result<(), whatsapp_phone::store::StoreError> {
/// let url = "mysql://service@localhost/whatsapp";
/// let store = MySqlStore::connect(url, StoreOptions::default().create_tables()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MySqlStore(SqlStore<MySql>);

forward!([] MySqlStore, .0);

impl MySqlStore {
    /// Connects, with up to ten connections, and checks the tables.
    ///
    /// # Errors
    ///
    /// `misconfigured` if the URL is invalid or a table cannot be used; `storage` if the server
    /// cannot be reached within [`StoreOptions::deadline`].
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        Self::from_pool(pool::<MySql>(url, &options)?, options).await
    }

    /// Uses a pool of the caller's, and checks the tables. On the connections that it uses, it adds
    /// `STRICT_ALL_TABLES` to `sql_mode`, and sets `innodb_lock_wait_timeout` to one second and
    /// `lock_wait_timeout` to three quarters of the deadline, in whole seconds, one at least.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: MySqlPool, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self(SqlStore::open(|_| MySql, pool, options).await?))
    }

    /// Returns the pool, for the program's own statements beside the store's.
    #[must_use]
    pub fn pool(&self) -> &MySqlPool {
        self.0.pool()
    }
}

#[derive(Debug)]
struct MySql;

impl Driver for MySql {
    const NAME: &'static str = "mysql";
    type Sqlx = sqlx::MySql;
    type Listener = ();

    run!();

    fn class(error: &sqlx::Error) -> Class {
        Class::of(error, |error| {
            let number = error.try_downcast_ref::<MySqlDatabaseError>();
            match number.map_or(0, MySqlDatabaseError::number) {
                // Deadlock, a row that changed since the snapshot, a table that is being made.
                1213 | 1020 | 1412 | 1684 => return Class::Conflict,
                // In time, or at once.
                1205 | 3572 => return Class::Blocked,
                1062 => return Class::Duplicate,
                // Too many connections, queries or prepared statements, in the class of bad SQL. A disk
                // that is full, a server that ends or only reads.
                1203 | 1226 | 1461 | 1021 | 1053 | 1290 | 1836 | 3100 => return Class::Away,
                // Data that is cut or has no default, a CHECK, a trigger's signal, a statement that the binary
                // log's format forbids, more than a packet holds: in classes that say nothing.
                1265 | 1364 | 1366 | 1406 | 1644 | 1665 | 3819 | 4025 | 1153 => {
                    return Class::Unfit;
                }
                // A host that may not connect, a way of authentication that one of us does not know.
                1130 | 1251 => return Class::Setup,
                _ => {}
            }
            match error.code().as_deref().and_then(|code| code.get(..2)) {
                Some("28" | "3D" | "42") => Class::Setup,
                Some("21" | "22" | "23" | "44" | "45") => Class::Unfit,
                _ => Class::Other,
            }
        })
    }
}
