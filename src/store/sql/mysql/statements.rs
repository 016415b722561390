//! The SQL of MySQL and MariaDB.

use std::collections::HashMap;

use crate::store::options::{APPLIED_IDS_KEPT, RowValues, StoreOptions};
use crate::store::sql::driver::{
    BESIDE, Dialect, FIRST_CHARACTERS, LOCKS, PRUNED, SCANNED, Statement, Statements, fill,
};
use crate::store::sql::schema::{Layout, SESSIONS, Tables};
use crate::store::sql::server::idle_timeout;

const ROW: &str =
    "CAST(JSON_OBJECT('id', CAST(a.id AS CHAR), 'workspace', CAST(a.workspace_id AS CHAR),
    'session', CONVERT(a.session_id USING utf8mb4), 'number', CONVERT(a.phone_number USING utf8mb4),
    'status', CONVERT(a.status USING utf8mb4), 'is_deleted', IF(a.deleted_at IS NULL, 0, 1),
    'updated', {updated}, 'now', UNIX_TIMESTAMP(), 'life', s.life, 'last_seq', s.last_seq,
    'version', s.version, 'lid', s.lid, 'assurance', s.assurance, 'kept_number', s.kept_number,
    'spelling', s.spelling, 'is_given_up', s.is_given_up, 'error', s.error,
    'error_message', s.error_message, 'shows_error', s.shows_error,
    'seen_updated_at', s.seen_updated_at, 'seen_at', s.seen_at) AS CHAR)";

const IS_BESIDE: &str = "s.account_id = a.id
    AND s.session_id = CONVERT(a.session_id USING utf8mb4) COLLATE utf8mb4_bin
    AND s.created_at <=> CONVERT({created} USING utf8mb4) COLLATE utf8mb4_bin";

/// A statement sees what was committed before it, and locks no gaps between rows. The server counts its
/// waits in whole seconds.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET @whatsapp_phone_idle = @@SESSION.{idle};
    SET SESSION innodb_lock_wait_timeout = {lock_wait}, lock_wait_timeout = {lock_wait},
        {idle} = {idle_timeout}, sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES');
    BEGIN";
const END: &str = "; SET SESSION {idle} = @whatsapp_phone_idle";

const FIND: &str =
    "SELECT {row} FROM {wanted} v STRAIGHT_JOIN {accounts} a ON a.session_id = {v_session}
    LEFT JOIN {sessions} s ON {is_beside}";

const LOAD: &str = "SELECT {row} FROM (
        SELECT a.id FROM {wanted} v STRAIGHT_JOIN {accounts} a ON a.session_id = {v_session}
        UNION SELECT a.id FROM {wanted} v STRAIGHT_JOIN {accounts} o ON o.session_id = {v_session}
            STRAIGHT_JOIN {accounts} a ON a.workspace_id = o.workspace_id
                AND a.phone_number = o.phone_number
            WHERE LEFT(o.phone_number, 1) IN {first}
        UNION SELECT a.id FROM {texts} v STRAIGHT_JOIN {accounts} a
            ON a.workspace_id = {v_workspace} AND a.phone_number = {v_text}
        UNION SELECT s.account_id FROM {texts} v STRAIGHT_JOIN {sessions} s
            ON s.spelled_number = CONVERT(v.text USING utf8mb4) COLLATE utf8mb4_bin
    ) ids STRAIGHT_JOIN {accounts} a ON a.id = ids.id LEFT JOIN {sessions} s ON {is_beside}
    UNION ALL SELECT CAST(JSON_OBJECT('life', p.life, 'event', p.event_id) AS CHAR)
    FROM {wanted} v STRAIGHT_JOIN {accounts} a ON a.session_id = {v_session}
    STRAIGHT_JOIN {sessions} s ON {is_beside} STRAIGHT_JOIN {applied} p
        ON p.life = s.life AND p.event_id = CONVERT(v.event USING utf8mb4) COLLATE utf8mb4_bin";

/// By primary key alone: only the rows themselves are locked.
const LOCK: &str = "(SELECT JSON_QUOTE(CONCAT('lock ', l.id))
        FROM JSON_TABLE(?, '$[*]' COLUMNS (id int PATH '$')) v
        STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.id = v.id FOR UPDATE SKIP LOCKED)
    UNION ALL
    (SELECT JSON_QUOTE(CAST(a.id AS CHAR)) FROM JSON_TABLE(?, '$[*]' COLUMNS (id {id_column} PATH '$')) v
        STRAIGHT_JOIN {accounts} a FORCE INDEX (PRIMARY) ON a.id = v.id FOR UPDATE SKIP LOCKED)";

const UPDATE: &str = "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id {id_column} PATH '$.id',
        touched int PATH '$.touched', status varchar(32) PATH '$.status', phone varchar(32) PATH '$.phone',
        clears int PATH '$.clears', begins int PATH '$.begins', ends int PATH '$.ends',
        connects int PATH '$.connects')) v
    STRAIGHT_JOIN {accounts} a FORCE INDEX (PRIMARY) ON a.id = v.id
    SET a.status = COALESCE(v.status, a.status),
        a.phone_number = CASE WHEN v.clears = 1 THEN NULL ELSE COALESCE(v.phone, a.phone_number) END,
        a.deleted_at = CASE WHEN v.ends = 1 THEN CURRENT_TIMESTAMP
            WHEN v.begins = 1 THEN NULL ELSE a.deleted_at END,
        a.updated_at = CASE WHEN v.touched = 1 THEN CURRENT_TIMESTAMP ELSE a.updated_at END,
        a.last_connected_at = CASE WHEN v.connects = 1 THEN CURRENT_TIMESTAMP
            ELSE a.last_connected_at END
    WHERE v.touched + v.clears > 0";

const REPLACE: &str = "REPLACE INTO {sessions} ({columns})
    SELECT v.id, CONVERT(a.session_id USING utf8mb4), {created}, v.life, v.last_seq, v.version, v.lid,
        v.assurance, v.kept_number, v.spelled_number, v.spelling, v.is_given_up, v.error, v.error_message,
        v.shows_error, {updated}, COALESCE(v.seen_at, UNIX_TIMESTAMP())
    FROM JSON_TABLE(?, '$[*]' COLUMNS (id {id_column} PATH '$.id', life bigint PATH '$.life',
        last_seq bigint PATH '$.last_seq', version bigint PATH '$.version', lid varchar(128) PATH '$.lid',
        assurance varchar(16) PATH '$.assurance', kept_number varchar(32) PATH '$.kept_number',
        spelled_number varchar(32) PATH '$.spelled_number', spelling varchar(255) PATH '$.spelling',
        is_given_up int PATH '$.is_given_up', error varchar(128) PATH '$.error',
        error_message varchar(2048) PATH '$.error_message', shows_error int PATH '$.shows_error',
        seen_at bigint PATH '$.seen_at')) v
    STRAIGHT_JOIN {accounts} a FORCE INDEX (PRIMARY) ON a.id = v.id";

const APPLIED: &str = "INSERT INTO {applied} (life, event_id, applied_at)
    SELECT v.life, v.event, UNIX_TIMESTAMP() FROM JSON_TABLE(?, '$[*]' COLUMNS (
        life bigint PATH '$.life', NESTED PATH '$.events[*]' COLUMNS (event varchar(128) PATH '$'))) v
    WHERE v.event IS NOT NULL";

/// `$` also matches before a line break at the end.
const SCAN: &str = "SELECT {row} FROM {accounts} a LEFT JOIN {sessions} s ON {is_beside}
    WHERE (a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL
        OR a.phone_number NOT REGEXP '^([+]?[0-9]+|[0-9]+@c[.]us|[0-9]+@s[.]whatsapp[.]net)(?![[:space:]])$'
            AND NOT s.spelling <=> CONVERT(a.phone_number USING utf8mb4) COLLATE utf8mb4_bin)
        AND a.id > CAST(? AS {id_cast}) ORDER BY a.id LIMIT {scanned}";

const PRUNE: &str = "DELETE FROM {applied} WHERE applied_at < UNIX_TIMESTAMP() - {kept}
    ORDER BY applied_at LIMIT {pruned}; SELECT CAST(ROW_COUNT() AS CHAR)";

/// Rows are locked by the primary key, so another unique index on `id` does not count.
const INSPECT: &str = "SELECT CAST(JSON_OBJECT('table', c.table_name, 'column', c.column_name,
        'kind', c.data_type, 'declared', c.column_type, 'length', c.character_maximum_length,
        'nullable', IF(c.is_nullable = 'YES', 1, 0),
        'has_default', IF(c.column_default IS NOT NULL OR c.extra <> '', 1, 0),
        'changes', IF(c.extra LIKE '%on update%', 1, 0),
        'charset', c.character_set_name, 'collation', c.collation_name) AS CHAR)
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND JSON_CONTAINS(?, JSON_QUOTE(c.table_name))
    UNION ALL SELECT CAST(JSON_OBJECT('table', i.table_name, 'unique_on', JSON_ARRAYAGG(i.column_name)) AS CHAR)
    FROM information_schema.statistics i
    WHERE i.table_schema = DATABASE() AND JSON_CONTAINS(?, JSON_QUOTE(i.table_name)) AND i.non_unique = 0
    GROUP BY i.table_name, i.index_name HAVING MAX(i.sub_part) IS NULL
        AND (i.index_name = 'PRIMARY' OR MAX(i.column_name) <> 'id' OR COUNT(*) > 1)
    UNION ALL SELECT CAST(JSON_OBJECT('table', t.table_name, 'engine', t.engine
        /*M! , 'check', (SELECT GROUP_CONCAT(k.check_clause) FROM information_schema.check_constraints k
            WHERE k.constraint_schema = t.table_schema AND k.table_name = t.table_name) */) AS CHAR)
    FROM information_schema.tables t
    WHERE t.table_schema = DATABASE() AND JSON_CONTAINS(?, JSON_QUOTE(t.table_name))
    UNION ALL SELECT CAST(JSON_OBJECT('version', VERSION()) AS CHAR)";

const ACCOUNTS: &str = "CREATE TABLE IF NOT EXISTS {accounts} (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    workspace_id bigint unsigned NOT NULL,
    session_id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    phone_number varchar(32),
    status varchar(32) NOT NULL DEFAULT 'qr_scanning',
    metadata json,
    last_connected_at timestamp NULL,
    created_at timestamp NULL,
    updated_at timestamp NULL,
    deleted_at timestamp NULL,
    INDEX {table}_number (workspace_id, phone_number),
    CHECK (status <> 'connected' OR phone_number IS NOT NULL OR deleted_at IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4";

const TABLE_OF_LOCKS: &str =
    "CREATE TABLE IF NOT EXISTS {locks} (id int NOT NULL PRIMARY KEY) ENGINE = InnoDB;
    INSERT IGNORE INTO {locks} VALUES ";

fn names(layout: &Layout) -> HashMap<&'static str, String> {
    let mut names = layout.tables.names('`');
    // As the column itself, so that an index serves.
    let like = |column: &str, value: &str| match layout.column(column) {
        column if column.charset.is_some() => format!(
            "CONVERT({value} USING {}) COLLATE {}",
            column.charset.as_deref().unwrap_or_default(),
            column.collation.as_deref().unwrap_or_default()
        ),
        _ => value.to_owned(),
    };
    let id = layout.column("id");
    let id_column = match (&id.charset, &id.collation) {
        (Some(charset), Some(collation)) => {
            format!(
                "{} CHARACTER SET {charset} COLLATE {collation}",
                id.declared
            )
        }
        // `JSON_TABLE` has no columns of type `uuid`.
        _ if id.kind == "uuid" => "char(36)".to_owned(),
        _ => id.declared.clone(),
    };
    let id_declared = match id.kind.as_str() {
        "uuid" => id.declared.clone(),
        _ => id_column.clone(),
    };
    // The same in every time zone.
    let stamp = |column: &str| match layout.column(column).kind.as_str() {
        "timestamp" => format!("CAST(UNIX_TIMESTAMP(a.{column}) AS CHAR)"),
        _ => format!("CAST(a.{column} AS CHAR)"),
    };
    let workspace = layout.column("workspace_id").is_integer();
    let workspace = if workspace { "bigint" } else { "varchar(255)" };
    names.extend([
        ("row", ROW.to_owned()),
        ("is_beside", IS_BESIDE.to_owned()),
        ("created", stamp("created_at")),
        ("updated", stamp("updated_at")),
        (
            "wanted",
            "JSON_TABLE(?, '$[*]' COLUMNS (session varchar(255) PATH '$.session', event varchar(128) PATH '$.event'))"
                .to_owned(),
        ),
        (
            "texts",
            format!(
                "JSON_TABLE(?, '$[*]' COLUMNS (workspace {workspace} PATH '$.workspace', text varchar(64) PATH '$.text'))"
            ),
        ),
        ("v_session", like("session_id", "v.session")),
        ("v_workspace", like("workspace_id", "v.workspace")),
        ("v_text", like("phone_number", "v.text")),
        ("id_column", id_column),
        ("id_declared", id_declared),
        ("id_cast", if id.is_integer() { "SIGNED" } else { "CHAR" }.to_owned()),
        ("columns", SESSIONS.join(", ")),
        ("first", FIRST_CHARACTERS.to_owned()),
        ("kept", APPLIED_IDS_KEPT.as_secs().to_string()),
        ("pruned", PRUNED.to_string()),
        ("scanned", SCANNED.to_string()),
        ("applied_key", "life, event_id".to_owned()),
        ("index_spelled", ", INDEX {prefix}spelled (spelled_number)".to_owned()),
        ("index_applied", ", INDEX {prefix}applied_at (applied_at)".to_owned()),
        (
            "beside_options",
            "ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin".to_owned(),
        ),
        ("applied_options", String::new()),
    ]);
    names
}

impl Dialect for super::MySql {
    fn inspect() -> Statement {
        Statement::new(INSPECT.to_owned(), &[0, 0, 0])
    }

    fn create_accounts(tables: &Tables, _: &StoreOptions) -> String {
        fill(ACCOUNTS, &tables.names('`'))
    }

    fn create_beside(layout: &Layout) -> String {
        let locks: Vec<_> = (0..LOCKS).map(|lock| format!("({lock})")).collect();
        let sql = format!("{BESIDE} {TABLE_OF_LOCKS} {}", locks.join(","));
        fill(&sql, &names(layout))
    }

    fn statements(layout: &Layout, options: &StoreOptions) -> Statements {
        let mut names = names(layout);
        let lock_wait = options.deadline.mul_f64(0.75).as_secs().clamp(1, 1_000_000);
        let is_mariadb = layout.version.contains("MariaDB");
        let idle = if is_mariadb {
            "idle_transaction_timeout"
        } else {
            "wait_timeout"
        };
        names.extend([
            ("lock_wait", lock_wait.to_string()),
            ("idle", idle.to_owned()),
            (
                "idle_timeout",
                idle_timeout(options.deadline).as_secs().max(1).to_string(),
            ),
        ]);
        let statement =
            |sql: &str, order: &'static [usize]| Statement::new(fill(sql, &names), order);
        Statements {
            begin: statement(BEGIN, &[]),
            commit: statement(&format!("COMMIT{END}"), &[]),
            rollback: statement(&format!("ROLLBACK{END}"), &[]),
            find: statement(FIND, &[]),
            load: statement(LOAD, &[0, 0, 1, 1, 0]),
            lock: Some(statement(LOCK, &[])),
            save: vec![
                statement(UPDATE, &[]),
                statement(REPLACE, &[]),
                statement(APPLIED, &[]),
            ],
            metadata: statement(
                "SELECT IF(metadata IS NULL, 'null', JSON_QUOTE(CONCAT(CONVERT(metadata USING utf8mb4), ''))) FROM {accounts} WHERE id = ?",
                &[],
            ),
            set_metadata: statement("UPDATE {accounts} SET metadata = ? WHERE id = ?", &[1, 0]),
            scan: statement(SCAN, &[]),
            prune: statement(PRUNE, &[]),
        }
    }

    fn insert(layout: &Layout, values: &RowValues) -> String {
        let (mut columns, mut parameters) = (String::new(), String::new());
        for (column, _) in &values.0 {
            columns += &format!(", `{column}`");
            parameters += ", ?";
        }
        let insert = format!(
            "INSERT INTO {{accounts}} (workspace_id, session_id, status, created_at, updated_at{columns})
            VALUES (?, ?, 'qr_scanning', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP{parameters})"
        );
        fill(&insert, &names(layout))
    }

    fn count_locks(layout: &Layout) -> Option<String> {
        Some(fill(
            "SELECT CAST(COUNT(*) AS CHAR) FROM {locks}",
            &names(layout),
        ))
    }
}
