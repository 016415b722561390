//! The steps of a transaction, in MySQL's words.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{MySqlConnection, QueryBuilder};
use tokio::time::sleep;

use crate::event::SessionId;
use crate::store::sql::rows::{Columns, Save, as_json};
use crate::store::sql::steps::{Found, PRUNE, SWEEP, Steps, Wanted, events, numbers};

/// What is read of rows. Which events were applied is another question.
const COLUMNS: &str =
    "SELECT CAST(a.id AS SIGNED), CAST(a.workspace_id AS SIGNED), CAST(a.session_id AS CHAR),
        CAST(a.phone_number AS CHAR), CAST(a.status AS CHAR), CAST(a.metadata AS CHAR),
        CAST(a.deleted_at IS NOT NULL AS SIGNED), s.last_seq, s.version,
        CAST(s.lid AS CHAR), CAST(s.assurance AS CHAR), CAST(NULL AS CHAR)
    FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id WHERE ";

/// A part of the statement that locks rows, up to the workspace that they are locked for, if any.
const LOCK: &str = " UNION ALL (SELECT CAST(id AS SIGNED), ";
/// What goes on from there.
const LOCKED: &str = ", CAST(phone_number AS CHAR) FROM whatsapp_accounts WHERE ";

/// How often, and after what pause, the rest of a workspace's rows is asked for: about as long as others
/// of ours hold them.
const PASSES: u32 = 4;
const A_MOMENT: Duration = Duration::from_millis(1);

/// Up to how many rows a workspace is locked at one go.
const MANY: i64 = 400;

/// Lists of parameters are as long as a power of two, so that few statements are prepared; the rest
/// is null, and equal to nothing.
fn padded<T>(list: &[T]) -> usize {
    match list.len() {
        0 => 0,
        len => len.next_power_of_two(),
    }
}

/// As long as [`padded`] says, by the last one again, which changes nothing more.
fn repeated<T>(list: &[T]) -> impl Iterator<Item = &T> {
    let missing = padded(list) - list.len();
    list.iter()
        .chain(list.last().into_iter().cycle().take(missing))
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

/// The rows that a column of theirs is in a list, deleted or not, without locks.
async fn rows<'a, T>(
    connection: &mut MySqlConnection,
    column: &'static str,
    list: &[T],
) -> Result<Vec<Columns>, sqlx::Error>
where
    T: Copy + sqlx::Encode<'a, sqlx::MySql> + sqlx::Type<sqlx::MySql> + 'a,
{
    let mut found = Vec::with_capacity(list.len());
    for list in list.chunks(1024) {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(column).push(" IN ");
        push_list(&mut query, list);
        let rows = query.build_query_as().fetch_all(&mut *connection);
        found.extend(rows.await?);
    }
    Ok(found)
}

/// The rows of these sessions, deleted or not, without locks.
pub(super) async fn read(
    connection: &mut MySqlConnection,
    sessions: &[SessionId],
) -> Result<Vec<Columns>, sqlx::Error> {
    let sessions: Vec<_> = sessions.iter().map(SessionId::as_str).collect();
    rows(connection, "a.session_id", &sessions).await
}

/// The workspaces that were seen to have more than [`MANY`] rows.
pub(super) type Large = Mutex<HashSet<i64>>;

pub(super) struct Transaction<'a> {
    pub(super) connection: &'a mut MySqlConnection,
    pub(super) large: &'a Large,
}

/// An account whose row is locked, the workspace it is locked for, if any, and its number.
type Locked = (i64, Option<i64>, Option<String>);

impl Transaction<'_> {
    /// Locks the rows of these workspaces that are not deleted and the rows of these sessions, but for
    /// those that others hold. A part of the statement for each: for a list, and a small table, the
    /// server would read and lock the whole of it.
    async fn lock(
        &mut self,
        workspaces: &[i64],
        sessions: &[&str],
    ) -> Result<Vec<Locked>, sqlx::Error> {
        let mut query = QueryBuilder::new("SELECT NULL, NULL, NULL FROM DUAL WHERE FALSE");
        for n in 0..padded(workspaces) {
            query.push(LOCK).push("CAST(workspace_id AS SIGNED)");
            query.push(LOCKED).push("workspace_id = ");
            query.push_bind(workspaces.get(n).copied());
            query.push(" AND deleted_at IS NULL FOR UPDATE SKIP LOCKED)");
        }
        for n in 0..padded(sessions) {
            query.push(LOCK).push("NULL").push(LOCKED);
            query.push("session_id = ");
            query.push_bind(sessions.get(n).copied());
            query.push(" FOR UPDATE SKIP LOCKED)");
        }
        let locked = query.build_query_as();
        locked.fetch_all(&mut *self.connection).await
    }

    /// As [`lock`](Self::lock). Also gives the workspaces of which others hold a row; what is locked stays
    /// so while they are asked again, or else those who lock row by row would always be first.
    async fn lock_all(
        &mut self,
        workspaces: &[i64],
        sessions: &[&str],
    ) -> Result<(Vec<Locked>, Vec<i64>), sqlx::Error> {
        let (workspaces, shut) = self.gates(workspaces).await?;
        let mut passes = 0;
        loop {
            let locked = self.lock(&workspaces, sessions).await?;
            let counts = self.counts(&workspaces).await?;
            let locked_of = |workspace| {
                let of = locked.iter().filter(|(_, of, _)| *of == Some(workspace));
                of.fold(0_i64, |count, _| count + 1)
            };
            let held = counts
                .iter()
                .filter(|(workspace, count)| locked_of(*workspace) < *count);
            let mut held: Vec<_> = held.map(|(workspace, _)| *workspace).collect();
            let many = counts.iter().filter(|(_, count)| *count > MANY);
            self.large().extend(many.map(|(workspace, _)| *workspace));
            passes += 1;
            if held.is_empty() || passes == PASSES {
                held.extend(shut);
                return Ok((locked, held));
            }
            sleep(A_MOMENT).await;
        }
    }

    fn large(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of large workspaces the first row is locked first, and the rest only by whoever has that: two that
    /// overtake each other on a long way would both end with a part, again and again. Gives the
    /// workspaces whose rows may be locked, and those that are another's.
    async fn gates(&mut self, workspaces: &[i64]) -> Result<(Vec<i64>, Vec<i64>), sqlx::Error> {
        let is_large = |workspace: &i64| self.large().contains(workspace);
        let (large, mut open): (Vec<_>, Vec<_>) = workspaces.iter().copied().partition(is_large);
        if large.is_empty() {
            return Ok((open, large));
        }
        let mut query = QueryBuilder::new("SELECT NULL FROM DUAL WHERE FALSE");
        for n in 0..padded(&large) {
            query.push(" UNION ALL (SELECT CAST(workspace_id AS SIGNED) FROM whatsapp_accounts");
            query.push(" WHERE id = (SELECT MIN(id) FROM whatsapp_accounts WHERE workspace_id = ");
            query.push_bind(large.get(n).copied());
            query.push(" AND deleted_at IS NULL) FOR UPDATE SKIP LOCKED)");
        }
        let gates = query.build_query_scalar();
        let gates: Vec<i64> = gates.fetch_all(&mut *self.connection).await?;
        let (got, shut): (Vec<_>, Vec<_>) = large.into_iter().partition(|one| gates.contains(one));
        open.extend(got);
        Ok((open, shut))
    }

    /// How many rows of these workspaces are not deleted.
    async fn counts(&mut self, workspaces: &[i64]) -> Result<Vec<(i64, i64)>, sqlx::Error> {
        if workspaces.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::new(
            "SELECT CAST(workspace_id AS SIGNED), COUNT(*) FROM whatsapp_accounts
            WHERE deleted_at IS NULL AND workspace_id IN ",
        );
        push_list(&mut query, workspaces);
        query.push(" GROUP BY workspace_id");
        let counts = query.build_query_as();
        counts.fetch_all(&mut *self.connection).await
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
            query.push(" AND event_id = CONVERT(").push_bind(event);
            query.push(" USING ascii))");
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
    /// are locked, and of two sessions that take one number one finds it busy.
    async fn load(&mut self, wanted: &[Wanted<'_>]) -> Result<Found, sqlx::Error> {
        let workspaces: BTreeSet<_> = numbers(wanted).map(|(workspace, _)| workspace).collect();
        let workspaces: Vec<_> = workspaces.into_iter().collect();
        let others = wanted.iter().filter(|one| one.number.is_none());
        let others: Vec<_> = others.map(|one| one.session.as_str()).collect();
        let (locked, held) = self.lock_all(&workspaces, &others).await?;

        // Read apart from the locking: that one's view of what it does not lock is older than its locks.
        let sessions: Vec<_> = wanted.iter().map(|one| one.session.as_str()).collect();
        let mut found = rows(&mut *self.connection, "a.session_id", &sessions).await?;
        let is_found: HashSet<_> = found.iter().map(|row| row.0).collect();
        let given: HashSet<_> = numbers(wanted).map(|(_, number)| number).collect();
        let holders = locked.iter().filter(|(account, _, number)| {
            let number = number.as_deref();
            number.is_some_and(|number| given.contains(number)) && !is_found.contains(account)
        });
        let holders: BTreeSet<_> = holders.map(|(account, ..)| *account).collect();
        let holders: Vec<_> = holders.into_iter().collect();
        found.extend(rows(&mut *self.connection, "a.id", &holders).await?);

        let of_events = found.iter().flat_map(|row| {
            let own = |(session, _): &(&str, &str)| row.2.as_deref() == Some(*session);
            events(wanted).filter(own).map(|(_, event)| (row.0, event))
        });
        let of_events: Vec<_> = of_events.collect();
        let applied = self.applied(&of_events).await?;
        for row in &mut found {
            row.11 = applied.get(&row.0).map(as_json).transpose()?;
        }
        // A row that another holds may be about to take the number.
        let busy = numbers(wanted).filter(|(workspace, _)| held.contains(workspace));
        let busy = busy.map(|(workspace, number)| (workspace, number.to_owned()));
        Ok(Found {
            busy: busy.collect(),
            locked: locked.iter().map(|(account, ..)| *account).collect(),
            rows: found,
        })
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
                begins int PATH '$.begins', ends int PATH '$.ends', connects int PATH '$.connects')) v
            STRAIGHT_JOIN whatsapp_accounts a FORCE INDEX (PRIMARY) ON a.id = v.id
            SET a.status = v.status,
                a.phone_number = CASE WHEN v.begins = 1 THEN NULL ELSE COALESCE(v.phone, a.phone_number) END,
                a.deleted_at = CASE WHEN v.ends = 1 THEN CURRENT_TIMESTAMP
                    WHEN v.begins = 1 THEN NULL ELSE a.deleted_at END,
                a.updated_at = CURRENT_TIMESTAMP,
                a.last_connected_at = CASE WHEN v.connects = 1 THEN CURRENT_TIMESTAMP
                    ELSE a.last_connected_at END",
        )
        .bind(&json)
        .execute(&mut *self.connection)
        .await?;
        let mut query = QueryBuilder::new(
            "REPLACE INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance) ",
        );
        query.push_values(repeated(saves), |mut row, save| {
            row.push_bind(save.id).push_bind(save.seq);
            row.push_bind(save.version).push_bind(save.lid);
            row.push_bind(save.assurance);
        });
        query.build().execute(&mut *self.connection).await?;
        let events = saves.iter().flat_map(|save| {
            let event = |event| (save.id, event);
            save.events.iter().map(event)
        });
        let events: Vec<(i64, &String)> = events.collect();
        if events.is_empty() {
            return Ok(());
        }
        let mut query =
            QueryBuilder::new("INSERT INTO whatsapp_phone_applied (account_id, event_id) ");
        query.push_values(repeated(&events), |mut row, (account, event)| {
            row.push_bind(*account).push_bind(*event);
        });
        query.push(" ON DUPLICATE KEY UPDATE applied_at = applied_at");
        query.build().execute(&mut *self.connection).await.map(drop)
    }

    async fn set_metadata(&mut self, account: i64, metadata: &str) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE whatsapp_accounts SET metadata = ? WHERE id = ?")
            .bind(metadata)
            .bind(account)
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
        rows(&mut *self.connection, "a.id", &accounts).await
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
