//! Real databases: each place is a fresh one of its own, on the servers that `tests/servers.sh` starts.
#![allow(dead_code, reason = "each program uses its part")]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::yield_now;
use whatsapp_phone::sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use whatsapp_phone::sqlx::postgres::PgPoolOptions;
use whatsapp_phone::sqlx::{self, AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::outbox::Outbox;
use whatsapp_phone::store::postgres::PostgresStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreError, StoreOptions};

use super::time::within_limit;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut kinds = [Self::Sqlite, Self::Postgres, Self::MySql].into_iter();
        kinds
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| text.to_owned())
    }
}

/// An empty database, and a way to look into it past the store. The SQLite file goes with it.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    /// The schema's or database's name, which no other place has.
    pub(crate) name: String,
    pool: Pool,
    _directory: Option<tempfile::TempDir>,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set, so there is no database to test on. Run tests/run.sh, which installs and starts the servers; or in bash: . tests/servers.sh && start_servers"
        )
    })
}

impl Place {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::at(kind, false).await
    }

    /// Makes a store over one connection: what the server counts for a connection is the store's.
    pub(crate) async fn postgres_over_one(&self, options: StoreOptions) -> PostgresStore {
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect(&self.url).await.unwrap();
        let store = PostgresStore::from_pool(pool, options.create_tables());
        store.await.unwrap()
    }

    /// Likewise.
    pub(crate) async fn mysql_over_one(&self, options: StoreOptions) -> MySqlStore {
        let pool = MySqlPoolOptions::new().max_connections(1);
        let pool = pool.connect(&self.url).await.unwrap();
        let store = MySqlStore::from_pool(pool, options.create_tables());
        store.await.unwrap()
    }

    /// On a MariaDB whose time zone is +07:00, and which says that it is MySQL 8.0.
    pub(crate) async fn zoned_mysql() -> Self {
        Self::at(Kind::MySql, true).await
    }

    async fn at(kind: Kind, is_zoned: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("place_{}_{count}", std::process::id());
        let mut directory = None;
        let (url, pool) = match kind {
            Kind::Sqlite => {
                let directory = directory.insert(tempfile::tempdir().unwrap());
                let file = directory.path().join("sessions.db");
                let url = format!("sqlite:{}?mode=rwc", file.display());
                let pool = Pool::Sqlite(SqlitePool::connect_lazy(&url).unwrap());
                (url, pool)
            }
            Kind::Postgres => {
                let server = server("WHATSAPP_PHONE_TEST_POSTGRES");
                let admin = PgPool::connect(&server).await.unwrap();
                let make = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
                sqlx::raw_sql(make).execute(&admin).await.unwrap();
                let url = format!(
                    "{server}?sslmode=disable&application_name={name}&options=-csearch_path%3D{name}"
                );
                let pool = Pool::Postgres(PgPool::connect_lazy(&url).unwrap());
                (url, pool)
            }
            Kind::MySql => {
                let zone = if is_zoned { "_ZONED" } else { "" };
                let server = server(&format!("WHATSAPP_PHONE_TEST_MYSQL{zone}"));
                let admin = MySqlPool::connect(&server).await.unwrap();
                let make = AssertSqlSafe(format!("CREATE DATABASE {name}"));
                sqlx::raw_sql(make).execute(&admin).await.unwrap();
                let url = format!("{server}/{name}?ssl-mode=DISABLED");
                let options: MySqlConnectOptions = url.parse().unwrap();
                // In UTC as a store, or in the server's zone.
                let options = match is_zoned {
                    true => options.timezone(None),
                    false => options,
                };
                let pool = Pool::MySql(MySqlPool::connect_lazy_with(options));
                (url, pool)
            }
        };
        Self {
            kind,
            url,
            name,
            pool,
            _directory: directory,
        }
    }

    pub(crate) async fn open(
        &self,
        options: StoreOptions,
    ) -> Result<Box<dyn SessionStore>, StoreError> {
        Self::open_at(self.kind, &self.url, options).await
    }

    /// Without creating tables.
    pub(crate) async fn open_unchanged(
        &self,
        options: StoreOptions,
    ) -> Result<Box<dyn SessionStore>, StoreError> {
        let url = &self.url;
        Ok(match self.kind {
            Kind::Sqlite => Box::new(SqliteStore::connect(url, options).await?),
            Kind::Postgres => Box::new(PostgresStore::connect(url, options).await?),
            Kind::MySql => Box::new(MySqlStore::connect(url, options).await?),
        })
    }

    pub(crate) async fn open_at(
        kind: Kind,
        url: &str,
        options: StoreOptions,
    ) -> Result<Box<dyn SessionStore>, StoreError> {
        let options = options.create_tables();
        Ok(match kind {
            Kind::Sqlite => Box::new(SqliteStore::connect(url, options).await?),
            Kind::Postgres => Box::new(PostgresStore::connect(url, options).await?),
            Kind::MySql => Box::new(MySqlStore::connect(url, options).await?),
        })
    }

    /// Opens the store, and a queue of its outbox.
    pub(crate) async fn open_outbox(
        &self,
        options: StoreOptions,
        queue: &str,
    ) -> (Arc<dyn SessionStore>, Outbox) {
        Self::open_outbox_at(self.kind, &self.url, options, queue).await
    }

    pub(crate) async fn open_outbox_at(
        kind: Kind,
        url: &str,
        options: StoreOptions,
        queue: &str,
    ) -> (Arc<dyn SessionStore>, Outbox) {
        let options = options.create_tables();
        match kind {
            Kind::Sqlite => {
                let store = SqliteStore::connect(url, options).await.unwrap();
                let outbox = store.outbox(queue).await.unwrap();
                (Arc::new(store), outbox)
            }
            Kind::Postgres => {
                let store = PostgresStore::connect(url, options).await.unwrap();
                let outbox = store.outbox(queue).await.unwrap();
                (Arc::new(store), outbox)
            }
            Kind::MySql => {
                let store = MySqlStore::connect(url, options).await.unwrap();
                let outbox = store.outbox(queue).await.unwrap();
                (Arc::new(store), outbox)
            }
        }
    }

    /// Runs statements.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.pool {
            Pool::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Pool::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Pool::MySql(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        }
    }

    /// The texts in the first column of the answer.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<Option<String>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
            Pool::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
            Pool::MySql(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        }
    }

    /// The one text of the answer; `None` for null.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let mut texts = self.texts(sql).await;
        assert_eq!(texts.len(), 1, "{sql}");
        texts.remove(0)
    }

    /// Ends it. SQLite's file goes by itself.
    pub(crate) async fn end(self) {
        let name = &self.name;
        match &self.pool {
            Pool::Sqlite(_) => {}
            // A store that is still open may read its tables; the server then refuses one of the two.
            Pool::Postgres(pool) => {
                let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE");
                let dropped = async {
                    while sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                        .execute(pool)
                        .await
                        .is_err()
                    {
                        yield_now().await;
                    }
                };
                within_limit("the schema is dropped", dropped).await;
            }
            Pool::MySql(_) => self.run(&format!("DROP DATABASE {name}")).await,
        }
    }
}
