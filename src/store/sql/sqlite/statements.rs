//! The SQL of SQLite.

use std::collections::HashMap;

use crate::store::options::{APPLIED_IDS_KEPT, DuplicatePolicy, RowValues, StoreOptions};
use crate::store::sql::driver::{
    BESIDE, BESIDE_INDEXES, Dialect, FIRST_CHARACTERS, PRUNED, SCANNED, Statement, Statements, fill,
};
use crate::store::sql::schema::{Layout, SESSIONS, Tables};

const ROW: &str = "json_object('id', CAST(a.id AS TEXT), 'workspace', CAST(a.workspace_id AS TEXT),
    'session', CAST(a.session_id AS TEXT), 'number', CAST(a.phone_number AS TEXT),
    'status', CAST(a.status AS TEXT), 'is_deleted', a.deleted_at IS NOT NULL, 'updated', {updated},
    'now', {epoch}, 'life', s.life, 'last_seq', s.last_seq, 'version', s.version, 'lid', s.lid,
    'assurance', s.assurance, 'kept_number', s.kept_number, 'spelling', s.spelling,
    'is_given_up', s.is_given_up, 'error', s.error, 'error_message', s.error_message,
    'shows_error', s.shows_error, 'seen_updated_at', s.seen_updated_at, 'seen_at', s.seen_at)";

const IS_BESIDE: &str =
    "s.account_id = a.id AND s.session_id = a.session_id AND s.created_at IS {created}";

const FIND: &str = "SELECT {row} FROM json_each(?1) v CROSS JOIN {accounts} a
    ON a.session_id = v.value ->> 'session' LEFT JOIN {sessions} s ON {is_beside}";

const LOAD: &str = "WITH own AS MATERIALIZED (SELECT a.id, a.workspace_id, a.phone_number
        FROM json_each(?1) v CROSS JOIN {accounts} a ON a.session_id = v.value ->> 'session'),
    ids AS MATERIALIZED (SELECT id FROM own
        UNION SELECT a.id FROM own o CROSS JOIN {accounts} a ON a.workspace_id = o.workspace_id
            AND a.phone_number = o.phone_number WHERE substr(o.phone_number, 1, 1) IN {first}
        UNION SELECT a.id FROM json_each(?2) n CROSS JOIN {accounts} a
            ON a.workspace_id = n.value ->> 'workspace' AND a.phone_number = n.value ->> 'text'
        UNION SELECT s.account_id FROM json_each(?2) n CROSS JOIN {sessions} s
            ON s.spelled_number = n.value ->> 'text')
    SELECT {row} FROM ids CROSS JOIN {accounts} a ON a.id = ids.id LEFT JOIN {sessions} s ON {is_beside}
    UNION ALL SELECT json_object('life', p.life, 'event', p.event_id)
    FROM json_each(?1) v CROSS JOIN {accounts} a ON a.session_id = v.value ->> 'session'
    CROSS JOIN {sessions} s ON {is_beside} CROSS JOIN {applied} p
        ON p.life = s.life AND p.event_id = v.value ->> 'event'";

const UPDATE: &str = "UPDATE {accounts} AS a SET status = COALESCE(v.value ->> 'status', status),
        phone_number = CASE WHEN v.value ->> 'clears' THEN NULL
            ELSE COALESCE(v.value ->> 'phone', phone_number) END,
        deleted_at = CASE WHEN v.value ->> 'ends' THEN datetime('now')
            WHEN v.value ->> 'begins' THEN NULL ELSE deleted_at END,
        updated_at = CASE WHEN v.value ->> 'touched' THEN datetime('now') ELSE updated_at END,
        last_connected_at = CASE WHEN v.value ->> 'connects' THEN datetime('now')
            ELSE last_connected_at END
    FROM json_each(?1) v WHERE a.id = v.value ->> 'id'
        AND (v.value ->> 'touched' OR v.value ->> 'clears')";

const REPLACE: &str = "INSERT OR REPLACE INTO {sessions} ({columns})
    SELECT a.id, a.session_id, {created}, v.value ->> 'life', v.value ->> 'last_seq',
        v.value ->> 'version', v.value ->> 'lid', v.value ->> 'assurance', v.value ->> 'kept_number',
        v.value ->> 'spelled_number', v.value ->> 'spelling', v.value ->> 'is_given_up',
        v.value ->> 'error', v.value ->> 'error_message', v.value ->> 'shows_error', {updated},
        COALESCE(v.value ->> 'seen_at', {epoch})
    FROM json_each(?1) v CROSS JOIN {accounts} a ON a.id = v.value ->> 'id'";

const APPLIED: &str = "INSERT INTO {applied} (life, event_id, applied_at)
    SELECT v.value ->> 'life', e.value, {epoch} FROM json_each(?1) v, json_each(v.value, '$.events') e";

/// Without `+` and the usual servers, numbers in the usual spellings are digits.
const SCAN: &str = "SELECT {row} FROM {accounts} a LEFT JOIN {sessions} s ON {is_beside}
    WHERE (a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL
        OR (replace(replace(ltrim(a.phone_number, '+'), '@c.us', ''), '@s.whatsapp.net', '') GLOB '*[^0-9]*'
            OR a.phone_number GLOB '+*@*') AND s.spelling IS NOT a.phone_number)
        AND a.id > ?1 ORDER BY a.id LIMIT {scanned}";

const PRUNE: &str =
    "DELETE FROM {applied} WHERE (event_id, life) IN (SELECT event_id, life FROM {applied}
        WHERE applied_at < {epoch} - {kept} LIMIT {pruned});
    SELECT CAST(changes() AS TEXT)";

const INSPECT: &str = "SELECT json_object('table', n.value, 'column', c.name,
        'kind', CASE WHEN c.name LIKE '%\\_at' ESCAPE '\\' AND c.type NOT LIKE '%int%' THEN 'timestamp'
            ELSE lower(c.type) END,
        'declared', c.type, 'nullable', NOT c.\"notnull\",
        'has_default', c.dflt_value IS NOT NULL OR (c.pk AND lower(c.type) = 'integer'))
    FROM json_each(?1) n JOIN pragma_table_info(n.value) c
    UNION ALL SELECT json_object('table', n.value, 'unique_on',
        json((SELECT json_group_array(i.name) FROM pragma_index_info(l.name) i)))
    FROM json_each(?1) n JOIN pragma_index_list(n.value) l WHERE l.\"unique\" AND NOT l.partial
    UNION ALL SELECT json_object('table', n.value, 'unique_on', json_array(c.name))
    FROM json_each(?1) n JOIN pragma_table_info(n.value) c WHERE c.pk = 1 AND lower(c.type) = 'integer'
        AND NOT EXISTS (SELECT 1 FROM pragma_table_info(n.value) WHERE pk = 2)
    UNION ALL SELECT json_object('table', m.name, 'check', m.sql) FROM sqlite_master m
    WHERE m.type = 'table' AND m.name IN (SELECT value FROM json_each(?1))";

const ACCOUNTS: &str = "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS {accounts} (
    id integer PRIMARY KEY AUTOINCREMENT,
    workspace_id integer NOT NULL,
    session_id varchar NOT NULL UNIQUE,
    phone_number varchar,
    status varchar NOT NULL DEFAULT 'qr_scanning',
    metadata text,
    last_connected_at datetime,
    created_at datetime,
    updated_at datetime,
    deleted_at datetime,
    CHECK (status <> 'connected' OR phone_number IS NOT NULL OR deleted_at IS NOT NULL)
);
CREATE INDEX IF NOT EXISTS {table}_number ON {accounts} (workspace_id, phone_number);";

const ONE_NUMBER: &str = "
CREATE UNIQUE INDEX IF NOT EXISTS {table}_one_number ON {accounts} (workspace_id, phone_number)
    WHERE deleted_at IS NULL;";

fn names(layout: &Layout) -> HashMap<&'static str, String> {
    let mut names = layout.tables.names('"');
    names.extend([
        ("row", ROW.to_owned()),
        ("is_beside", IS_BESIDE.to_owned()),
        ("created", "CAST(a.created_at AS TEXT)".to_owned()),
        ("updated", "CAST(a.updated_at AS TEXT)".to_owned()),
        ("epoch", "CAST(strftime('%s', 'now') AS INTEGER)".to_owned()),
        ("columns", SESSIONS.join(", ")),
        ("first", FIRST_CHARACTERS.to_owned()),
        ("kept", APPLIED_IDS_KEPT.as_secs().to_string()),
        ("pruned", PRUNED.to_string()),
        ("scanned", SCANNED.to_string()),
        ("id_declared", layout.column("id").declared.clone()),
        // SQLite logs whole pages, and our ids grow with time: events that are noted together stand together.
        ("applied_key", "event_id, life".to_owned()),
        ("index_spelled", String::new()),
        ("index_applied", String::new()),
        ("beside_options", String::new()),
        ("applied_options", "WITHOUT ROWID".to_owned()),
    ]);
    names
}

impl Dialect for super::Sqlite {
    fn inspect() -> Statement {
        Statement::new(INSPECT.to_owned(), &[0])
    }

    fn create_accounts(tables: &Tables, options: &StoreOptions) -> String {
        let unique = match options.duplicates {
            DuplicatePolicy::Companions => "",
            _ => ONE_NUMBER,
        };
        fill(&format!("{ACCOUNTS} {unique} COMMIT"), &tables.names('"'))
    }

    fn create_beside(layout: &Layout) -> String {
        fill(
            &format!("BEGIN IMMEDIATE; {BESIDE} {BESIDE_INDEXES} COMMIT"),
            &names(layout),
        )
    }

    fn statements(layout: &Layout, _: &StoreOptions) -> Statements {
        let names = names(layout);
        let statement = |sql: &str| Statement::new(fill(sql, &names), &[]);
        Statements {
            begin: statement("BEGIN IMMEDIATE"),
            commit: statement("COMMIT"),
            rollback: statement("ROLLBACK"),
            find: statement(FIND),
            load: statement(LOAD),
            lock: None,
            save: vec![statement(UPDATE), statement(REPLACE), statement(APPLIED)],
            metadata: statement(
                "SELECT json_quote(CAST(metadata AS TEXT)) FROM {accounts} WHERE id = ?1",
            ),
            set_metadata: statement("UPDATE {accounts} SET metadata = ?2 WHERE id = ?1"),
            scan: statement(SCAN),
            prune: statement(PRUNE),
        }
    }

    fn insert(layout: &Layout, values: &RowValues) -> String {
        let (mut columns, mut parameters) = (String::new(), String::new());
        for (n, (column, _)) in (3..).zip(&values.0) {
            columns += &format!(", \"{column}\"");
            parameters += &format!(", ?{n}");
        }
        let insert = format!(
            "INSERT INTO {{accounts}} (workspace_id, session_id, status, created_at, updated_at{columns})
            VALUES (?1, ?2, 'qr_scanning', datetime('now'), datetime('now'){parameters})"
        );
        fill(&insert, &names(layout))
    }
}
