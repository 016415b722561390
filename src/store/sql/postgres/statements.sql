-- The SQL of PostgreSQL: texts for the templates of `shared.sql`. `{name}` stands for another text, `?1` for
-- the first parameter.

-- name: inspect
WITH accounts AS (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident(?1::json ->> 0))),
    t AS (SELECT c.oid, c.relname, c.relnamespace FROM json_array_elements_text(?1::json) AS n (name)
        JOIN pg_class c ON c.relname = n.name JOIN accounts ON accounts.relnamespace = c.relnamespace)
    SELECT json_build_object('table', t.relname, 'column', a.attname,
        'kind', CASE WHEN y.typtype = 'e' THEN 'enum' ELSE format_type(a.atttypid, NULL) END,
        'declared', format_type(a.atttypid, a.atttypmod),
        'length', CASE WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod > 4
            THEN a.atttypmod - 4 END,
        'nullable', (NOT a.attnotnull)::int, 'has_default', (a.atthasdef OR a.attidentity <> '')::int,
        'values', (SELECT string_agg(quote_literal(e.enumlabel), ',') FROM pg_enum e WHERE e.enumtypid = a.atttypid))::text
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
    UNION ALL SELECT json_build_object('schema', t.relnamespace::regnamespace::text)::text FROM t

-- name: load
WITH {ids},
    lives AS MATERIALIZED (SELECT s.life, a.event
        FROM own a CROSS JOIN LATERAL (SELECT s.life FROM {sessions} s WHERE {is_beside} OFFSET 0) s)
    SELECT {row} FROM ids CROSS JOIN LATERAL (SELECT a.* FROM {accounts} a WHERE a.id = ids.id OFFSET 0) a
    {left_join_sessions}
    UNION ALL SELECT json_build_object('life', l.life, 'event', l.event)::text
    FROM lives l WHERE EXISTS (SELECT 1 FROM {applied} p WHERE p.life = l.life AND p.event_id = l.event OFFSET 0)

-- name: delete_orphans
DELETE FROM {sessions} s USING json_to_recordset(?1::json) AS v (id {id_type}, life bigint)
    WHERE s.account_id = v.id AND s.life = v.life AND NOT EXISTS (SELECT 1 FROM {accounts} a WHERE {is_beside})

-- name: prune
WITH pruned AS (DELETE FROM {applied} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {applied} WHERE applied_at < {epoch} - {kept} LIMIT {pruned} FOR UPDATE SKIP LOCKED))
        RETURNING 1)
    SELECT count(*)::text FROM pruned

-- The server may have other defaults. Statements see what was committed before them, and times are UTC. A plan is made once
-- for a connection, since making it takes half of the time with a million rows. It uses indexes, because the table may have
-- grown since.
-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {lock_wait};
    SET LOCAL statement_timeout = {deadline}; SET LOCAL idle_in_transaction_session_timeout = {idle};
    SET LOCAL timezone = 'UTC'; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan

-- A number's lock is free, or skipped, as a row is. `load` reads what was committed before it was locked.
-- name: lock
WITH {ids},
    held AS MATERIALIZED (SELECT n.workspace::text AS workspace, n.number FROM numbers n
        UNION SELECT o.workspace_id::text, CASE WHEN strpos(o.phone_number::text, '@') > 0
            THEN substring(o.phone_number::text from '[0-9]+')
            ELSE regexp_replace(o.phone_number::text, '[^0-9]', '', 'g') END
        FROM own o WHERE o.phone_number IS NOT NULL ORDER BY 1, 2)
    SELECT json_build_array(h.workspace, COALESCE(h.number, ''))::text FROM held h
    WHERE pg_try_advisory_xact_lock({lock_class},
        ('x' || md5(concat_ws(' ', '{lock_name}', h.workspace, h.number)))::bit(32)::int)
    UNION ALL SELECT to_json(locked.id)::text FROM ids CROSS JOIN LATERAL (
        SELECT a.id::text AS id FROM {accounts} a WHERE a.id = ids.id FOR NO KEY UPDATE SKIP LOCKED) AS locked

-- name: save
WITH t AS (SELECT {present} AS now),
    v AS MATERIALIZED (SELECT * FROM json_to_recordset(?1::json) AS v (id {id_type}, touched int,
        status {status_type}, phone text, clears int, begins int, ends int, connects int, life bigint,
        last_seq bigint, version bigint, lid text, assurance text, kept_number text, spelled_number text,
        spelling text, error text, error_message text, shows_error int, seen_at bigint,
        events json)),
    account AS (UPDATE {accounts} a SET status = COALESCE(v.status, a.status),
        phone_number = CASE WHEN v.clears = 1 THEN NULL ELSE COALESCE(v.phone, a.phone_number) END,
        deleted_at = CASE WHEN v.ends = 1 THEN t.now WHEN v.begins = 1 THEN NULL ELSE a.deleted_at END,
        updated_at = CASE WHEN v.touched = 1 THEN t.now ELSE a.updated_at END,
        last_connected_at = CASE WHEN v.connects = 1 THEN t.now ELSE a.last_connected_at END
        FROM v, t WHERE a.id = v.id AND a.id = ANY (ARRAY(SELECT id FROM v)) AND v.touched + v.clears > 0
        RETURNING a.id, {updated} AS updated),
    session AS (INSERT INTO {sessions} ({columns})
        SELECT v.id, a.session_id, {created}, v.life, v.last_seq, v.version, v.lid, v.assurance,
            v.kept_number, v.spelled_number, v.spelling, v.error, v.error_message,
            v.shows_error, COALESCE(account.updated, {updated}), COALESCE(v.seen_at, {epoch})
        FROM v CROSS JOIN LATERAL (SELECT a.* FROM {accounts} a WHERE a.id = v.id OFFSET 0) a
        LEFT JOIN account ON account.id = v.id
        ON CONFLICT (account_id) DO UPDATE SET ({columns}) = ROW ({excluded}))
    INSERT INTO {applied} (life, event_id, applied_at)
    SELECT v.life, event, {epoch} FROM v, json_array_elements_text(v.events) AS event

-- name: save_metadata
WITH v AS MATERIALIZED (SELECT * FROM json_to_recordset(?1::json) AS v (id {id_type}, metadata text))
    UPDATE {accounts} a SET metadata = v.metadata::{metadata_type}
    FROM v WHERE a.id = v.id AND a.id = ANY (ARRAY(SELECT id FROM v))

-- name: outbox_put
INSERT INTO {outbox} (queue, order_key, event_id, body, is_dead, attempts, due_at, created_at)
    SELECT v.queue, v.key, v.event, v.body, 0, 0, {clock}, {clock}
    FROM json_to_recordset(?1::json) AS v (n int, queue text, key bigint, event text, body text)
    ORDER BY v.n ON CONFLICT DO NOTHING

-- One probe of the index for each order key, however many events it has.
-- name: outbox_heads
WITH RECURSIVE head AS (
        (SELECT o.order_key, o.id, o.due_at, o.attempts, 1 AS n FROM {outbox} o
            WHERE o.queue = ?1 AND o.is_dead = 0 AND o.order_key > ?2::bigint
            ORDER BY o.order_key, o.id LIMIT 1)
        UNION ALL SELECT o.order_key, o.id, o.due_at, o.attempts, h.n + 1 FROM head h CROSS JOIN LATERAL (
            SELECT o.order_key, o.id, o.due_at, o.attempts FROM {outbox} o
            WHERE o.queue = ?1 AND o.is_dead = 0 AND o.order_key > h.order_key
            ORDER BY o.order_key, o.id LIMIT 1) o WHERE h.n < {scanned})
    SELECT json_build_object('key', h.order_key, 'id', h.id, 'wait', h.due_at - {clock},
        'attempts', h.attempts)::text
    FROM head h ORDER BY h.n

-- name: outbox_done
DELETE FROM {outbox} o USING json_to_recordset(?1::json) AS v (id bigint, lease bigint)
    WHERE o.id = v.id AND o.lease = v.lease

-- name: outbox_failed
UPDATE {outbox} o SET is_dead = v.dead, attempts = o.attempts + 1, due_at = {clock} + v.delay,
        lease = NULL, error = v.error
    FROM json_to_recordset(?1::json) AS v (id bigint, lease bigint, dead int, delay bigint, error text)
    WHERE o.id = v.id AND o.lease = v.lease

-- name: object
json_build_object(

-- name: end_object
)::text

-- name: id_text
a.id::text

-- name: workspace_text
a.workspace_id::text

-- name: session_text
a.session_id::text

-- name: number_text
a.phone_number::text

-- name: status_text
a.status::text

-- name: metadata_text
a.metadata::text

-- name: orphan
json_build_object('id', s.account_id::text, 'life', s.life)::text

-- name: is_beside
s.account_id = a.id AND s.session_id = a.session_id::text
    AND s.created_at IS NOT DISTINCT FROM {created}

-- name: is_unusual
a.phone_number !~ '^([+]?[0-9]+|[0-9]+@c[.]us|[0-9]+@s[.]whatsapp[.]net)$'
    AND s.spelling IS DISTINCT FROM a.phone_number

-- Rows are looked up one by one, as `LATERAL` and `OFFSET 0` make sure, and not joined: a plan may be older than the
-- table's size.
-- name: ids
own AS MATERIALIZED (SELECT a.id, a.workspace_id, a.session_id, a.phone_number, a.created_at, v.event FROM {own}),
    numbers AS MATERIALIZED (SELECT * FROM json_to_recordset(?2::json)
        AS n (workspace {workspace_type}, number text, texts text[])),
    texts AS MATERIALIZED (SELECT n.workspace, unnest(n.texts) AS text FROM numbers n
        UNION SELECT o.workspace_id, o.phone_number::text FROM own o WHERE left(o.phone_number, 1) IN {first}),
    ids AS (SELECT id FROM own
        UNION SELECT a.id FROM texts t CROSS JOIN LATERAL (SELECT a.id FROM {accounts} a
            WHERE a.workspace_id = t.workspace AND a.phone_number = t.text OFFSET 0) a
        UNION SELECT s.account_id FROM numbers n CROSS JOIN LATERAL (
            SELECT s.account_id FROM {sessions} s WHERE s.spelled_number = n.number OFFSET 0) s)

-- name: own
{wanted} CROSS JOIN LATERAL (SELECT a.* FROM {accounts} a WHERE a.session_id = v.session OFFSET 0) a

-- name: wanted
json_to_recordset(?1::json) AS v (session text, event text)

-- `OFFSET 0` keeps the planner from a join that reads our table from its beginning for each page.
-- name: left_join_sessions
LEFT JOIN LATERAL (SELECT s.* FROM {sessions} s WHERE {is_beside} OFFSET 0) s ON true

-- name: stored_status
a.status::text

-- name: this_workspace
?2::{workspace_type}

-- name: after
?1::{id_type}

-- name: created
(extract(epoch FROM a.created_at) * 1000000)::bigint::text

-- name: updated
(extract(epoch FROM a.updated_at) * 1000000)::bigint::text

-- name: epoch
extract(epoch FROM now())::bigint

-- In whole seconds, downwards: the columns would round up, into the future.
-- name: present
date_trunc('second', now())

-- The first half of our advisory locks.
-- name: lock_class
2002874472

-- Under a lock: two processes that create the same table at once would fail.
-- name: begin_creating
BEGIN; SELECT 'null' FROM pg_advisory_xact_lock({lock_class}, 0);

-- name: new_id
bigserial PRIMARY KEY

-- name: new_workspace
bigint

-- name: new_session
varchar(255)

-- name: new_metadata
json

-- name: new_time
timestamp(0) without time zone

-- name: clock
(extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- name: bigint
::bigint

-- name: text
(

-- name: end_text
)::text

-- name: v_ids
json_array_elements_text(?1::json) AS v (id)

-- name: v_id
v.id::bigint

-- name: skip_locked
FOR UPDATE OF o SKIP LOCKED

-- name: new_body
text
