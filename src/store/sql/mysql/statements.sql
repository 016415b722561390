-- The SQL of MySQL and MariaDB: texts for the templates of `shared.sql`. `{name}` stands for another text, `?1` for
-- the first parameter.

-- Rows are locked by the primary key, so another unique index on `id` does not count.
-- name: inspect
SELECT CAST(JSON_OBJECT('table', c.table_name, 'column', c.column_name,
        'kind', c.data_type, 'declared', c.column_type, 'length', c.character_maximum_length,
        'nullable', IF(c.is_nullable = 'YES', 1, 0),
        'has_default', IF(c.column_default IS NOT NULL OR c.extra <> '', 1, 0),
        'changes', IF(c.extra LIKE '%on update%', 1, 0),
        'charset', JSON_ARRAY(c.character_set_name, c.collation_name),
        'values', IF(c.data_type = 'enum', c.column_type, NULL)) AS CHAR)
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND JSON_CONTAINS(?1, JSON_QUOTE(c.table_name))
    UNION ALL SELECT CAST(JSON_OBJECT('table', i.table_name, 'unique_on', JSON_ARRAYAGG(i.column_name)) AS CHAR)
    FROM information_schema.statistics i
    WHERE i.table_schema = DATABASE() AND JSON_CONTAINS(?1, JSON_QUOTE(i.table_name)) AND i.non_unique = 0
    GROUP BY i.table_name, i.index_name HAVING MAX(i.sub_part) IS NULL
        AND (i.index_name = 'PRIMARY' OR MAX(i.column_name) <> 'id' OR COUNT(*) > 1)
    UNION ALL SELECT CAST(JSON_OBJECT('table', t.table_name, 'engine', t.engine
        /*M! , 'check', (SELECT GROUP_CONCAT(k.check_clause) FROM information_schema.check_constraints k
            WHERE k.constraint_schema = t.table_schema AND k.table_name = t.table_name) */) AS CHAR)
    FROM information_schema.tables t
    WHERE t.table_schema = DATABASE() AND JSON_CONTAINS(?1, JSON_QUOTE(t.table_name))
    UNION ALL SELECT CAST(JSON_OBJECT('version', VERSION(), 'autocommit', IF(@@autocommit, 1, 0)) AS CHAR)

-- name: count_locks
SELECT CAST(COUNT(*) AS CHAR) FROM {locks}

-- name: load
SELECT {row} FROM {ids} LEFT JOIN {sessions} s ON {is_beside}
    UNION ALL SELECT CAST(JSON_OBJECT('life', p.life, 'event', p.event_id) AS CHAR)
    FROM {own}
    STRAIGHT_JOIN {sessions} s ON {is_beside} STRAIGHT_JOIN {applied} p
        ON p.life = s.life AND p.event_id = CONVERT(v.event USING utf8mb4) COLLATE utf8mb4_bin

-- name: delete_orphans
DELETE s FROM JSON_TABLE(?1, '$[*]' COLUMNS (id {id_column} PATH '$.id', life bigint PATH '$.life')) v
    STRAIGHT_JOIN {sessions} s ON s.account_id = v.id AND s.life = v.life LEFT JOIN {accounts} a ON {is_beside}
    WHERE a.id IS NULL

-- name: prune
DELETE FROM {applied} WHERE applied_at < UNIX_TIMESTAMP() - {kept}
    ORDER BY applied_at LIMIT {pruned}; SELECT CAST(ROW_COUNT() AS CHAR)

-- A statement sees the rows that were committed before it, and locks no gaps between rows. It waits one second,
-- the shortest that the server can, for the uncommitted number of another program: the batch waits with it.
-- name: begin
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET @whatsapp_phone_idle = @@SESSION.{idle};
    SET SESSION innodb_lock_wait_timeout = 1, lock_wait_timeout = {lock_wait},
        {idle} = {idle_timeout}, sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES');
    BEGIN

-- The numbers come from a plain read, which locks nothing. A lock is free, or skipped, as a row is.
-- name: lock_numbers
SELECT CAST(JSON_ARRAY(n.workspace, COALESCE(n.number, '')) AS CHAR) FROM (
        SELECT CONVERT(v.workspace USING utf8mb4) COLLATE utf8mb4_bin AS workspace,
            CONVERT(v.number USING utf8mb4) COLLATE utf8mb4_bin AS number
        FROM JSON_TABLE(?2, '$[*]' COLUMNS (workspace varchar(255) PATH '$.workspace', number varchar(32) PATH '$.number')) v
        UNION SELECT CONVERT(CAST(a.workspace_id AS CHAR) USING utf8mb4) COLLATE utf8mb4_bin,
            CAST(IF(LOCATE('@', a.phone_number) > 0, REGEXP_SUBSTR(a.phone_number, '[0-9]+'),
                REGEXP_REPLACE(a.phone_number, '[^0-9]', '')) AS CHAR(32) CHARACTER SET utf8mb4) COLLATE utf8mb4_bin
        FROM {own}
        WHERE a.phone_number IS NOT NULL) n
    STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY)
        ON l.id = CRC32(CONCAT_WS(' ', n.workspace, n.number)) % {lock_count} FOR UPDATE SKIP LOCKED

-- By primary key alone: only the rows themselves are locked. The numbers are locked before, so no other store gives one of
-- them to a row between this and `load`.
-- name: lock_rows
SELECT JSON_QUOTE(CAST(a.id AS CHAR)) FROM {ids} FOR UPDATE SKIP LOCKED

-- name: save_metadata
UPDATE JSON_TABLE(?1, '$[*]' COLUMNS (id {id_column} PATH '$.id', metadata longtext PATH '$.metadata')) v
    STRAIGHT_JOIN {accounts} a FORCE INDEX (PRIMARY) ON a.id = v.id
    SET a.metadata = v.metadata

-- name: save_accounts
UPDATE JSON_TABLE(?1, '$[*]' COLUMNS (id {id_column} PATH '$.id',
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
    WHERE v.touched + v.clears > 0

-- name: save_beside
REPLACE INTO {sessions} ({columns})
    SELECT v.id, CONVERT(a.session_id USING utf8mb4), {created}, v.life, v.last_seq, v.version, v.lid,
        v.assurance, v.kept_number, v.spelled_number, v.spelling, v.error, v.error_message,
        v.shows_error, {updated}, COALESCE(v.seen_at, UNIX_TIMESTAMP())
    FROM JSON_TABLE(?1, '$[*]' COLUMNS (id {id_column} PATH '$.id', life bigint PATH '$.life',
        last_seq bigint PATH '$.last_seq', version bigint PATH '$.version', lid varchar(128) PATH '$.lid',
        assurance varchar(16) PATH '$.assurance', kept_number varchar(32) PATH '$.kept_number',
        spelled_number varchar(32) PATH '$.spelled_number', spelling varchar(255) PATH '$.spelling',
        error varchar(128) PATH '$.error',
        error_message varchar(2048) PATH '$.error_message', shows_error int PATH '$.shows_error',
        seen_at bigint PATH '$.seen_at')) v
    STRAIGHT_JOIN {accounts} a FORCE INDEX (PRIMARY) ON a.id = v.id

-- name: save_applied
INSERT INTO {applied} (life, event_id, applied_at)
    SELECT v.life, v.event, UNIX_TIMESTAMP() FROM JSON_TABLE(?1, '$[*]' COLUMNS (
        life bigint PATH '$.life', NESTED PATH '$.events[*]' COLUMNS (event varchar(128) PATH '$'))) v
    WHERE v.event IS NOT NULL

-- name: outbox_put
INSERT INTO {outbox} (queue, order_key, event_id, body, is_dead, attempts, due_at, created_at)
    SELECT v.queue, v.order_key, v.event, v.body, 0, 0, {clock}, {clock}
    FROM JSON_TABLE(?1, '$[*]' COLUMNS (n int PATH '$.n', queue varchar(64) PATH '$.queue',
        order_key bigint PATH '$.key', event varchar(128) PATH '$.event', body mediumtext PATH '$.body')) v
    ORDER BY v.n ON DUPLICATE KEY UPDATE {outbox}.id = {outbox}.id

-- name: outbox_heads
SELECT CAST(JSON_OBJECT('key', o.order_key, 'id', o.id, 'wait', CAST(o.due_at AS SIGNED) - {clock},
        'attempts', o.attempts) AS CHAR)
    FROM (SELECT MIN(n.id) AS id FROM {outbox} n WHERE n.queue = ?1 AND n.is_dead = 0 AND n.order_key > ?2
        GROUP BY n.order_key ORDER BY n.order_key LIMIT {scanned}) h
    STRAIGHT_JOIN {outbox} o ON o.id = h.id ORDER BY o.order_key

-- name: outbox_lease
UPDATE {v_ids} STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) ON o.id = v.id
    SET o.lease = ?2, o.due_at = {clock} + ?3

-- name: outbox_done
DELETE o FROM JSON_TABLE(?1, '$[*]' COLUMNS (id bigint unsigned PATH '$.id', lease bigint PATH '$.lease')) v
    STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) ON o.id = v.id WHERE o.lease = v.lease

-- name: outbox_failed
UPDATE JSON_TABLE(?1, '$[*]' COLUMNS (id bigint unsigned PATH '$.id', lease bigint PATH '$.lease',
        dead int PATH '$.dead', delay bigint PATH '$.delay', error varchar(128) PATH '$.error')) v
    STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) ON o.id = v.id
    SET o.is_dead = v.dead, o.attempts = o.attempts + 1, o.due_at = {clock} + v.delay, o.lease = NULL,
        o.error = v.error
    WHERE o.lease = v.lease

-- name: outbox_lock_dead
SELECT CAST(o.id AS CHAR) FROM {v_ids} STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) ON o.id = v.id
    WHERE o.queue = ?2 AND o.is_dead = 1 {skip_locked}

-- name: outbox_replay
UPDATE {v_ids} STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) ON o.id = v.id
    SET o.is_dead = 0, o.attempts = 0, o.due_at = {clock}, o.created_at = {clock}, o.lease = NULL

-- name: outbox_delete
DELETE o FROM {v_ids} STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) ON o.id = v.id

-- name: commit
COMMIT; {restore}

-- name: rollback
ROLLBACK; {restore}

-- Variables keep no number.
-- name: restore
SET SESSION {idle} = @whatsapp_phone_idle, @whatsapp_phone_1 = NULL, @whatsapp_phone_2 = NULL

-- name: object
CAST(JSON_OBJECT(

-- name: end_object
) AS CHAR)

-- name: id_text
CAST(a.id AS CHAR)

-- name: workspace_text
CAST(a.workspace_id AS CHAR)

-- name: session_text
CONVERT(a.session_id USING utf8mb4)

-- name: number_text
CONVERT(a.phone_number USING utf8mb4)

-- name: status_text
CONVERT(a.status USING utf8mb4)

-- name: metadata_text
CONCAT(CONVERT(a.metadata USING utf8mb4), '')

-- name: orphan
CAST(JSON_OBJECT('id', CAST(s.account_id AS CHAR), 'life', s.life) AS CHAR)

-- name: is_beside
s.account_id = a.id
    AND s.session_id = CONVERT(a.session_id USING utf8mb4) COLLATE utf8mb4_bin
    AND s.created_at <=> CONVERT({created} USING utf8mb4) COLLATE utf8mb4_bin

-- `$` also matches before a line break at the end.
-- name: is_unusual
a.phone_number NOT REGEXP '^([+]?[0-9]+|[0-9]+@c[.]us|[0-9]+@s[.]whatsapp[.]net)(?![[:space:]])$'
    AND NOT s.spelling <=> CONVERT(a.phone_number USING utf8mb4) COLLATE utf8mb4_bin

-- name: ids
(SELECT a.id FROM {own}
        UNION SELECT a.id FROM {wanted} STRAIGHT_JOIN {accounts} o ON o.session_id = {v_session}
            STRAIGHT_JOIN {accounts} a ON a.workspace_id = o.workspace_id
                AND a.phone_number = o.phone_number
            WHERE LEFT(o.phone_number, 1) IN {first}
        UNION SELECT a.id FROM {texts} STRAIGHT_JOIN {accounts} a
            ON a.workspace_id = {v_workspace} AND a.phone_number = {v_text}
        UNION SELECT s.account_id FROM JSON_TABLE(?2, '$[*]' COLUMNS (number varchar(32) PATH '$.number')) v
            STRAIGHT_JOIN {sessions} s ON s.spelled_number = CONVERT(v.number USING utf8mb4) COLLATE utf8mb4_bin
    ) ids STRAIGHT_JOIN {accounts} a FORCE INDEX (PRIMARY) ON a.id = ids.id

-- name: texts
JSON_TABLE(?2, '$[*]' COLUMNS (workspace {workspace_type} PATH '$.workspace', NESTED PATH '$.texts[*]' COLUMNS (text varchar(64) PATH '$'))) v

-- name: wanted
JSON_TABLE(?1, '$[*]' COLUMNS (session varchar(255) PATH '$.session', event varchar(128) PATH '$.event')) v

-- Tables are read in the order in which they are named.
-- name: join
STRAIGHT_JOIN

-- name: after
CAST(?1 AS {id_cast})

-- name: epoch
UNIX_TIMESTAMP()

-- name: present
CURRENT_TIMESTAMP

-- name: begin_creating

-- name: indexes_of_accounts

-- name: index_one_number

-- name: end_creating

-- name: new_id
bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY

-- name: new_workspace
bigint unsigned

-- name: new_session
varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin

-- name: new_metadata
json

-- name: new_time
timestamp NULL

-- name: new_options
ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4

-- name: index_number
, INDEX {table}_number (workspace_id, phone_number), INDEX {table}_list (workspace_id, id)

-- name: index_spelled
, INDEX {prefix}spelled (spelled_number)

-- name: index_applied
, INDEX {prefix}applied_at (applied_at)

-- name: beside_options
ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin

-- name: indexes_beside
CREATE TABLE IF NOT EXISTS {locks} (id int NOT NULL PRIMARY KEY) ENGINE = InnoDB;
    INSERT IGNORE INTO {locks} VALUES {all_locks}

-- In whole numbers, and the same in every time zone.
-- name: clock
(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)

-- name: text
CAST(

-- name: end_text
AS CHAR)

-- name: v_ids
JSON_TABLE(?1, '$[*]' COLUMNS (id bigint unsigned PATH '$')) v

-- name: v_id
v.id

-- name: skip_locked
FOR UPDATE SKIP LOCKED

-- name: new_body
mediumtext

-- name: index_waiting
, INDEX {prefix}outbox_waiting (queue, is_dead, order_key, id)

-- name: indexes_of_outbox
