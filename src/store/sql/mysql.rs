//! Sessions in MySQL or MariaDB: [`MySqlStore`].

use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::MySqlPoolOptions;

use sqlx::{
    AssertSqlSafe, Connection, MySqlConnection, MySqlPool, QueryBuilder, SqlSafeStr, SqlStr,
};
use tokio::time::{sleep, timeout};

use super::lease::{Lease, lock_wait, revive};
use super::meaning::{Meaning, explain, late};
use super::steps::{Ask, Columns, Done, Fault, Life, PRUNE, SWEEP, Save, Steps, carry_out};
use super::{Database, SqlStore, store};
use crate::event::{EventId, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::{
    Outcome, SessionRow, SessionStore, StatusChange, StatusWatcher, StoreError, StoreOptions,
};

store! {
    /// A store in MySQL 8.0 or MariaDB 10.6, or later, with InnoDB. It is tested on MariaDB alone.
    ///
    /// It makes `whatsapp_accounts` where there is none, and its own two tables beside it. Since
    /// there are no unique indexes over some rows only, a `session_ready` locks the rows of its
    /// workspace. Clones share its pool.
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
        let set = format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; {}",
            waits(options.deadline)
        );
        let set = AssertSqlSafe(set).into_sql_str();
        let pool = MySqlPoolOptions::new()
            .acquire_timeout(options.deadline)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| Box::pin(revive(connection, meta.idle_for)))
            .after_connect(move |connection, _| {
                let set = sqlx::raw_sql(set.clone());
                Box::pin(async { set.execute(connection).await.map(drop) })
            })
            .connect_lazy(url)
            .map_err(|error| explain(MySql::NAME, Meaning::Setup, &error))?;
        Self::over(pool, options, "BEGIN".into_sql_str()).await
    }

    /// Uses a pool of the caller's, and makes the tables that are missing. Sets `lock_wait_timeout` and
    /// `innodb_lock_wait_timeout` of the connections that it uses to less than the deadline.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: MySqlPool, options: StoreOptions) -> Result<Self, StoreError> {
        let begin = format!(
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {}; BEGIN",
            waits(options.deadline)
        );
        let begin = AssertSqlSafe(begin).into_sql_str();
        Self::over(pool, options, begin).await
    }

    async fn over(
        pool: MySqlPool,
        options: StoreOptions,
        begin: SqlStr,
    ) -> Result<Self, StoreError> {
        let made = timeout(options.deadline, make_tables(&pool)).await;
        made.map_err(|_| late(MySql::NAME, options.deadline))?
            .map_err(|error| explain(MySql::NAME, MySql::meaning(&error), &error))?;
        Ok(Self(SqlStore::new(MySql { pool, begin }, options)))
    }
}

/// Has the server end what waits for a lock while nobody waits for it any longer. It counts whole
/// seconds.
fn waits(deadline: Duration) -> String {
    let seconds = lock_wait(deadline).as_secs().clamp(1, 1_000_000);
    format!("SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
}

async fn make_tables(pool: &MySqlPool) -> Result<(), sqlx::Error> {
    let mut lease = Lease::of(pool).await?;
    // A service need not be allowed to make tables that are there.
    let exist = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name IN
            ('whatsapp_accounts', 'whatsapp_phone_sessions', 'whatsapp_phone_applied')";
    let (tables,): (i64,) = sqlx::query_as(exist).fetch_one(&mut *lease).await?;
    if tables < 3 {
        make_missing_tables(&mut lease).await?;
    }
    lease.give_back();
    Ok(())
}

async fn make_missing_tables(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    for tables in [
        include_str!("schema/mysql_accounts.sql"),
        include_str!("schema/mysql.sql"),
    ] {
        while let Err(error) = sqlx::raw_sql(tables).execute(&mut *connection).await {
            if MySql::meaning(&error) != Meaning::Conflict {
                return Err(error);
            }
            sleep(Duration::from_millis(fastrand::u64(1..20))).await;
        }
    }
    Ok(())
}

#[derive(Debug)]
struct MySql {
    pool: MySqlPool,
    /// Begins a transaction, in one round trip, of which each statement sees what was committed before
    /// it, without locking the gaps between rows. Our own connections are set to that; a caller's are
    /// asked for it each time.
    begin: SqlStr,
}

/// What is read of a row, and whether an event was applied whose id is the first parameter.
macro_rules! columns {
    ($condition:literal) => {
        columns!($condition, "?")
    };
    ($condition:literal, $event:literal) => {
        concat!(
            "SELECT CAST(a.id AS SIGNED), CAST(a.workspace_id AS SIGNED), CAST(a.session_id AS CHAR),
                CAST(a.phone_number AS CHAR), CAST(a.status AS CHAR), CAST(a.metadata AS CHAR),
                CAST(a.deleted_at IS NOT NULL AS SIGNED), s.last_seq, s.version,
                CAST(s.lid AS CHAR), CAST(s.assurance AS CHAR),
                CAST(EXISTS (SELECT 1 FROM whatsapp_phone_applied p
                    WHERE p.account_id = a.id AND p.event_id = ",
            $event,
            ") AS SIGNED)
            FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id
            WHERE ",
            $condition
        )
    };
}

#[async_trait]
impl Database for MySql {
    const NAME: &'static str = "mysql";
    type Ear = ();

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
        let mut lease = Lease::of(&self.pool).await?;
        let mut found = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(1000) {
            let mut query = QueryBuilder::new(columns!("a.session_id IN (", "NULL"));
            let mut list = query.separated(", ");
            for session in sessions {
                list.push_bind(session.as_str());
            }
            query.push(")");
            found.extend(query.build_query_as().fetch_all(&mut *lease).await?);
        }
        lease.give_back();
        Ok(found)
    }

    fn meaning(error: &sqlx::Error) -> Meaning {
        Meaning::of(error, |error| {
            let ours = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
            match ours.map_or(0, sqlx::mysql::MySqlDatabaseError::number) {
                // Deadlock, a row that changed since the snapshot, a table that is being made.
                1213 | 1020 | 1412 | 1684 => return Meaning::Conflict,
                1062 => return Meaning::Duplicate,
                // Too many connections, queries or prepared statements, in the class of bad SQL.
                1203 | 1226 | 1461 => return Meaning::Other,
                // Data that is cut or has no default, a CHECK, in classes that say nothing.
                1265 | 1364 | 1366 | 3819 => return Meaning::Unfit,
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

struct Transaction<'a>(&'a mut MySqlConnection);

impl Transaction<'_> {
    /// Reads what was locked, apart from the locking: that one's view of what it does not lock is
    /// older than what it waited for.
    async fn locked(
        &mut self,
        accounts: Vec<(i64,)>,
        event: Option<&EventId>,
    ) -> Result<Vec<Columns>, sqlx::Error> {
        let mut found = Vec::with_capacity(accounts.len());
        for (account,) in accounts {
            let one = sqlx::query_as(columns!("a.id = ?"));
            let one = one.bind(event.map(EventId::as_str)).bind(account);
            found.push(one.fetch_one(&mut *self.0).await?);
        }
        Ok(found)
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
        let locked = match number {
            // There is no unique index over the rows that are not deleted, so the workspace's rows are
            // locked, and two sessions that take one number do so one after the other. They are
            // locked in the order of an index, not of the ids; a circle is a deadlock, which is
            // tried again.
            Some((workspace, number)) => {
                let rows = sqlx::query_as(
                    "SELECT CAST(id AS SIGNED), CAST(session_id = ? OR phone_number <=> ? AS SIGNED)
                    FROM whatsapp_accounts WHERE workspace_id = ? AND deleted_at IS NULL
                    ORDER BY id FOR UPDATE",
                );
                let rows = rows
                    .bind(session.as_str())
                    .bind(number.reveal())
                    .bind(workspace);
                let rows: Vec<(i64, i64)> = rows.fetch_all(&mut *self.0).await?;
                let asked = rows.into_iter().filter(|(_, is_asked)| *is_asked != 0);
                asked.map(|(account, _)| (account,)).collect()
            }
            None => {
                let row = "SELECT CAST(id AS SIGNED) FROM whatsapp_accounts WHERE session_id = ? FOR UPDATE";
                let row = sqlx::query_as(row).bind(session.as_str());
                row.fetch_all(&mut *self.0).await?
            }
        };
        self.locked(locked, event).await
    }

    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error> {
        // One that is there stays as it is.
        sqlx::query(
            "INSERT INTO whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            VALUES (?, ?, 'qr_scanning', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)
            ON DUPLICATE KEY UPDATE session_id = session_id",
        )
        .bind(workspace)
        .bind(session.as_str())
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn save(&mut self, save: &Save<'_>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE whatsapp_accounts SET status = ?,
                phone_number = CASE WHEN ? THEN NULL ELSE COALESCE(?, phone_number) END,
                deleted_at = CASE WHEN ? THEN CURRENT_TIMESTAMP WHEN ? THEN NULL ELSE deleted_at END,
                updated_at = CURRENT_TIMESTAMP,
                last_connected_at = CASE WHEN ? THEN CURRENT_TIMESTAMP ELSE last_connected_at END,
                metadata = COALESCE(?, metadata)
            WHERE id = ?",
        )
        .bind(save.row.status.as_str())
        .bind(save.life == Life::Begins)
        .bind(save.phone())
        .bind(save.life == Life::Ends)
        .bind(save.life == Life::Begins)
        .bind(save.connects)
        .bind(&save.metadata)
        .bind(save.account)
        .execute(&mut *self.0)
        .await?;
        sqlx::query(
            "INSERT INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance)
            VALUES (?, ?, ?, ?, ?)
            ON DUPLICATE KEY UPDATE last_seq = VALUES(last_seq), version = VALUES(version),
                lid = VALUES(lid), assurance = VALUES(assurance)",
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
        sqlx::query("INSERT INTO whatsapp_phone_applied VALUES (?, ?, CURRENT_TIMESTAMP)")
            .bind(save.account)
            .bind(event.as_str())
            .execute(&mut *self.0)
            .await
            .map(drop)
    }

    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error> {
        let locked = sqlx::query_as(
            "SELECT CAST(id AS SIGNED) FROM whatsapp_accounts
            WHERE status IN ('qr_scanning', 'authenticated') AND deleted_at IS NULL
                AND COALESCE(updated_at, created_at) <= CURRENT_TIMESTAMP - INTERVAL ? SECOND
                AND id > ?
            ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED",
        );
        let locked = locked.bind(seconds).bind(after).bind(SWEEP);
        let locked = locked.fetch_all(&mut *self.0).await?;
        self.locked(locked, None).await
    }

    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied
            WHERE applied_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND ORDER BY applied_at LIMIT ?",
        )
        .bind(seconds)
        .bind(PRUNE)
        .execute(&mut *self.0)
        .await
        .map(|done| done.rows_affected())
    }
}
