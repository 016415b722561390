//! `-- rows 1000 1000000`: one session's events in a workspace of 1,000 and of 1,000,000 live rows, on the table
//! that the store creates, and on a Laravel service's table with the documented index.

use std::time::Duration;

use tokio::time::Instant;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::sqlx::{self, AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::postgres::PostgresStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{Outcome, SessionStore, StoreOptions};

use super::{ms, percentile, server};

const TIMES: u32 = 300;

pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

impl Pool {
    pub(crate) async fn run(&self, sql: &str) {
        for statement in sql
            .split(";\n")
            .filter(|statement| !statement.trim().is_empty())
        {
            let sql = AssertSqlSafe(statement.to_owned());
            match self {
                Self::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
                Self::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
                Self::MySql(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            }
        }
    }

    async fn store(&self, options: StoreOptions) -> Box<dyn SessionStore> {
        match self {
            Self::Sqlite(pool) => {
                Box::new(SqliteStore::from_pool(pool.clone(), options).await.unwrap())
            }
            Self::Postgres(pool) => Box::new(
                PostgresStore::from_pool(pool.clone(), options)
                    .await
                    .unwrap(),
            ),
            Self::MySql(pool) => {
                Box::new(MySqlStore::from_pool(pool.clone(), options).await.unwrap())
            }
        }
    }

    /// Adds connected rows to workspace 1, from this one up to that one, and lets the server count them.
    pub(crate) async fn fill(&self, from: u32, to: u32) {
        let numbers = numbers();
        // In parts, which no limit of a server's cuts.
        for start in (from..to).step_by(100_000) {
            let end = to.min(start + 100_000);
            self.run(&format!(
                "INSERT INTO whatsapp_accounts (workspace_id, session_id, phone_number, status, created_at, updated_at)
                SELECT 1, concat('row-', n), concat('', 62811000000 + n), 'connected', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP
                FROM {numbers} WHERE n >= {start} AND n < {end} ORDER BY n"
            ))
            .await;
        }
        match self {
            Self::MySql(_) => self.run("ANALYZE TABLE whatsapp_accounts").await,
            _ => self.run("ANALYZE whatsapp_accounts").await,
        }
    }
}

/// Returns a table of the numbers `n` below a million.
pub(crate) fn numbers() -> String {
    let digits = "(SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
        UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let joined: Vec<_> = (0..6).map(|place| format!("{digits} d{place}")).collect();
    let number: Vec<_> = (0..6)
        .map(|place| format!("d{place}.n * {}", 10_u32.pow(place)))
        .collect();
    let (number, joined) = (number.join(" + "), joined.join(" CROSS JOIN "));
    format!("(SELECT {number} AS n FROM {joined}) numbers")
}

/// An empty database of each kind.
pub(crate) async fn pools(
    directory: &std::path::Path,
    name: &str,
) -> Vec<(&'static str, Pool, &'static str)> {
    let file = format!("sqlite:{}?mode=rwc", directory.join(name).display());
    let store = SqliteStore::connect(
        &file,
        StoreOptions::default().create_tables().table("unused"),
    );
    store.await.unwrap();
    let sqlite = Pool::Sqlite(SqlitePool::connect(&file).await.unwrap());
    let url = server("WHATSAPP_PHONE_TEST_POSTGRES");
    let admin = Pool::Postgres(PgPool::connect(&url).await.unwrap());
    admin.run(&format!("CREATE SCHEMA {name}")).await;
    let url = format!("{url}?options=-csearch_path%3D{name}");
    let postgres = Pool::Postgres(PgPool::connect(&url).await.unwrap());
    vec![
        (
            "sqlite",
            sqlite,
            include_str!("../../tests/fixtures/laravel_sqlite.sql"),
        ),
        (
            "postgres",
            postgres,
            include_str!("../../tests/fixtures/laravel_postgres.sql"),
        ),
        (
            "mysql",
            mysql(name).await,
            include_str!("../../tests/fixtures/laravel_mysql.sql"),
        ),
    ]
}

pub(crate) async fn mysql(name: &str) -> Pool {
    let url = server("WHATSAPP_PHONE_TEST_MYSQL");
    let admin = Pool::MySql(MySqlPool::connect(&url).await.unwrap());
    admin.run(&format!("CREATE DATABASE {name}")).await;
    Pool::MySql(MySqlPool::connect(&format!("{url}/{name}")).await.unwrap())
}

pub(crate) async fn rows(sizes: &[u32]) {
    let directory = tempfile::tempdir().unwrap();
    println!(
        "{:<10} {:<10} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "store", "table", "rows", "ready p50", "ready p95", "gone p50", "gone p95"
    );
    for table in ["ours", "Laravel's"] {
        let name = format!("rows_{}_{}", std::process::id(), &table[..1]);
        for (kind, pool, laravel) in pools(directory.path(), &name).await {
            if table != "ours" {
                pool.run(laravel).await;
                pool.run("CREATE INDEX number ON whatsapp_accounts (workspace_id, phone_number)")
                    .await;
            }
            let store = pool.store(StoreOptions::default().create_tables()).await;
            let mut filled = 0;
            for &size in sizes {
                pool.fill(filled, size).await;
                filled = size;
                let [ready, gone] = measure(&*store, size).await;
                println!(
                    "{kind:<10} {table:<10} {size:>10} {:>12} {:>12} {:>12} {:>12}",
                    ms(percentile(&ready, 50)),
                    ms(percentile(&ready, 95)),
                    ms(percentile(&gone, 50)),
                    ms(percentile(&gone, 95)),
                );
            }
        }
    }
}

/// The sorted times of `session_ready` and `session_disconnected`, of sessions anywhere in the table.
async fn measure(store: &dyn SessionStore, rows: u32) -> [Vec<Duration>; 2] {
    let (mut ready, mut gone) = (Vec::new(), Vec::new());
    for n in 0..TIMES + 50 {
        let row = n * 7919 % rows;
        let session = SessionKey::new(1, format!("row-{row}")).unwrap();
        let phone: PhoneNumber = (62_811_000_000 + u64::from(row))
            .to_string()
            .parse()
            .unwrap();
        let events = [
            SessionEvent::session_disconnected(session.clone(), ""),
            SessionEvent::session_ready(session, phone),
        ];
        for (event, times) in events.iter().zip([&mut gone, &mut ready]) {
            let start = Instant::now();
            let outcome = store.apply(event).await.unwrap();
            assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
            if n >= 50 {
                times.push(start.elapsed());
            }
        }
    }
    ready.sort_unstable();
    gone.sort_unstable();
    [ready, gone]
}
