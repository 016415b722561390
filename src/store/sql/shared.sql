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

-- The rows of the wanted sessions.
-- name: own
{wanted} {join} {accounts} a ON a.session_id = {v_session}

-- name: find
SELECT {row} FROM {own}
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

-- Times are milliseconds since 1970 by the database's clock.
-- name: create_outbox
CREATE TABLE IF NOT EXISTS {outbox} (
    id {new_id},
    queue varchar(64) NOT NULL,
    order_key bigint NOT NULL,
    event_id varchar(128),
    body {new_body} NOT NULL,
    is_dead int NOT NULL,
    attempts int NOT NULL,
    due_at bigint NOT NULL,
    lease bigint,
    error varchar(128),
    created_at bigint NOT NULL,
    UNIQUE (queue, order_key, event_id){index_waiting}
) {beside_options};

-- name: indexes_of_outbox
CREATE INDEX IF NOT EXISTS {prefix}outbox_waiting ON {outbox} (queue, is_dead, order_key, id);

-- name: outbox_lock
SELECT {object}'id', o.id, 'event', o.event_id, 'body', {body}, 'attempts', o.attempts,
        'age', {clock} - o.created_at{end_object}
    FROM {v_ids} {join} {outbox} o ON o.id = {v_id}
    WHERE o.is_dead = 0 AND o.due_at <= {clock} {skip_locked}

-- name: outbox_lease
UPDATE {outbox} SET lease = ?2{bigint}, due_at = {clock} + ?3{bigint} WHERE id IN (SELECT {v_id} FROM {v_ids})

-- The first event that waits is the oldest, and counts from when it was stored.
-- name: outbox_count
SELECT {object}'waiting', c.waiting, 'dead', c.dead,
        'age', (SELECT {clock} - o.created_at FROM {outbox} o WHERE o.id = c.oldest){end_object}
    FROM (SELECT COUNT(CASE WHEN o.is_dead = 0 THEN 1 END) AS waiting,
        COUNT(CASE WHEN o.is_dead = 1 THEN 1 END) AS dead, MIN(CASE WHEN o.is_dead = 0 THEN o.id END) AS oldest
        FROM {outbox} o WHERE o.queue = ?1) c

-- name: outbox_waiting
SELECT {text}COUNT(*) {end_text} FROM (SELECT 1 FROM {outbox} o WHERE o.queue = ?1 AND o.is_dead = 0 LIMIT {limit}) w

-- name: outbox_first
SELECT {text}o.id {end_text} FROM {outbox} o
    WHERE o.queue = ?1 AND o.is_dead = 0 AND o.order_key = ?2{bigint} ORDER BY o.id LIMIT 1

-- name: outbox_before
SELECT {text}o.id {end_text} FROM {outbox} o
    WHERE o.queue = ?1 AND o.is_dead = 0 AND o.id < ?2{bigint} LIMIT 1

-- name: outbox_letters
SELECT {object}'id', o.id, 'event', o.event_id, 'body', {body}, 'attempts', o.attempts,
        'age', {clock} - o.created_at, 'error', o.error, 'dead_for', {clock} - o.due_at{end_object}
    FROM {outbox} o WHERE o.queue = ?1 AND o.is_dead = 1 AND o.id > ?2{bigint} ORDER BY o.id LIMIT {limit}

-- name: outbox_dead
SELECT {text}o.id {end_text} FROM {outbox} o
    WHERE o.queue = ?1 AND o.is_dead = 1 AND o.id > ?2{bigint} AND o.due_at <= {clock} - ?3{bigint}
    ORDER BY o.id LIMIT {pruned}

-- name: outbox_surplus
SELECT {text}o.id {end_text} FROM {outbox} o
    WHERE o.queue = ?1 AND o.is_dead = 1 ORDER BY o.id DESC LIMIT 1 OFFSET {limit}

-- name: outbox_lock_dead
SELECT {text}o.id {end_text} FROM {v_ids} {join} {outbox} o ON o.id = {v_id}
    WHERE o.queue = ?2 AND o.is_dead = 1 {skip_locked}

-- name: outbox_replay
UPDATE {outbox} SET is_dead = 0, attempts = 0, due_at = {clock}, created_at = {clock}, lease = NULL
    WHERE id IN (SELECT {v_id} FROM {v_ids})

-- name: outbox_delete
DELETE FROM {outbox} WHERE id IN (SELECT {v_id} FROM {v_ids})

-- name: body
o.body

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

-- name: metadata
SELECT {object}'id', {id_text}, 'metadata', {metadata_text}{end_object}
    FROM {own}

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
-- name: index_waiting
-- name: skip_locked
-- name: bigint
