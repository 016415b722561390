-- Only where there is no such table.
CREATE TABLE whatsapp_accounts (
    id bigserial PRIMARY KEY,
    workspace_id bigint NOT NULL,
    session_id varchar(255) NOT NULL UNIQUE,
    phone_number varchar(32),
    status varchar(32) NOT NULL DEFAULT 'qr_scanning',
    metadata json,
    last_connected_at timestamp(0) without time zone,
    created_at timestamp(0) without time zone,
    updated_at timestamp(0) without time zone,
    deleted_at timestamp(0) without time zone,
    CONSTRAINT whatsapp_accounts_connected_has_number CHECK (status <> 'connected' OR phone_number IS NOT NULL)
);
CREATE INDEX whatsapp_accounts_number ON whatsapp_accounts (workspace_id, phone_number);
