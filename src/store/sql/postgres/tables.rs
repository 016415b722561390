//! The tables that are missing in PostgreSQL.

use sqlx::{Connection, PgConnection, PgPool, SqlStr};

use super::LOCKS;
use crate::store::DuplicatePolicy;
use crate::store::sql::lease::Lease;

pub(super) async fn make_tables(
    pool: &PgPool,
    begin: &SqlStr,
    duplicates: DuplicatePolicy,
) -> Result<(), sqlx::Error> {
    let mut lease = Lease::of(pool).await?;
    // A service need not be allowed to make tables that are there.
    let exist = "SELECT to_regclass('whatsapp_accounts') IS NOT NULL
        AND to_regclass('whatsapp_phone_sessions') IS NOT NULL
        AND to_regclass('whatsapp_phone_applied') IS NOT NULL";
    let (all_exist,): (bool,) = sqlx::query_as(exist).fetch_one(&mut *lease).await?;
    if !all_exist {
        make_missing_tables(&mut lease, begin, duplicates).await?;
    }
    lease.give_back();
    Ok(())
}

async fn make_missing_tables(
    connection: &mut PgConnection,
    begin: &SqlStr,
    duplicates: DuplicatePolicy,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(begin.clone()).await?;
    // Two that make the same table at once would be in each other's way.
    sqlx::query("SELECT pg_advisory_xact_lock($1, 0)")
        .bind(LOCKS)
        .execute(&mut *transaction)
        .await?;
    // Reading a table, unlike `to_regclass` alone, takes note of what others have made meanwhile.
    let exists =
        "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('whatsapp_accounts'))";
    let (has_accounts,): (bool,) = sqlx::query_as(exists).fetch_one(&mut *transaction).await?;
    let beside = sqlx::raw_sql(include_str!("../schema/postgres.sql"));
    beside.execute(&mut *transaction).await?;
    if !has_accounts {
        let accounts = sqlx::raw_sql(include_str!("../schema/postgres_accounts.sql"));
        accounts.execute(&mut *transaction).await?;
    }
    if !has_accounts && duplicates != DuplicatePolicy::Companions {
        sqlx::raw_sql(
            "CREATE UNIQUE INDEX whatsapp_accounts_one_number ON whatsapp_accounts
                (workspace_id, phone_number) WHERE deleted_at IS NULL",
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
