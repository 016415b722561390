//! The steps of a transaction, in MySQL's words.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use sqlx::{MySqlConnection, QueryBuilder};

use crate::event::SessionId;
use crate::phone::PhoneNumber;
use crate::store::sql::rows::{Columns, Save, as_json};
use crate::store::sql::steps::{PRUNE, SWEEP, Steps, Wanted};

/// What is read of rows.
const COLUMNS: &str =
    "SELECT CAST(a.id AS SIGNED), CAST(a.workspace_id AS SIGNED), CAST(a.session_id AS CHAR),
        CAST(a.phone_number AS CHAR), CAST(a.status AS CHAR), CAST(a.metadata AS CHAR),
        CAST(a.deleted_at IS NOT NULL AS SIGNED), s.last_seq, s.version,
        CAST(s.lid AS CHAR), CAST(s.assurance AS CHAR)
    FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id WHERE ";

/// A part of the statement that locks rows, up to whether they are locked for their session.
const LOCK: &str = " UNION ALL (SELECT CAST(id AS SIGNED), ";
/// What goes on from there.
const LOCKED: &str =
    ", CAST(session_id AS CHAR), CAST(phone_number AS CHAR) FROM whatsapp_accounts WHERE ";

/// What [`COLUMNS`] gives.
type Row = (
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

/// With which of the events in hand were applied to it.
fn columns(row: Row, applied: &mut HashMap<i64, Vec<String>>) -> Result<Columns, sqlx::Error> {
    let applied = applied
        .remove(&row.0)
        .map(|events| as_json(&events))
        .transpose()?;
    let (a, b, c, d, e, f, g, h, i, j, k) = row;
    Ok((a, b, c, d, e, f, g, h, i, j, k, applied))
}

/// Lists of parameters are as long as a power of two, so that few statements are prepared; the rest
/// is null, and equal to nothing.
fn padded<T>(list: &[T]) -> usize {
    match list.len() {
        0 => 0,
        len => len.next_power_of_two(),
    }
}

fn push_list<'a, T>(query: &mut QueryBuilder<sqlx::MySql>, list: &[T])
where
    T: Copy + sqlx::Encode<'a, sqlx::MySql> + sqlx::Type<sqlx::MySql> + 'a,
{
    query.push("(");
    let mut parameters = query.separated(", ");
    for n in 0..padded(list) {
        parameters.push_bind(list.get(n).copied());
    }
    query.push(")");
}

/// The rows of these sessions, deleted or not, without locks.
pub(super) async fn read(
    connection: &mut MySqlConnection,
    sessions: &[SessionId],
) -> Result<Vec<Columns>, sqlx::Error> {
    let mut found = Vec::with_capacity(sessions.len());
    for sessions in sessions.chunks(1024) {
        let sessions: Vec<_> = sessions.iter().map(SessionId::as_str).collect();
        let mut query = QueryBuilder::new(COLUMNS);
        query.push("a.session_id IN ");
        push_list(&mut query, &sessions);
        let rows = query.build_query_as::<Row>().fetch_all(&mut *connection);
        for row in rows.await? {
            found.push(columns(row, &mut HashMap::new())?);
        }
    }
    Ok(found)
}

pub(super) struct Transaction<'a> {
    pub(super) connection: &'a mut MySqlConnection,
    /// How rows are locked.
    pub(super) lock: &'static str,
}

impl Transaction<'_> {
    /// Locks the rows of these workspaces that are not deleted and the rows of these sessions. Gives the
    /// id of each, whether it was locked for its session, its session and its number. A part of the
    /// statement for each: for a list, and a small table, the server would read and lock the whole of it.
    async fn lock(
        &mut self,
        workspaces: &[i64],
        sessions: &[&str],
    ) -> Result<Vec<(i64, i64, Option<String>, Option<String>)>, sqlx::Error> {
        let mut query = QueryBuilder::new("SELECT NULL, NULL, NULL, NULL FROM DUAL WHERE FALSE");
        for n in 0..padded(workspaces) {
            query.push(LOCK).push("FALSE").push(LOCKED);
            query
                .push("workspace_id = ")
                .push_bind(workspaces.get(n).copied());
            query
                .push(" AND deleted_at IS NULL")
                .push(self.lock)
                .push(")");
        }
        for n in 0..padded(sessions) {
            query.push(LOCK).push("TRUE").push(LOCKED);
            query
                .push("session_id = ")
                .push_bind(sessions.get(n).copied());
            query.push(self.lock).push(")");
        }
        query
            .build_query_as()
            .fetch_all(&mut *self.connection)
            .await
    }

    /// Reads what was locked, apart from the locking: that one's view of what it does not lock is
    /// older than what it waited for.
    async fn locked(
        &mut self,
        accounts: &[i64],
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<Columns>, sqlx::Error> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::new(COLUMNS);
        query.push("a.id IN ");
        push_list(&mut query, accounts);
        let found = query.build_query_as::<Row>();
        let found = found.fetch_all(&mut *self.connection).await?;
        let events = found.iter().flat_map(|row| {
            let own = wanted
                .iter()
                .filter(|one| row.2.as_deref() == Some(one.session.as_str()));
            own.filter_map(|one| Some((row.0, one.event?.as_str())))
        });
        let events: Vec<_> = events.collect();
        let mut applied = self.applied(&events).await?;
        found
            .into_iter()
            .map(|row| columns(row, &mut applied))
            .collect()
    }

    /// Which of these events were applied to these accounts.
    async fn applied(
        &mut self,
        events: &[(i64, &str)],
    ) -> Result<HashMap<i64, Vec<String>>, sqlx::Error> {
        let mut applied = HashMap::<_, Vec<_>>::new();
        if events.is_empty() {
            return Ok(applied);
        }
        let mut query = QueryBuilder::new(
            "SELECT account_id, CAST(event_id AS CHAR) FROM whatsapp_phone_applied WHERE FALSE",
        );
        for n in 0..padded(events) {
            let (account, event) = events.get(n).copied().unzip();
            query.push(" OR (account_id = ").push_bind(account);
            query
                .push(" AND event_id = CONVERT(")
                .push_bind(event)
                .push(" USING ascii))");
        }
        let found = query.build_query_as().fetch_all(&mut *self.connection);
        for (account, event) in found.await? {
            applied.entry(account).or_default().push(event);
        }
        Ok(applied)
    }
}

#[async_trait]
impl Steps for Transaction<'_> {
    /// There is no unique index over the rows that are not deleted, so the rows of a number's workspace
    /// are locked, and two sessions that take one number do so one after the other. They are locked in
    /// the order of an index, not of the ids; a circle is a deadlock, which is tried again.
    async fn load(&mut self, wanted: &[Wanted<'_>]) -> Result<Vec<Columns>, sqlx::Error> {
        let numbered = || wanted.iter().filter(|one| one.number.is_some());
        let workspaces: BTreeSet<_> = numbered().map(|one| one.workspace).collect();
        let workspaces: Vec<_> = workspaces.into_iter().collect();
        let others = wanted.iter().filter(|one| one.number.is_none());
        let others: Vec<_> = others.map(|one| one.session.as_str()).collect();
        let rows = self.lock(&workspaces, &others).await?;
        let sessions: HashSet<_> = numbered().map(|one| one.session.as_str()).collect();
        let numbers = numbered().filter_map(|one| one.number.map(PhoneNumber::reveal));
        let numbers: HashSet<_> = numbers.collect();
        let is_one_of = |set: &HashSet<&str>, text: &Option<String>| {
            text.as_deref().is_some_and(|text| set.contains(text))
        };
        let asked = rows.iter().filter(|(_, is_asked, session, number)| {
            *is_asked != 0 || is_one_of(&sessions, session) || is_one_of(&numbers, number)
        });
        let accounts: BTreeSet<_> = asked.map(|(account, ..)| *account).collect();
        let accounts: Vec<_> = accounts.into_iter().collect();
        self.locked(&accounts, wanted).await
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
        .execute(&mut *self.connection)
        .await
        .map(drop)
    }

    async fn save(&mut self, saves: &[Save<'_>]) -> Result<(), sqlx::Error> {
        let json = as_json(&saves)?;
        // Row by row: otherwise the server may read, and lock, the whole of a small table.
        sqlx::query(
            "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (
                id bigint PATH '$.id', status varchar(32) PATH '$.status', phone varchar(32) PATH '$.phone',
                begins int PATH '$.begins', ends int PATH '$.ends', connects int PATH '$.connects',
                metadata longtext PATH '$.metadata')) v
            STRAIGHT_JOIN whatsapp_accounts a FORCE INDEX (PRIMARY) ON a.id = v.id
            SET a.status = v.status,
                a.phone_number = CASE WHEN v.begins = 1 THEN NULL ELSE COALESCE(v.phone, a.phone_number) END,
                a.deleted_at = CASE WHEN v.ends = 1 THEN CURRENT_TIMESTAMP
                    WHEN v.begins = 1 THEN NULL ELSE a.deleted_at END,
                a.updated_at = CURRENT_TIMESTAMP,
                a.last_connected_at = CASE WHEN v.connects = 1 THEN CURRENT_TIMESTAMP
                    ELSE a.last_connected_at END,
                a.metadata = COALESCE(v.metadata, a.metadata)",
        )
        .bind(&json)
        .execute(&mut *self.connection)
        .await?;
        sqlx::query(
            "INSERT INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance)
            SELECT id, seq, version, lid, assurance FROM JSON_TABLE(?, '$[*]' COLUMNS (
                id bigint PATH '$.id', seq bigint PATH '$.seq', version bigint PATH '$.version',
                lid varchar(128) PATH '$.lid', assurance varchar(16) PATH '$.assurance')) v
            ON DUPLICATE KEY UPDATE last_seq = VALUES(last_seq), version = VALUES(version),
                lid = VALUES(lid), assurance = VALUES(assurance)",
        )
        .bind(&json)
        .execute(&mut *self.connection)
        .await?;
        if saves.iter().all(|save| save.events.is_empty()) {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO whatsapp_phone_applied (account_id, event_id, applied_at)
            SELECT id, event, CURRENT_TIMESTAMP FROM JSON_TABLE(?, '$[*]' COLUMNS (id bigint PATH '$.id',
                NESTED PATH '$.events[*]' COLUMNS (event varchar(128) PATH '$'))) v
            WHERE event IS NOT NULL",
        )
        .bind(json)
        .execute(&mut *self.connection)
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
        let locked: Vec<(i64,)> = locked.fetch_all(&mut *self.connection).await?;
        let accounts: Vec<_> = locked.into_iter().map(|(account,)| account).collect();
        self.locked(&accounts, &[]).await
    }

    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied
            WHERE applied_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND ORDER BY applied_at LIMIT ?",
        )
        .bind(seconds)
        .bind(PRUNE)
        .execute(&mut *self.connection)
        .await
        .map(|done| done.rows_affected())
    }
}
