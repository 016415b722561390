//! The tables that are missing in a file of SQLite.

use std::time::Duration;

use sqlx::SqlitePool;
use tokio::time::sleep;

use super::{Database, Meaning, Sqlite};
use crate::store::DuplicatePolicy;

pub(super) async fn make_tables(
    pool: &SqlitePool,
    duplicates: DuplicatePolicy,
) -> Result<(), sqlx::Error> {
    // A file that others write to is left alone.
    let exist = "SELECT COUNT(*) FROM sqlite_master WHERE name IN
        ('whatsapp_accounts', 'whatsapp_phone_sessions', 'whatsapp_phone_applied')";
    let tables: Result<(i64,), _> = sqlx::query_as(exist).fetch_one(pool).await;
    if matches!(tables, Ok((3,))) {
        return Ok(());
    }
    loop {
        match try_to_make_tables(pool, duplicates).await {
            Err(error) if Sqlite::meaning(&error) == Meaning::Conflict => {
                sleep(Duration::from_millis(10)).await;
            }
            made => return made,
        }
    }
}

async fn try_to_make_tables(
    pool: &SqlitePool,
    duplicates: DuplicatePolicy,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let exists = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'whatsapp_accounts'";
    let (accounts,): (i64,) = sqlx::query_as(exists).fetch_one(&mut *transaction).await?;
    let beside = sqlx::raw_sql(include_str!("../schema/sqlite.sql"));
    beside.execute(&mut *transaction).await?;
    if accounts == 0 {
        let accounts = sqlx::raw_sql(include_str!("../schema/sqlite_accounts.sql"));
        accounts.execute(&mut *transaction).await?;
    }
    if accounts == 0 && duplicates != DuplicatePolicy::Companions {
        sqlx::raw_sql(
            "CREATE UNIQUE INDEX whatsapp_accounts_one_number ON whatsapp_accounts
                (workspace_id, phone_number) WHERE deleted_at IS NULL",
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
