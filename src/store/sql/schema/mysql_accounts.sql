-- Only where there is no such table.
CREATE TABLE IF NOT EXISTS whatsapp_accounts (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    workspace_id bigint unsigned NOT NULL,
    session_id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    phone_number varchar(32),
    status varchar(32) NOT NULL DEFAULT 'qr_scanning',
    metadata json,
    last_connected_at timestamp NULL,
    created_at timestamp NULL,
    updated_at timestamp NULL,
    deleted_at timestamp NULL,
    INDEX whatsapp_accounts_number (workspace_id, phone_number),
    INDEX whatsapp_accounts_live (workspace_id, deleted_at),
    CONSTRAINT whatsapp_accounts_connected_has_number CHECK (status <> 'connected' OR phone_number IS NOT NULL)
) DEFAULT CHARACTER SET utf8mb4;
