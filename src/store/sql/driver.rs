//! [`Driver`]: what one database does its own way, as SQL text and codes of errors.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Pool, SqlSafeStr, SqlStr};

use super::failure::Class;
use super::schema::{Layout, Tables};
use crate::event::SessionId;
#[allow(unused_imports, reason = "for the documentation")]
use crate::store::options::APPLIED_IDS_KEPT;
use crate::store::options::{RowValues, StoreOptions};

/// The locks of numbers are numbered below this.
pub(super) const LOCKS: u64 = 4096;

/// How many rows one transaction of a scan changes at most.
pub(super) const SCANNED: u64 = 250;

/// How many events one transaction forgets at most.
pub(super) const PRUNED: u64 = 5000;

pub(super) type Connection<D> = <<D as Driver>::Sqlx as sqlx::Database>::Connection;

/// Statements exchange JSON texts: any number of rows is one statement, each parameter is a JSON array, and
/// each row of the answer is a JSON object.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: SqlStr,
    /// Which of the caller's parameters stands at each placeholder. Empty: each in its place.
    pub(super) order: &'static [usize],
}

impl Statement {
    pub(super) fn new(sql: String, order: &'static [usize]) -> Self {
        let sql = AssertSqlSafe(sql).into_sql_str();
        Self { sql, order }
    }
}

/// The statements over one table of accounts.
#[derive(Debug)]
pub(super) struct Statements {
    /// Begins and ends a transaction, in one round trip each.
    pub(super) begin: Statement,
    pub(super) commit: Statement,
    pub(super) rollback: Statement,
    /// `[{session}]`: the rows of these sessions, deleted or not.
    pub(super) find: Statement,
    /// `[{session, event}]`, `[{workspace, text}]`: the rows of these sessions, the rows that hold one of
    /// these texts or the same text as one of those, and the events that were applied, as `{life, event}`.
    pub(super) load: Statement,
    /// `[lock]`, `[id]`: locks those that are free until the transaction ends; gives `lock` and the number of each
    /// lock, and the id of each row. `None`: a transaction has the database to itself.
    pub(super) lock: Option<Statement>,
    /// Write rows; see [`Save`](super::row::Save).
    pub(super) save: Vec<Statement>,
    /// `id`: the metadata of a row, as a text or null.
    pub(super) metadata: Statement,
    /// `id`, metadata: writes it.
    pub(super) set_metadata: Statement,
    /// `id`: the first [`SCANNED`] rows after this one that wait for a scan, or hold a number in an unusual spelling.
    pub(super) scan: Statement,
    /// Forgets at most [`PRUNED`] events that were applied more than [`APPLIED_IDS_KEPT`] ago; gives their count.
    pub(super) prune: Statement,
}

/// The SQL of a database.
pub(super) trait Dialect {
    /// `[table]`: describes tables, as [`Fact`](super::schema::Fact)s.
    fn inspect() -> Statement;

    /// Creates the table of accounts, unless it exists.
    fn create_accounts(tables: &Tables, options: &StoreOptions) -> String;

    /// Creates the tables beside it, unless they exist.
    fn create_beside(layout: &Layout) -> String;

    fn statements(layout: &Layout, options: &StoreOptions) -> Statements;

    /// Inserts a row: parameters are workspace, session and the values.
    fn insert(layout: &Layout, values: &RowValues) -> String;

    /// Counts the locks of numbers, if they are rows of a table; there must be [`LOCKS`].
    fn count_locks(_: &Layout) -> Option<String> {
        None
    }
}

#[async_trait]
pub(super) trait Driver: Dialect + fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;
    type Sqlx: sqlx::Database;
    /// Hears other processes while sessions are watched.
    type Listener: Default + Send;

    /// Runs a statement; gives the first column of its rows. Without parameters, it may be several.
    async fn run(
        connection: &mut Connection<Self>,
        sql: SqlStr,
        parameters: &[&str],
    ) -> Result<Vec<String>, sqlx::Error>;

    fn class(error: &sqlx::Error) -> Class;

    /// Tells other processes of changes, after the commit.
    fn tell(&self, _pool: &Pool<Self::Sqlx>, _changes: Vec<String>) {}

    /// Waits until other processes tell of changes to sessions. `None`: notifications may have been lost.
    /// Cancel-safe.
    async fn listen(&self, _: &mut Self::Listener) -> Option<Vec<SessionId>> {
        pending().await
    }
}

/// The tables beside the accounts. `{beside_options}` follow each.
pub(super) const BESIDE: &str = "
CREATE TABLE IF NOT EXISTS {sessions} (
    account_id {id_declared} NOT NULL PRIMARY KEY,
    session_id varchar(255) NOT NULL,
    created_at varchar(64),
    life bigint NOT NULL,
    last_seq bigint,
    version bigint NOT NULL,
    lid varchar(128),
    assurance varchar(16),
    kept_number varchar(32),
    spelled_number varchar(32),
    spelling varchar(255),
    is_given_up int NOT NULL,
    error varchar(128),
    error_message text,
    shows_error int NOT NULL,
    seen_updated_at varchar(64),
    seen_at bigint NOT NULL{index_spelled}
) {beside_options};
CREATE TABLE IF NOT EXISTS {applied} (
    life bigint NOT NULL,
    event_id varchar(128) NOT NULL,
    applied_at bigint NOT NULL,
    PRIMARY KEY ({applied_key}){index_applied}
) {beside_options} {applied_options};";

/// The indexes of those, if they are statements of their own.
#[cfg_attr(not(any(feature = "postgres", feature = "sqlite")), allow(dead_code))]
pub(super) const BESIDE_INDEXES: &str = "
CREATE INDEX IF NOT EXISTS {prefix}spelled ON {sessions} (spelled_number) WHERE spelled_number IS NOT NULL;
CREATE INDEX IF NOT EXISTS {prefix}applied_at ON {applied} (applied_at);";

/// The first characters of texts that may be numbers, for `IN`.
pub(super) const FIRST_CHARACTERS: &str = "('+', '1', '2', '3', '4', '5', '6', '7', '8', '9')";

/// FNV-1a: the same in every process and version.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Fills `{name}` in a template.
pub(super) fn fill(template: &str, names: &HashMap<&str, String>) -> String {
    let mut filled = template.to_owned();
    // Twice, since what is filled in may have names too.
    for _ in 0..2 {
        for (name, text) in names {
            filled = filled.replace(&format!("{{{name}}}"), text);
        }
    }
    filled
}

/// Runs a statement on the connection of one driver.
macro_rules! run {
    ($connection:expr, $sql:expr, $parameters:expr) => {{
        use sqlx::Row;
        if $parameters.is_empty() {
            let rows = sqlx::raw_sql($sql).fetch_all($connection).await?;
            return rows.iter().map(|row| row.try_get(0)).collect();
        }
        let mut query = sqlx::query_scalar($sql);
        for parameter in $parameters {
            query = query.bind(*parameter);
        }
        query.fetch_all($connection).await
    }};
}
#[allow(unused_imports, reason = "without drivers there is no use")]
pub(super) use run;
