//! The steps of a transaction, in PostgreSQL's words.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use sqlx::PgConnection;

use super::LOCKS;
use crate::event::SessionId;
use crate::store::sql::rows::{Columns, Save, as_json};
use crate::store::sql::steps::{Found, PRUNE, SWEEP, Steps, Wanted, events, numbers};

/// What is read of a row. The first two parameters are the events in hand: their sessions and their ids.
/// Each is looked up, not joined: a plan of a join would be of the table's size when it was first asked.
macro_rules! columns {
    ($condition:literal) => {
        concat!(
            "SELECT a.id::bigint, a.workspace_id::bigint, a.session_id::text, a.phone_number::text,
                a.status::text, a.metadata::text, (a.deleted_at IS NOT NULL)::int::bigint,
                s.last_seq, s.version, s.lid::text, s.assurance::text,
                (SELECT json_agg(e.event)::text FROM unnest($1::text[], $2::text[]) AS e (session, event)
                    WHERE e.session = a.session_id AND (SELECT true FROM whatsapp_phone_applied p
                        WHERE p.account_id = a.id AND p.event_id = e.event))
            FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id
            WHERE ",
            $condition
        )
    };
}

/// The accounts that are wanted, by parameters: sessions, and workspaces with numbers.
macro_rules! wanted {
    ($sessions:literal, $workspaces:literal, $numbers:literal) => {
        concat!(
            "(SELECT id FROM whatsapp_accounts WHERE session_id = ANY(",
            $sessions,
            "::text[]) UNION ALL SELECT a.id FROM unnest(",
            $workspaces,
            "::bigint[], ",
            $numbers,
            "::text[]) AS n (workspace, number)
            JOIN whatsapp_accounts a ON a.workspace_id = n.workspace
                AND a.phone_number = n.number AND a.deleted_at IS NULL)"
        )
    };
}

/// The rows of these sessions, deleted or not, without locks.
pub(super) async fn read(
    connection: &mut PgConnection,
    sessions: &[SessionId],
) -> Result<Vec<Columns>, sqlx::Error> {
    let sessions: Vec<_> = sessions.iter().map(SessionId::as_str).collect();
    sqlx::query_as(columns!("a.session_id = ANY($3::text[])"))
        .bind(None::<Vec<&str>>)
        .bind(None::<Vec<&str>>)
        .bind(sessions)
        .fetch_all(connection)
        .await
}

pub(super) struct Transaction<'a>(pub(super) &'a mut PgConnection);

#[async_trait]
impl Steps for Transaction<'_> {
    async fn load(&mut self, wanted: &[Wanted<'_>]) -> Result<Found, sqlx::Error> {
        let sessions: Vec<_> = wanted.iter().map(|one| one.session.as_str()).collect();
        // Each once, and in one order whoever locks them.
        let numbers: BTreeSet<_> = numbers(wanted).collect();
        let (workspaces, numbers): (Vec<_>, Vec<_>) = numbers.into_iter().unzip();
        // Of two transactions over one number, one finds it busy.
        let taken: Vec<(Option<i64>, Option<i64>, Option<String>)> = sqlx::query_as(concat!(
            "SELECT id::bigint, NULL::bigint, NULL::text FROM (
                SELECT id FROM whatsapp_accounts WHERE id IN ",
            wanted!("$1", "$2", "$3"),
            " FOR NO KEY UPDATE SKIP LOCKED) AS locked
            UNION ALL SELECT NULL, workspace, number FROM unnest($2, $3) AS n (workspace, number)
            WHERE NOT pg_try_advisory_xact_lock($4, hashtext(workspace || ' ' || number))"
        ))
        .bind(&sessions)
        .bind(&workspaces)
        .bind(&numbers)
        .bind(LOCKS)
        .fetch_all(&mut *self.0)
        .await?;
        let (mut locked, mut busy) = (HashSet::with_capacity(taken.len()), Vec::new());
        for (account, workspace, number) in taken {
            locked.extend(account);
            busy.extend(workspace.zip(number));
        }
        // Read apart from the locking: that one's view of other tables is older than its locks.
        let (owners, events): (Vec<_>, Vec<_>) = events(wanted).unzip();
        let rows = concat!(columns!("a.id IN "), wanted!("$3", "$4", "$5"));
        let rows = sqlx::query_as(rows)
            .bind(owners)
            .bind(events)
            .bind(sessions)
            .bind(workspaces)
            .bind(numbers)
            .fetch_all(&mut *self.0)
            .await?;
        Ok(Found { rows, locked, busy })
    }

    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            VALUES ($1, $2, 'qr_scanning', date_trunc('second', now() AT TIME ZONE 'UTC'),
                date_trunc('second', now() AT TIME ZONE 'UTC'))
            ON CONFLICT (session_id) DO NOTHING",
        )
        .bind(workspace)
        .bind(session.as_str())
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn save(&mut self, saves: &[Save<'_>]) -> Result<(), sqlx::Error> {
        // In whole seconds, downwards: the columns would round up, into the future.
        sqlx::query(
            "WITH t AS (SELECT date_trunc('second', now() AT TIME ZONE 'UTC') AS now),
            v AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json) AS v (
                id bigint, status text, phone text, begins int, ends int, connects int,
                seq bigint, version bigint, lid text, assurance text, events json)),
            account AS (UPDATE whatsapp_accounts a SET status = v.status,
                phone_number = CASE WHEN v.begins = 1 THEN NULL ELSE COALESCE(v.phone, a.phone_number) END,
                deleted_at = CASE WHEN v.ends = 1 THEN t.now WHEN v.begins = 1 THEN NULL ELSE a.deleted_at END,
                updated_at = t.now,
                last_connected_at = CASE WHEN v.connects = 1 THEN t.now ELSE a.last_connected_at END
                FROM v, t WHERE a.id = v.id),
            session AS (INSERT INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance)
                SELECT id, seq, version, lid, assurance FROM v
                ON CONFLICT (account_id) DO UPDATE SET last_seq = excluded.last_seq,
                    version = excluded.version, lid = excluded.lid, assurance = excluded.assurance)
            INSERT INTO whatsapp_phone_applied (account_id, event_id, applied_at)
            SELECT v.id, event, t.now FROM v, t, json_array_elements_text(v.events) AS event",
        )
        .bind(as_json(&saves)?)
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn set_metadata(&mut self, account: i64, metadata: &str) -> Result<(), sqlx::Error> {
        // The column may be `json` or `jsonb`.
        sqlx::query("UPDATE whatsapp_accounts SET metadata = $2::json WHERE id = $1")
            .bind(account)
            .bind(metadata)
            .execute(&mut *self.0)
            .await
            .map(drop)
    }

    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error> {
        let locked = sqlx::query_as(
            "SELECT id::bigint FROM whatsapp_accounts
            WHERE status IN ('qr_scanning', 'authenticated') AND deleted_at IS NULL
                AND COALESCE(updated_at, created_at)
                    <= (now() AT TIME ZONE 'UTC') - $1 * interval '1 second'
                AND id > $3
            ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        );
        let locked = locked.bind(seconds).bind(SWEEP).bind(after);
        let locked: Vec<(i64,)> = locked.fetch_all(&mut *self.0).await?;
        let accounts: Vec<_> = locked.into_iter().map(|(account,)| account).collect();
        sqlx::query_as(columns!("a.id = ANY($3)"))
            .bind(None::<Vec<&str>>)
            .bind(None::<Vec<&str>>)
            .bind(accounts)
            .fetch_all(&mut *self.0)
            .await
    }

    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM whatsapp_phone_applied
                WHERE applied_at < (now() AT TIME ZONE 'UTC') - $1 * interval '1 second'
                LIMIT $2 FOR UPDATE SKIP LOCKED))",
        )
        .bind(seconds)
        .bind(PRUNE)
        .execute(&mut *self.0)
        .await
        .map(|done| done.rows_affected())
    }
}
