-- The SQL of SQLite: texts for the templates of `shared.sql`. `{name}` stands for another text, `?1` for
-- the first parameter.

-- name: inspect
SELECT json_object('table', n.value, 'column', c.name,
        'kind', CASE WHEN c.name LIKE '%\_at' ESCAPE '\' AND c.type NOT LIKE '%int%' THEN 'timestamp'
            ELSE lower(c.type) END,
        'declared', c.type, 'nullable', NOT c."notnull",
        'has_default', c.dflt_value IS NOT NULL OR (c.pk AND lower(c.type) = 'integer'))
    FROM json_each(?1) n JOIN pragma_table_info(n.value) c
    UNION ALL SELECT json_object('table', n.value, 'unique_on',
        json((SELECT json_group_array(i.name) FROM pragma_index_info(l.name) i)))
    FROM json_each(?1) n JOIN pragma_index_list(n.value) l WHERE l."unique" AND NOT l.partial
    UNION ALL SELECT json_object('table', n.value, 'unique_on', json_array(c.name))
    FROM json_each(?1) n JOIN pragma_table_info(n.value) c WHERE c.pk = 1 AND lower(c.type) = 'integer'
        AND NOT EXISTS (SELECT 1 FROM pragma_table_info(n.value) WHERE pk = 2)
    UNION ALL SELECT json_object('table', m.name, 'check', m.sql) FROM sqlite_master m
    WHERE m.type = 'table' AND m.name IN (SELECT value FROM json_each(?1))

-- name: load
WITH own AS MATERIALIZED (SELECT a.id, a.workspace_id, a.phone_number
        FROM {own}),
    ids AS MATERIALIZED (SELECT id FROM own
        UNION SELECT a.id FROM own o CROSS JOIN {accounts} a ON a.workspace_id = o.workspace_id
            AND a.phone_number = o.phone_number WHERE substr(o.phone_number, 1, 1) IN {first}
        UNION SELECT a.id FROM json_each(?2) n CROSS JOIN json_each(n.value, '$.texts') t CROSS JOIN {accounts} a
            ON a.workspace_id = n.value ->> 'workspace' AND a.phone_number = t.value
        UNION SELECT s.account_id FROM json_each(?2) n CROSS JOIN {sessions} s
            ON s.spelled_number = n.value ->> 'number')
    SELECT {row} FROM ids CROSS JOIN {accounts} a ON a.id = ids.id LEFT JOIN {sessions} s ON {is_beside}
    UNION ALL SELECT json_object('life', p.life, 'event', p.event_id)
    FROM {own}
    CROSS JOIN {sessions} s ON {is_beside} CROSS JOIN {applied} p
        ON p.life = s.life AND p.event_id = v.value ->> 'event'

-- name: delete_orphans
DELETE FROM {sessions} AS s
    WHERE (s.account_id, s.life) IN (SELECT value ->> 'id', value ->> 'life' FROM json_each(?1))
        AND NOT EXISTS (SELECT 1 FROM {accounts} a WHERE {is_beside})

-- name: prune
DELETE FROM {applied} WHERE (event_id, life) IN (SELECT event_id, life FROM {applied}
        WHERE applied_at < {epoch} - {kept} LIMIT {pruned});
    SELECT CAST(changes() AS TEXT)

-- One statement for the caller: each would be a way to the thread of the connection, and back.
-- name: save
UPDATE {accounts} AS a SET status = COALESCE(v.value ->> 'status', status),
        phone_number = CASE WHEN v.value ->> 'clears' THEN NULL
            ELSE COALESCE(v.value ->> 'phone', phone_number) END,
        deleted_at = CASE WHEN v.value ->> 'ends' THEN datetime('now')
            WHEN v.value ->> 'begins' THEN NULL ELSE deleted_at END,
        updated_at = CASE WHEN v.value ->> 'touched' THEN datetime('now') ELSE updated_at END,
        last_connected_at = CASE WHEN v.value ->> 'connects' THEN datetime('now')
            ELSE last_connected_at END
    FROM json_each(?1) v WHERE a.id = v.value ->> 'id'
        AND (v.value ->> 'touched' OR v.value ->> 'clears');
INSERT OR REPLACE INTO {sessions} ({columns})
    SELECT a.id, a.session_id, {created}, v.value ->> 'life', v.value ->> 'last_seq',
        v.value ->> 'version', v.value ->> 'lid', v.value ->> 'assurance', v.value ->> 'kept_number',
        v.value ->> 'spelled_number', v.value ->> 'spelling',
        v.value ->> 'error', v.value ->> 'error_message', v.value ->> 'shows_error', {updated},
        COALESCE(v.value ->> 'seen_at', {epoch})
    FROM json_each(?1) v CROSS JOIN {accounts} a ON a.id = v.value ->> 'id';
INSERT INTO {applied} (life, event_id, applied_at)
    SELECT v.value ->> 'life', e.value, {epoch} FROM json_each(?1) v, json_each(v.value, '$.events') e

-- name: save_metadata
UPDATE {accounts} AS a SET metadata = v.value ->> 'metadata'
    FROM json_each(?1) v WHERE a.id = v.value ->> 'id'

-- name: outbox_put
INSERT INTO {outbox} (queue, order_key, event_id, body, is_dead, attempts, due_at, created_at)
    SELECT v.value ->> 'queue', v.value ->> 'key', v.value ->> 'event', v.value ->> 'body', 0, 0, {clock}, {clock}
    FROM json_each(?1) v WHERE true ORDER BY v.value ->> 'n' ON CONFLICT DO NOTHING

-- name: outbox_heads
WITH RECURSIVE head (order_key, n) AS (
        SELECT (SELECT o.order_key FROM {outbox} o WHERE o.queue = ?1 AND o.is_dead = 0 AND o.order_key > ?2
            ORDER BY o.order_key LIMIT 1), 1
        UNION ALL SELECT (SELECT o.order_key FROM {outbox} o WHERE o.queue = ?1 AND o.is_dead = 0
            AND o.order_key > h.order_key ORDER BY o.order_key LIMIT 1), h.n + 1
        FROM head h WHERE h.order_key IS NOT NULL AND h.n < {scanned})
    SELECT json_object('key', h.order_key, 'id', o.id, 'wait', o.due_at - {clock}, 'attempts', o.attempts)
    FROM head h CROSS JOIN {outbox} o ON o.id = (SELECT n.id FROM {outbox} n
        WHERE n.queue = ?1 AND n.is_dead = 0 AND n.order_key = h.order_key ORDER BY n.id LIMIT 1)
    ORDER BY h.n

-- name: outbox_done
DELETE FROM {outbox} WHERE id IN (SELECT value ->> 'id' FROM json_each(?1))
    AND lease IN (SELECT value ->> 'lease' FROM json_each(?1))

-- name: outbox_failed
UPDATE {outbox} AS o SET is_dead = v.value ->> 'dead', attempts = o.attempts + 1,
        due_at = {clock} + (v.value ->> 'delay'), lease = NULL, error = v.value ->> 'error'
    FROM json_each(?1) v WHERE o.id = v.value ->> 'id' AND o.lease = v.value ->> 'lease'

-- name: begin
BEGIN IMMEDIATE

-- name: object
json_object(

-- name: end_object
)

-- name: id_text
CAST(a.id AS TEXT)

-- name: workspace_text
CAST(a.workspace_id AS TEXT)

-- name: session_text
CAST(a.session_id AS TEXT)

-- name: number_text
CAST(a.phone_number AS TEXT)

-- name: status_text
CAST(a.status AS TEXT)

-- name: metadata_text
CAST(a.metadata AS TEXT)

-- name: orphan
json_object('id', CAST(s.account_id AS TEXT), 'life', s.life)

-- name: is_beside
s.account_id = a.id AND s.session_id = a.session_id AND s.created_at IS {created}

-- Without `+` and the usual servers, numbers in the usual spellings are digits.
-- name: is_unusual
(replace(replace(ltrim(a.phone_number, '+'), '@c.us', ''), '@s.whatsapp.net', '') GLOB '*[^0-9]*'
    OR a.phone_number GLOB '+*@*') AND s.spelling IS NOT a.phone_number

-- name: wanted
json_each(?1) v

-- name: v_session
v.value ->> 'session'

-- Tables are read in the order in which they are named.
-- name: join
CROSS JOIN

-- name: created
CAST(a.created_at AS TEXT)

-- name: updated
CAST(a.updated_at AS TEXT)

-- name: epoch
CAST(strftime('%s', 'now') AS INTEGER)

-- name: present
datetime('now')

-- name: begin_creating
BEGIN IMMEDIATE;

-- name: new_id
integer PRIMARY KEY AUTOINCREMENT

-- name: new_workspace
integer

-- name: new_session
varchar

-- name: new_metadata
text

-- name: new_time
datetime

-- SQLite logs whole pages, and our ids grow with time: events that are noted together stand together.
-- name: applied_key
event_id, life

-- name: applied_options
WITHOUT ROWID

-- name: clock
CAST(unixepoch('subsec') * 1000 AS INTEGER)

-- name: text
CAST(

-- name: end_text
AS TEXT)

-- name: v_ids
json_each(?1) v

-- name: v_id
v.value

-- name: new_body
text

-- JSON holds no BLOB: another program has written it, and the row is no event.
-- name: body
CASE typeof(o.body) WHEN 'blob' THEN '' ELSE o.body END
