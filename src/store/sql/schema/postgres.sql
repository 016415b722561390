-- Beside `whatsapp_accounts`, which is left as it is.
CREATE TABLE IF NOT EXISTS whatsapp_phone_sessions (
    account_id bigint PRIMARY KEY,
    last_seq bigint,
    version bigint NOT NULL DEFAULT 0,
    lid varchar(128),
    assurance varchar(16)
);
CREATE TABLE IF NOT EXISTS whatsapp_phone_applied (
    account_id bigint NOT NULL,
    event_id varchar(128) NOT NULL,
    applied_at timestamp(0) without time zone NOT NULL,
    PRIMARY KEY (account_id, event_id)
);
CREATE INDEX IF NOT EXISTS whatsapp_phone_applied_at ON whatsapp_phone_applied (applied_at);
