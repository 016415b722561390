-- Beside `whatsapp_accounts`, which is left as it is.
CREATE TABLE IF NOT EXISTS whatsapp_phone_sessions (
    account_id integer PRIMARY KEY,
    last_seq integer,
    version integer NOT NULL DEFAULT 0,
    lid varchar,
    assurance varchar
);
-- SQLite logs whole pages, and ids of ours grow with time: those that are noted together stand together.
CREATE TABLE IF NOT EXISTS whatsapp_phone_applied (
    account_id integer NOT NULL,
    event_id varchar NOT NULL,
    applied_at datetime NOT NULL,
    PRIMARY KEY (event_id, account_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS whatsapp_phone_applied_at ON whatsapp_phone_applied (applied_at);
