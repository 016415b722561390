//! Sessions in MySQL or MariaDB: [`MySqlStore`].

use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::{MySqlPool, SqlStr};

use super::dialect::{Dialect, LOCK_COUNT, Statement, Templates};
use super::driver::{Connection, Driver, run};
use super::failure::Class;
use super::schema::Layout;
use super::server::{idle_timeout, pool};
use super::sql_store::SqlStore;
use crate::store::error::StoreError;
use crate::store::options::StoreOptions;
use crate::store::outbox::Outbox;
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

forward!([] MySqlStore, inner);

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

    fn inner(&self) -> &SqlStore<MySql> {
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
    pub fn pool(&self) -> &MySqlPool {
        self.0.pool()
    }
}

#[derive(Clone, Debug)]
struct MySql;

impl Dialect for MySql {
    const QUOTE: char = '`';

    const PARAMETER: Option<char> = None;

    const SQL: &str = include_str!("mysql/statements.sql");

    const HAS_LOCKS: bool = true;

    fn load(templates: &Templates) -> Vec<Statement> {
        script(templates, "{lock_numbers}; {lock_rows}; {load}", 2)
    }

    fn save(templates: &Templates) -> Vec<Statement> {
        let save = "{save_accounts}; {save_beside}; {save_applied}";
        script(templates, save, 1)
    }

    fn names(layout: &Layout, options: &StoreOptions) -> Vec<(&'static str, String)> {
        // As the column itself, so that an index serves.
        let like = |column: &str, value: &str| match &layout.column(column).charset {
            [Some(charset), Some(collation)] => {
                format!("CONVERT({value} USING {charset}) COLLATE {collation}")
            }
            _ => value.to_owned(),
        };
        let id = layout.column("id");
        let id_declared = match &id.charset {
            [Some(charset), Some(collation)] => {
                format!(
                    "{} CHARACTER SET {charset} COLLATE {collation}",
                    id.declared
                )
            }
            _ => id.declared.clone(),
        };
        // `JSON_TABLE` has no columns of type `uuid`.
        let id_column = match id.is_uuid() {
            true => "char(36)".to_owned(),
            false => id_declared.clone(),
        };
        // The same in every time zone.
        let stamp = |column: &str| match layout.column(column).kind.as_str() {
            "timestamp" => format!("CAST(UNIX_TIMESTAMP(a.{column}) AS CHAR)"),
            _ => format!("CAST(a.{column} AS CHAR)"),
        };
        let (workspace_type, this_workspace) = match layout.column("workspace_id").is_integer() {
            true => ("bigint", "CAST(?2 AS SIGNED)".to_owned()),
            false => ("varchar(255)", like("workspace_id", "?2")),
        };
        let id_cast = if id.is_integer() { "SIGNED" } else { "CHAR" };
        let idle = match layout.version.contains("MariaDB") {
            true => "idle_transaction_timeout",
            false => "wait_timeout",
        };
        let idle_timeout = idle_timeout(options.deadline).as_secs().max(1);
        let lock_wait = options.deadline.mul_f64(0.75).as_secs().clamp(1, 1_000_000);
        let locks: Vec<_> = (0..LOCK_COUNT).map(|lock| format!("({lock})")).collect();
        vec![
            ("all_locks", locks.join(",")),
            ("created", stamp("created_at")),
            ("updated", stamp("updated_at")),
            ("workspace_type", workspace_type.to_owned()),
            ("this_workspace", this_workspace),
            ("v_session", like("session_id", "v.session")),
            ("v_workspace", like("workspace_id", "v.workspace")),
            ("v_text", like("phone_number", "v.text")),
            ("id_column", id_column),
            ("id_declared", id_declared),
            ("id_cast", id_cast.to_owned()),
            ("lock_wait", lock_wait.to_string()),
            ("idle", idle.to_owned()),
            ("idle_timeout", idle_timeout.to_string()),
        ]
    }
}

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

/// Statements that run in one round trip: variables stand for their parameters, which cannot be sent with more
/// than one statement. The first statement sets them.
fn script(templates: &Templates, template: &str, parameters: usize) -> Vec<Statement> {
    let mut script = templates.fill(template);
    let mut set = Vec::new();
    for n in 1..=parameters {
        script = script.replace(&format!("?{n}"), &format!("@whatsapp_phone_{n}"));
        set.push(format!("@whatsapp_phone_{n} = ?{n}"));
    }
    let set = format!("SET {}", set.join(", "));
    vec![templates.statement(&set), templates.statement(&script)]
}
