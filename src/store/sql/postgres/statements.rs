//! The SQL of PostgreSQL.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::options::{APPLIED_IDS_KEPT, DuplicatePolicy, RowValues, StoreOptions};
use crate::store::sql::driver::{
    BESIDE, BESIDE_INDEXES, Dialect, FIRST_CHARACTERS, PRUNED, SCANNED, Statement, Statements, fill,
};
use crate::store::sql::schema::{Layout, SESSIONS, Tables};
use crate::store::sql::server::idle_timeout;

/// The first half of our advisory locks.
const LOCKS: i32 = 0x7761_7068;
/// How long a statement waits for the uncommitted number of another program, at a unique index.
const LOCK_WAIT: Duration = Duration::from_millis(50);

const ROW: &str = "json_build_object('id', a.id::text, 'workspace', a.workspace_id::text,
    'session', a.session_id::text, 'number', a.phone_number::text, 'status', a.status::text,
    'is_deleted', (a.deleted_at IS NOT NULL)::int, 'updated', {updated}, 'now', {epoch},
    'life', s.life, 'last_seq', s.last_seq, 'version', s.version, 'lid', s.lid,
    'assurance', s.assurance, 'kept_number', s.kept_number, 'spelling', s.spelling,
    'is_given_up', s.is_given_up, 'error', s.error, 'error_message', s.error_message,
    'shows_error', s.shows_error, 'seen_updated_at', s.seen_updated_at, 'seen_at', s.seen_at)::text";

const IS_BESIDE: &str = "s.account_id = a.id AND s.session_id = a.session_id::text
    AND s.created_at IS NOT DISTINCT FROM {created}";

/// Independent of the server's defaults, statements see what was committed before them, times are UTC, and
/// plans use indexes: a plan may be older than the table's size.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {lock_wait};
    SET LOCAL statement_timeout = {deadline}; SET LOCAL idle_in_transaction_session_timeout = {idle};
    SET LOCAL timezone = 'UTC'; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

const FIND: &str = "SELECT {row} FROM json_to_recordset($1::json) AS v (session text)
    JOIN {accounts} a ON a.session_id = v.session LEFT JOIN {sessions} s ON {is_beside}";

const LOAD: &str = "WITH own AS MATERIALIZED (SELECT a.id, a.workspace_id, a.phone_number
        FROM json_to_recordset($1::json) AS v (session text) JOIN {accounts} a ON a.session_id = v.session),
    texts AS MATERIALIZED (SELECT * FROM json_to_recordset($2::json) AS n (workspace {workspace_type}, text text)),
    ids AS (SELECT id FROM own
        UNION SELECT a.id FROM own o JOIN {accounts} a ON a.workspace_id = o.workspace_id
            AND a.phone_number = o.phone_number WHERE left(o.phone_number, 1) IN {first}
        UNION SELECT a.id FROM texts n JOIN {accounts} a ON a.workspace_id = n.workspace
            AND a.phone_number = n.text
        UNION SELECT s.account_id FROM texts n JOIN {sessions} s ON s.spelled_number = n.text)
    SELECT {row} FROM ids JOIN {accounts} a ON a.id = ids.id LEFT JOIN {sessions} s ON {is_beside}
    UNION ALL SELECT json_build_object('life', p.life, 'event', p.event_id)::text
    FROM json_to_recordset($1::json) AS v (session text, event text)
    JOIN {accounts} a ON a.session_id = v.session JOIN {sessions} s ON {is_beside}
    JOIN {applied} p ON p.life = s.life AND p.event_id = v.event";

/// A lock is free, or skipped, as a row is.
const LOCK: &str =
    "SELECT to_json('lock ' || v.lock)::text FROM json_array_elements_text($1::json) AS v (lock)
    WHERE pg_try_advisory_xact_lock({lock_class}, v.lock::int)
    UNION ALL SELECT to_json(id)::text FROM (
        SELECT a.id::text AS id FROM json_array_elements_text($2::json) AS v (id)
        JOIN {accounts} a ON a.id = v.id::{id_type} FOR NO KEY UPDATE OF a SKIP LOCKED) AS locked";

/// In whole seconds, downwards: the columns would round up, into the future.
const SAVE: &str = "WITH t AS (SELECT date_trunc('second', now()) AS now),
    v AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json) AS v (id {id_type}, touched int,
        status {status_type}, phone text, clears int, begins int, ends int, connects int, life bigint,
        last_seq bigint, version bigint, lid text, assurance text, kept_number text, spelled_number text,
        spelling text, is_given_up int, error text, error_message text, shows_error int, seen_at bigint,
        events json)),
    account AS (UPDATE {accounts} a SET status = COALESCE(v.status, a.status),
        phone_number = CASE WHEN v.clears = 1 THEN NULL ELSE COALESCE(v.phone, a.phone_number) END,
        deleted_at = CASE WHEN v.ends = 1 THEN t.now WHEN v.begins = 1 THEN NULL ELSE a.deleted_at END,
        updated_at = CASE WHEN v.touched = 1 THEN t.now ELSE a.updated_at END,
        last_connected_at = CASE WHEN v.connects = 1 THEN t.now ELSE a.last_connected_at END
        FROM v, t WHERE a.id = v.id AND v.touched + v.clears > 0 RETURNING a.id, {updated} AS updated),
    session AS (INSERT INTO {sessions} ({columns})
        SELECT v.id, a.session_id, {created}, v.life, v.last_seq, v.version, v.lid, v.assurance,
            v.kept_number, v.spelled_number, v.spelling, v.is_given_up, v.error, v.error_message,
            v.shows_error, COALESCE(account.updated, {updated}), COALESCE(v.seen_at, {epoch})
        FROM v JOIN {accounts} a ON a.id = v.id LEFT JOIN account ON account.id = v.id
        ON CONFLICT (account_id) DO UPDATE SET ({columns}) = ROW ({excluded}))
    INSERT INTO {applied} (life, event_id, applied_at)
    SELECT v.life, event, {epoch} FROM v, json_array_elements_text(v.events) AS event";

const SCAN: &str = "SELECT {row} FROM {accounts} a LEFT JOIN {sessions} s ON {is_beside}
    WHERE (a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL
        OR a.phone_number !~ '^([+]?[0-9]+|[0-9]+@c[.]us|[0-9]+@s[.]whatsapp[.]net)$'
            AND s.spelling IS DISTINCT FROM a.phone_number)
        AND a.id > $1::{id_type} ORDER BY a.id LIMIT {scanned}";

const PRUNE: &str = "WITH pruned AS (DELETE FROM {applied} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {applied} WHERE applied_at < {epoch} - {kept} LIMIT {pruned} FOR UPDATE SKIP LOCKED))
        RETURNING 1)
    SELECT count(*)::text FROM pruned";

const INSPECT: &str = "WITH accounts AS (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident($1::json ->> 0))),
    t AS (SELECT c.oid, c.relname, c.relnamespace FROM json_array_elements_text($1::json) AS n (name)
        JOIN pg_class c ON c.relname = n.name JOIN accounts ON accounts.relnamespace = c.relnamespace)
    SELECT json_build_object('table', t.relname, 'column', a.attname,
        'kind', CASE WHEN y.typtype = 'e' THEN 'enum' ELSE format_type(a.atttypid, NULL) END,
        'declared', format_type(a.atttypid, a.atttypmod),
        'length', CASE WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod > 4
            THEN a.atttypmod - 4 END,
        'nullable', (NOT a.attnotnull)::int, 'has_default', (a.atthasdef OR a.attidentity <> '')::int,
        'values', (SELECT json_agg(e.enumlabel) FROM pg_enum e WHERE e.enumtypid = a.atttypid))::text
    FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type y ON y.oid = a.atttypid
    UNION ALL SELECT json_build_object('table', t.relname, 'unique_on', (SELECT json_agg(a.attname ORDER BY k.nth)
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, nth)
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
        WHERE k.nth <= i.indnkeyatts))::text
    FROM t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
        AND i.indexprs IS NULL
    UNION ALL SELECT json_build_object('table', t.relname, 'check', pg_get_constraintdef(k.oid))::text
    FROM t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'c'
    UNION ALL SELECT json_build_object('schema', t.relnamespace::regnamespace::text)::text FROM t";

/// Under a lock: two processes that create the same table at once would fail.
const CREATE: &str = "BEGIN; SELECT pg_advisory_xact_lock({lock_class}, 0)::text";

const ACCOUNTS: &str = "
CREATE TABLE IF NOT EXISTS {accounts} (
    id bigserial PRIMARY KEY,
    workspace_id bigint NOT NULL,
    session_id varchar(255) NOT NULL UNIQUE,
    phone_number varchar(32),
    status varchar(32) NOT NULL DEFAULT 'qr_scanning',
    metadata json,
    last_connected_at timestamp(0) without time zone,
    created_at timestamp(0) without time zone,
    updated_at timestamp(0) without time zone,
    deleted_at timestamp(0) without time zone,
    CHECK (status <> 'connected' OR phone_number IS NOT NULL OR deleted_at IS NOT NULL)
);
CREATE INDEX IF NOT EXISTS {table}_number ON {accounts} (workspace_id, phone_number);";

const ONE_NUMBER: &str = "
CREATE UNIQUE INDEX IF NOT EXISTS {table}_one_number ON {accounts} (workspace_id, phone_number)
    WHERE deleted_at IS NULL;";

fn names(layout: &Layout) -> HashMap<&'static str, String> {
    let mut names = layout.tables.names('"');
    // In one schema: the connections of another program may have another search path.
    for table in ["accounts", "sessions", "applied"] {
        names
            .entry(table)
            .and_modify(|name| *name = format!("{}.{name}", layout.schema));
    }
    let type_of = |column: &str| match layout.column(column) {
        column if column.is_integer() => "bigint".to_owned(),
        column if column.is_enumeration() || column.kind == "uuid" => column.declared.clone(),
        _ => "text".to_owned(),
    };
    let micros = |column: &str| format!("(extract(epoch FROM a.{column}) * 1000000)::bigint::text");
    let excluded = SESSIONS.iter().map(|column| format!("excluded.{column}"));
    names.extend([
        ("row", ROW.to_owned()),
        ("is_beside", IS_BESIDE.to_owned()),
        ("created", micros("created_at")),
        ("updated", micros("updated_at")),
        ("epoch", "extract(epoch FROM now())::bigint".to_owned()),
        ("id_type", type_of("id")),
        ("id_declared", layout.column("id").declared.clone()),
        ("workspace_type", type_of("workspace_id")),
        ("status_type", type_of("status")),
        ("metadata_type", layout.column("metadata").declared.clone()),
        ("columns", SESSIONS.join(", ")),
        ("excluded", excluded.collect::<Vec<_>>().join(", ")),
        ("first", FIRST_CHARACTERS.to_owned()),
        ("lock_class", LOCKS.to_string()),
        ("kept", APPLIED_IDS_KEPT.as_secs().to_string()),
        ("pruned", PRUNED.to_string()),
        ("scanned", SCANNED.to_string()),
        ("applied_key", "life, event_id".to_owned()),
        ("index_spelled", String::new()),
        ("index_applied", String::new()),
        ("beside_options", String::new()),
        ("applied_options", String::new()),
    ]);
    names
}

impl Dialect for super::Postgres {
    fn inspect() -> Statement {
        Statement::new(INSPECT.to_owned(), &[0])
    }

    fn create_accounts(tables: &Tables, options: &StoreOptions) -> String {
        let mut names = tables.names('"');
        names.insert("lock_class", LOCKS.to_string());
        let unique = match options.duplicates {
            DuplicatePolicy::Companions => "",
            _ => ONE_NUMBER,
        };
        fill(&format!("{CREATE}; {ACCOUNTS} {unique} COMMIT"), &names)
    }

    fn create_beside(layout: &Layout) -> String {
        fill(
            &format!("{CREATE}; {BESIDE} {BESIDE_INDEXES} COMMIT"),
            &names(layout),
        )
    }

    fn statements(layout: &Layout, options: &StoreOptions) -> Statements {
        let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128).to_string();
        let mut names = names(layout);
        names.extend([
            ("lock_wait", milliseconds(LOCK_WAIT)),
            ("deadline", milliseconds(options.deadline)),
            ("idle", milliseconds(idle_timeout(options.deadline))),
        ]);
        let statement = |sql: &str| Statement::new(fill(sql, &names), &[]);
        Statements {
            begin: statement(BEGIN),
            commit: statement("COMMIT"),
            rollback: statement("ROLLBACK"),
            find: statement(FIND),
            load: statement(LOAD),
            lock: Some(statement(LOCK)),
            save: vec![statement(SAVE)],
            metadata: statement(
                "SELECT coalesce(to_json(metadata::text)::text, 'null') FROM {accounts} WHERE id = $1::{id_type}",
            ),
            set_metadata: statement(
                "UPDATE {accounts} SET metadata = $2::{metadata_type} WHERE id = $1::{id_type}",
            ),
            scan: statement(SCAN),
            prune: statement(PRUNE),
        }
    }

    fn insert(layout: &Layout, values: &RowValues) -> String {
        let (mut columns, mut parameters) = (String::new(), String::new());
        for (n, (column, _)) in (3..).zip(&values.0) {
            columns += &format!(", \"{column}\"");
            // A cast to a type with a length would cut the value.
            let column = layout.column(column);
            let to = if column.is_text() {
                "text"
            } else {
                &column.declared
            };
            parameters += &format!(", ${n}::{to}");
        }
        let insert = format!(
            "INSERT INTO {{accounts}} (workspace_id, session_id, status, created_at, updated_at{columns})
            VALUES ($1::{{workspace_type}}, $2, 'qr_scanning', date_trunc('second', now()),
                date_trunc('second', now()){parameters})"
        );
        fill(&insert, &names(layout))
    }
}
