//! The tables that are missing in MySQL or MariaDB.

use std::time::Duration;

use sqlx::{MySqlConnection, MySqlPool};
use tokio::time::sleep;

use super::{Database, Meaning, MySql};
use crate::store::sql::lease::Lease;

pub(super) async fn make_tables(pool: &MySqlPool) -> Result<(), sqlx::Error> {
    let mut lease = Lease::of(pool).await?;
    // A service need not be allowed to make tables that are there.
    let exist = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name IN
            ('whatsapp_accounts', 'whatsapp_phone_sessions', 'whatsapp_phone_applied')";
    let (tables,): (i64,) = sqlx::query_as(exist).fetch_one(&mut *lease).await?;
    if tables < 3 {
        make_missing_tables(&mut lease).await?;
    }
    lease.give_back();
    Ok(())
}

async fn make_missing_tables(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    for tables in [
        include_str!("../schema/mysql_accounts.sql"),
        include_str!("../schema/mysql.sql"),
    ] {
        while let Err(error) = sqlx::raw_sql(tables).execute(&mut *connection).await {
            if MySql::meaning(&error) != Meaning::Conflict {
                return Err(error);
            }
            sleep(Duration::from_millis(fastrand::u64(1..20))).await;
        }
    }
    Ok(())
}
