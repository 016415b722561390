//! The steps of a transaction, in SQLite's words.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::event::SessionId;
use crate::store::sql::rows::{Columns, Save, as_json};
use crate::store::sql::steps::{Found, PRUNE, SWEEP, Steps, Wanted, events, numbers};

/// What is read of a row. The first parameter are the events in hand: `[[session, id], ..]`.
macro_rules! columns {
    ($condition:literal) => {
        concat!(
            "SELECT a.id, CAST(a.workspace_id AS INTEGER), CAST(a.session_id AS TEXT),
                CAST(a.phone_number AS TEXT), CAST(a.status AS TEXT), CAST(a.metadata AS TEXT),
                a.deleted_at IS NOT NULL, s.last_seq, s.version, s.lid, s.assurance,
                (SELECT json_group_array(p.event_id)
                    FROM json_each(?1) e CROSS JOIN whatsapp_phone_applied p
                    ON p.account_id = a.id AND p.event_id = e.value ->> 1
                    WHERE e.value ->> 0 = a.session_id)
            FROM whatsapp_accounts a LEFT JOIN whatsapp_phone_sessions s ON s.account_id = a.id
            WHERE ",
            $condition
        )
    };
}

/// The rows of these sessions, deleted or not, without locks.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    sessions: &[SessionId],
) -> Result<Vec<Columns>, sqlx::Error> {
    let sessions: Vec<_> = sessions.iter().map(SessionId::as_str).collect();
    let found = columns!("a.session_id IN (SELECT value FROM json_each(?2))");
    let found = sqlx::query_as(found).bind("[]").bind(as_json(&sessions)?);
    found.fetch_all(connection).await
}

pub(super) struct Transaction<'a>(pub(super) &'a mut SqliteConnection);

/// The transaction has the file to itself, so all is locked.
#[async_trait]
impl Steps for Transaction<'_> {
    async fn load(&mut self, wanted: &[Wanted<'_>]) -> Result<Found, sqlx::Error> {
        let sessions: Vec<_> = wanted.iter().map(|one| one.session.as_str()).collect();
        let rows: Vec<Columns> = sqlx::query_as(columns!(
            "a.id IN (
                SELECT id FROM whatsapp_accounts WHERE session_id IN (SELECT value FROM json_each(?2))
                UNION ALL
                SELECT h.id FROM json_each(?3) n CROSS JOIN whatsapp_accounts h
                ON h.workspace_id = n.value ->> 0 AND h.phone_number = n.value ->> 1
                    AND h.deleted_at IS NULL)"
        ))
        .bind(as_json(&events(wanted).collect::<Vec<_>>())?)
        .bind(as_json(&sessions)?)
        .bind(as_json(&numbers(wanted).collect::<Vec<_>>())?)
        .fetch_all(&mut *self.0)
        .await?;
        Ok(Found {
            locked: rows.iter().map(|row| row.0).collect(),
            busy: Vec::new(),
            rows,
        })
    }

    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            VALUES (?1, ?2, 'qr_scanning', datetime('now'), datetime('now'))",
        )
        .bind(workspace)
        .bind(session.as_str())
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn save(&mut self, saves: &[Save<'_>]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE whatsapp_accounts SET status = v.value ->> 'status',
                phone_number = CASE WHEN v.value ->> 'begins' THEN NULL
                    ELSE COALESCE(v.value ->> 'phone', phone_number) END,
                deleted_at = CASE WHEN v.value ->> 'ends' THEN datetime('now')
                    WHEN v.value ->> 'begins' THEN NULL ELSE deleted_at END,
                updated_at = datetime('now'),
                last_connected_at = CASE WHEN v.value ->> 'connects' THEN datetime('now')
                    ELSE last_connected_at END
            FROM json_each(?1) v WHERE whatsapp_accounts.id = v.value ->> 'id';
            INSERT OR REPLACE INTO whatsapp_phone_sessions (account_id, last_seq, version, lid, assurance)
            SELECT value ->> 'id', value ->> 'seq', value ->> 'version', value ->> 'lid', value ->> 'assurance'
            FROM json_each(?1);
            INSERT INTO whatsapp_phone_applied (account_id, event_id, applied_at)
            SELECT v.value ->> 'id', e.value, datetime('now')
            FROM json_each(?1) v, json_each(v.value, '$.events') e",
        )
        .bind(as_json(&saves)?)
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn set_metadata(&mut self, account: i64, metadata: &str) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE whatsapp_accounts SET metadata = ?2 WHERE id = ?1")
            .bind(account)
            .bind(metadata)
            .execute(&mut *self.0)
            .await
            .map(drop)
    }

    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error> {
        sqlx::query_as(columns!(
            "a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL
            AND datetime(COALESCE(a.updated_at, a.created_at)) <= datetime('now', '-' || ?2 || ' seconds')
            AND a.id > ?4 ORDER BY a.id LIMIT ?3"
        ))
        .bind("[]")
        .bind(seconds)
        .bind(SWEEP)
        .bind(after)
        .fetch_all(&mut *self.0)
        .await
    }

    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error> {
        sqlx::query(
            "DELETE FROM whatsapp_phone_applied WHERE (event_id, account_id) IN (
                SELECT event_id, account_id FROM whatsapp_phone_applied
                WHERE applied_at < datetime('now', '-' || ?1 || ' seconds') LIMIT ?2)",
        )
        .bind(seconds)
        .bind(PRUNE)
        .execute(&mut *self.0)
        .await
        .map(|done| done.rows_affected())
    }
}
