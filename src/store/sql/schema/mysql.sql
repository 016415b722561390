-- Beside `whatsapp_accounts`, which is left as it is.
CREATE TABLE IF NOT EXISTS whatsapp_phone_sessions (
    account_id bigint NOT NULL PRIMARY KEY,
    last_seq bigint,
    version bigint NOT NULL DEFAULT 0,
    lid varchar(128),
    assurance varchar(16)
) DEFAULT CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS whatsapp_phone_applied (
    account_id bigint NOT NULL,
    event_id varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (account_id, event_id),
    INDEX whatsapp_phone_applied_at (applied_at)
) DEFAULT CHARACTER SET utf8mb4;
