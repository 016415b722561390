-- The SQL that all databases share. `{name}` stands for another text, which a database's own file may give
-- otherwise, and `?1` for the first parameter.

-- A row with our own row beside it.
-- name: row
{object}'id', {id_text}, 'workspace', {workspace_text}, 'session', {session_text},
    'number', {number_text}, 'status', {status_text}, 'is_deleted', CASE WHEN a.deleted_at IS NULL THEN 0 ELSE 1 END,
    'updated', {updated}, 'now', {epoch}, 'life', s.life, 'last_seq', s.last_seq, 'version', s.version,
    'lid', s.lid, 'assurance', s.assurance, 'kept_number', s.kept_number, 'spelling', s.spelling,
    'error', s.error, 'error_message', s.error_message,
    'shows_error', s.shows_error, 'seen_updated_at', s.seen_updated_at, 'seen_at', s.seen_at{end_object}

-- name: find
SELECT {row} FROM {wanted} {join} {accounts} a ON a.session_id = {v_session}
    LEFT JOIN {sessions} s ON {is_beside}

-- A page of a list. `{limit}` and `{statuses}` are filled in for each call.
-- name: list
{listed} ORDER BY a.id LIMIT {limit}

-- name: list_workspace
{listed} AND a.workspace_id = {this_workspace} ORDER BY a.id LIMIT {limit}

-- name: listed
SELECT {row} FROM {accounts} a {left_join_sessions}
    WHERE a.deleted_at IS NULL AND {stored_status} IN ({statuses}) AND a.id > {after}

-- name: left_join_sessions
LEFT JOIN {sessions} s ON {is_beside}

-- name: stored_status
a.status

-- name: this_workspace
?2

-- name: scan
SELECT {row} FROM {accounts} a LEFT JOIN {sessions} s ON {is_beside}
    WHERE (a.status IN ('qr_scanning', 'authenticated') AND a.deleted_at IS NULL OR {is_unusual})
        AND a.id > {after} ORDER BY a.id LIMIT {scanned}

-- name: orphans
SELECT {orphan} FROM {sessions} s
    WHERE NOT EXISTS (SELECT 1 FROM {accounts} a WHERE {is_beside}) AND s.account_id > {after}
    ORDER BY s.account_id LIMIT {scanned}

-- The table of accounts.
-- name: create_accounts
CREATE TABLE IF NOT EXISTS {accounts} (
    id {new_id},
    workspace_id {new_workspace} NOT NULL,
    session_id {new_session} NOT NULL UNIQUE,
    phone_number varchar(32),
    status varchar(32) NOT NULL DEFAULT 'qr_scanning',
    metadata {new_metadata},
    last_connected_at {new_time},
    created_at {new_time},
    updated_at {new_time},
    deleted_at {new_time},
    CHECK (status <> 'connected' OR phone_number IS NOT NULL OR deleted_at IS NOT NULL){index_number}
) {new_options};

-- The tables beside the accounts.
-- name: create_beside
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
) {beside_options} {applied_options};

-- Indexes, if they are statements of their own.
-- name: indexes_of_accounts
CREATE INDEX IF NOT EXISTS {table}_number ON {accounts} (workspace_id, phone_number);
CREATE INDEX IF NOT EXISTS {table}_list ON {accounts} (workspace_id, id) WHERE deleted_at IS NULL;

-- name: index_one_number
CREATE UNIQUE INDEX IF NOT EXISTS {table}_one_number
    ON {accounts} (workspace_id, phone_number) WHERE deleted_at IS NULL;

-- name: indexes_beside
CREATE INDEX IF NOT EXISTS {prefix}spelled ON {sessions} (spelled_number) WHERE spelled_number IS NOT NULL;
CREATE INDEX IF NOT EXISTS {prefix}applied_at ON {applied} (applied_at);

-- The first characters of texts that may be numbers.
-- name: first
('+', '1', '2', '3', '4', '5', '6', '7', '8', '9')

-- The metadata of rows that get an error.
-- name: metadata
SELECT {object}'id', {id_text}, 'metadata', {metadata_text}{end_object}
    FROM {wanted} {join} {accounts} a ON a.session_id = {v_session} WHERE {v_fails} = 1

-- name: join
JOIN

-- name: after
?1

-- name: applied_key
life, event_id

-- name: commit
COMMIT

-- name: rollback
ROLLBACK

-- name: end_creating
COMMIT

-- Nothing, unless a database has something there.
-- name: new_options
-- name: index_number
-- name: index_spelled
-- name: index_applied
-- name: beside_options
-- name: applied_options
