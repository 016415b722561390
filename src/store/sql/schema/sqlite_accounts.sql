-- Only where there is no such table.
CREATE TABLE whatsapp_accounts (
    id integer PRIMARY KEY AUTOINCREMENT,
    workspace_id integer NOT NULL,
    session_id varchar NOT NULL UNIQUE,
    phone_number varchar,
    status varchar NOT NULL DEFAULT 'qr_scanning',
    metadata text,
    last_connected_at datetime,
    created_at datetime,
    updated_at datetime,
    deleted_at datetime,
    CHECK (status <> 'connected' OR phone_number IS NOT NULL)
);
CREATE INDEX whatsapp_accounts_number ON whatsapp_accounts (workspace_id, phone_number);
