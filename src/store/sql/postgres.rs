//! Sessions in PostgreSQL: [`PostgresStore`].

mod notify;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, SqlStr};

use self::notify::{Listener, Notify};
use super::dialect::{Dialect, Statement, Templates};
use super::driver::{Connection, Driver, run};
use super::failure::Class;
use super::schema::{Fact, Layout};
use super::server::{idle_timeout, pool};
use super::sql_store::SqlStore;
use crate::event::SessionId;
use crate::store::error::StoreError;
use crate::store::options::StoreOptions;
use crate::store::outbox::Outbox;
use crate::store::session_store::forward;
use crate::store::status::StatusChange;

/// How long a statement waits for the uncommitted number of another program, at a unique index.
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// A store in PostgreSQL 12 or later.
///
/// [`create_tables`](StoreOptions::create_tables) makes `whatsapp_accounts` with a unique index on
/// workspace and number of rows that are not soft-deleted, unless the policy is
/// [`Companions`](crate::store::DuplicatePolicy::Companions). The table of accounts is found by the
/// search path, and the store's own tables are in its schema. Times are written in UTC. Clones share its
/// pool.
///
/// Other processes notify of their changes by `NOTIFY`. While a session is watched, one connection beside
/// the pool listens; watched sessions are also read every [`poll_every`](StoreOptions::poll_every).
///
/// Behind pgbouncer it needs a session pool, for listening and prepared statements.
///
/// ```no_run
/// use whatsapp_phone::store::{StoreOptions, postgres::PostgresStore};
///
/// # async fn example() -> Result<(), whatsapp_phone::store::StoreError> {
/// let url = "postgres://service@localhost/whatsapp";
/// let store = PostgresStore::connect(url, StoreOptions::default().create_tables()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore(SqlStore<Postgres>);

forward!([] PostgresStore, inner);

impl PostgresStore {
    /// Connects, with up to ten connections, and checks the tables.
    ///
    /// # Errors
    ///
    /// `misconfigured` if the URL is invalid or a table cannot be used; `storage` if the server
    /// cannot be reached within [`StoreOptions::deadline`].
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        Self::from_pool(pool::<Postgres>(url, &options)?, options).await
    }

    /// Uses a pool of the caller's, and checks the tables.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: PgPool, options: StoreOptions) -> Result<Self, StoreError> {
        // Beside the pool, which may have one connection only.
        let listening = PgPoolOptions::new().max_connections(1);
        let listening = listening.connect_lazy_with((*pool.connect_options()).clone());
        let (deadline, sending) = (options.deadline, pool.clone());
        let postgres = |layout: &Layout| Postgres {
            notify: Notify::new(layout, sending, listening, deadline),
        };
        Ok(Self(SqlStore::open(postgres, pool, options).await?))
    }

    fn inner(&self) -> &SqlStore<Postgres> {
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
    pub fn pool(&self) -> &PgPool {
        self.0.pool()
    }
}

#[derive(Clone, Debug)]
struct Postgres {
    notify: Notify,
}

impl Dialect for Postgres {
    const QUOTE: char = '"';

    const PARAMETER: Option<char> = Some('$');

    const SQL: &str = include_str!("postgres/statements.sql");

    fn load(templates: &Templates) -> Vec<Statement> {
        vec![templates.statement("{lock}"), templates.statement("{load}")]
    }

    fn names(layout: &Layout, options: &StoreOptions) -> Vec<(&'static str, String)> {
        let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128).to_string();
        // In one schema: the connections of another program may have another search path.
        let table = |name: &str| format!("{}.\"{name}\"", layout.schema);
        vec![
            ("accounts", table(&layout.tables.accounts)),
            // Locks are those of the whole database. Without quotation marks, which depend on the server's settings.
            (
                "lock_name",
                table(&layout.tables.accounts).replace(['"', '\''], ""),
            ),
            ("sessions", table(&layout.tables.sessions)),
            ("applied", table(&layout.tables.applied)),
            ("outbox", table(&layout.tables.outbox)),
            ("id_type", type_of(layout.column("id"))),
            ("workspace_type", type_of(layout.column("workspace_id"))),
            ("status_type", type_of(layout.column("status"))),
            ("metadata_type", layout.column("metadata").declared.clone()),
            ("lock_wait", milliseconds(LOCK_WAIT)),
            ("deadline", milliseconds(options.deadline)),
            ("idle", milliseconds(idle_timeout(options.deadline))),
        ]
    }

    fn cast(column: &Fact) -> String {
        format!("::{}", type_of(column))
    }
}

#[async_trait]
impl Driver for Postgres {
    const NAME: &'static str = "postgres";
    type Sqlx = sqlx::Postgres;
    type Listener = Listener;

    run!();

    fn class(error: &sqlx::Error) -> Class {
        Class::of(error, |error| match error.code().as_deref() {
            Some("40001" | "40P01") => Class::Conflict,
            Some("55P03") => Class::Blocked,
            Some("23505") => Class::Duplicate,
            // Raised by a trigger of theirs.
            Some("P0001") => Class::Unfit,
            // A prepared statement that is there already, behind a pooler.
            Some("42P05") | None => Class::Other,
            Some(code) => match code.get(..2) {
                Some("28" | "3D" | "3F" | "42") => Class::Setup,
                Some("21" | "22" | "23" | "44") => Class::Unfit,
                // The connection, a server that only reads, its means, its operator, its system.
                Some("08" | "25" | "53" | "57" | "58") => Class::Away,
                _ => Class::Other,
            },
        })
    }

    fn notify(&self, changes: Vec<StatusChange>) {
        self.notify.send(changes);
    }

    async fn listen(&self, listener: &mut Listener) -> Option<Vec<SessionId>> {
        self.notify.listen(listener).await
    }
}

/// Returns the type as which a text or number is compared with a column, or written to it.
fn type_of(column: &Fact) -> String {
    match column {
        column if column.is_integer() => "bigint".to_owned(),
        column if column.is_text() => "text".to_owned(),
        column => column.declared.clone(),
    }
}
