//! Stores on real databases: the contract of `SessionStore`, the table of a Laravel service, and what
//! the columns hold afterwards.
#![cfg(all(
    feature = "testkit",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "store/beside.rs"]
mod beside;
#[path = "support/database.rs"]
mod database;
#[path = "store/failures.rs"]
mod failures;
#[path = "store/lost_connections.rs"]
mod lost_connections;
#[path = "store/others.rs"]
mod others;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/reading.rs"]
mod reading;
#[path = "store/rows.rs"]
mod rows;
#[path = "support/time.rs"]
mod time;
#[cfg(feature = "sql-rustls")]
#[path = "store/tls.rs"]
mod tls;
#[path = "store/unusual_tables.rs"]
mod unusual_tables;
#[path = "store/variants.rs"]
mod variants;

use std::sync::Arc;
use std::time::Duration;

use database::{Kind, Place};
use tokio::sync::Mutex;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{Failed, QrCode, SessionEvent, SessionKey};
use whatsapp_phone::sqlx::MySqlPool;
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::{
    DuplicatePolicy, Outcome, SessionStore, Status, StoreErrorKind, StoreOptions,
};
use whatsapp_phone::testkit::contract::store::{self as contract, StoreFixture};

/// Every pair of stores in a database of its own; the former is ended.
struct Fresh(Kind, Mutex<Option<Place>>);

#[async_trait::async_trait]
impl StoreFixture for Fresh {
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
        let mut place = self.1.lock().await;
        if let Some(former) = place.take() {
            former.end().await;
        }
        let new = Place::new(self.0).await;
        let options = options.poll_every(Duration::from_millis(50));
        let (one, two) = tokio::join!(new.open(options.clone()), new.open(options));
        *place = Some(new);
        [Arc::from(one.unwrap()), Arc::from(two.unwrap())]
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(60)
    }
}

async fn keeps_the_contract(kind: Kind) {
    let fresh = Fresh(kind, Mutex::new(None));
    contract::all(&fresh).await;
    if let Some(last) = fresh.1.into_inner() {
        last.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    keeps_the_contract(Kind::Sqlite).await; // SqliteStore
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract() {
    keeps_the_contract(Kind::Postgres).await; // PostgresStore
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_keeps_the_contract() {
    keeps_the_contract(Kind::MySql).await; // MySqlStore
}

/// A pool of the caller's, without the settings that the store makes on its own connections.
struct Handed(Mutex<Option<Place>>);

#[async_trait::async_trait]
impl StoreFixture for Handed {
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
        let mut place = self.0.lock().await;
        if let Some(former) = place.take() {
            former.end().await;
        }
        let new = Place::new(Kind::MySql).await;
        let options = options.poll_every(Duration::from_millis(50));
        let store = async || {
            let pool = MySqlPool::connect(&new.url).await.unwrap();
            let options = options.clone().create_tables();
            let store = MySqlStore::from_pool(pool, options).await.unwrap();
            Arc::new(store) as Arc<dyn SessionStore>
        };
        let stores = [store().await, store().await];
        *place = Some(new);
        stores
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_over_a_pool_of_the_callers_keeps_the_contract() {
    let handed = Handed(Mutex::new(None));
    contract::all(&handed).await; // MySqlStore
    if let Some(last) = handed.0.into_inner() {
        last.end().await;
    }
}

fn key(session: &str) -> SessionKey {
    SessionKey::new(7, session).unwrap()
}

fn ready(session: &str, phone: &str) -> SessionEvent {
    SessionEvent::session_ready(key(session), phone.parse::<PhoneNumber>().unwrap())
}

async fn on_each<F: Future<Output = ()>>(test: impl Fn(Place) -> F) {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MySql] {
        test(Place::new(kind).await).await;
    }
}

/// A column of one session's row, as text.
async fn cell(place: &Place, session: &str, column: &str) -> Option<String> {
    let kind = if place.kind == Kind::MySql {
        "char"
    } else {
        "text"
    };
    place
        .text(&format!(
            "select cast({column} as {kind}) from whatsapp_accounts where session_id = '{session}'"
        ))
        .await
}

async fn columns(place: &Place) -> Vec<Option<String>> {
    let names = match place.kind {
        Kind::Sqlite => "select name || type from pragma_table_info('whatsapp_accounts')",
        Kind::Postgres => {
            "select column_name || data_type from information_schema.columns
            where table_schema = current_schema() and table_name = 'whatsapp_accounts'
            union all select indexname::text from pg_indexes
            where schemaname = current_schema() and tablename = 'whatsapp_accounts'"
        }
        Kind::MySql => {
            "select cast(concat(column_name, column_type) as char) from information_schema.columns
            where table_schema = database() and table_name = 'whatsapp_accounts'
            union all select cast(index_name as char) from information_schema.statistics
            where table_schema = database() and table_name = 'whatsapp_accounts'"
        }
    };
    // In no order of a server's choice.
    let mut columns = place.texts(names).await;
    columns.sort_unstable();
    columns
}

#[tokio::test]
async fn the_table_of_a_laravel_service_is_used_as_it_is() {
    on_each(async |place| {
        place
            .run(match place.kind {
                Kind::Sqlite => include_str!("fixtures/laravel_sqlite.sql"),
                Kind::Postgres => include_str!("fixtures/laravel_postgres.sql"),
                Kind::MySql => include_str!("fixtures/laravel_mysql.sql"),
            })
            .await;
        place.run(include_str!("fixtures/laravel_rows.sql")).await;
        let before = columns(&place).await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        // Again, over tables that are there.
        let store_too = place.open(StoreOptions::default()).await.unwrap();

        let row = async |session: &str| store_too.session(&key(session).session_id).await.unwrap();
        let linked = row("linked").await.unwrap();
        assert_eq!(linked.status, Status::Connected);
        assert_eq!(linked.phone.unwrap().reveal(), "628110000041");
        // Rows that the Node service leaves behind are not shown as connected.
        for session in ["null number", "null text"] {
            let shown = row(session).await.unwrap();
            assert_eq!((shown.status, shown.phone), (Status::Authenticated, None));
        }
        assert_eq!(row("gone").await, None);

        let error = store
            .apply(&ready("null number", "628110000041"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NumberAlreadyConnected);
        store
            .apply(&ready("null text", "628110000042"))
            .await
            .unwrap();
        assert_eq!(
            cell(&place, "stale", "status").await.as_deref(),
            Some("failed")
        );
        assert_eq!(cell(&place, "stale", "phone_number").await, None);
        assert_ne!(cell(&place, "stale", "deleted_at").await, None);
        assert_eq!(
            cell(&place, "null text", "phone_number").await.as_deref(),
            Some("628110000042")
        );
        assert_ne!(cell(&place, "null text", "last_connected_at").await, None);

        let failed = Failed::new("not_ready", "no number from 628110000041@c.us");
        store
            .apply(&SessionEvent::session_error(key("linked"), failed.clone()))
            .await
            .unwrap();
        let metadata = cell(&place, "linked", "metadata").await.unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        assert_eq!(
            metadata,
            serde_json::json!({
                "name": "Vertrieb \u{1f600} é",
                "last_error": "phone_extraction_failed",
                "error_message": "no number from 62********41@c.us",
            })
        );
        store
            .apply(&SessionEvent::session_error(key("null text"), failed))
            .await
            .unwrap();
        // A list stays a list.
        let metadata = cell(&place, "null text", "metadata").await.unwrap();
        assert_eq!(metadata, "[]");
        let kept = place.texts("select error from whatsapp_phone_sessions where error is not null");
        assert_eq!(kept.await.len(), 2);
        let kept = cell(&place, "stale", "metadata").await.unwrap();
        assert!(kept.contains("kept"), "{kept}");

        // Its age counts from the first scan that saw it.
        let hour = Duration::from_secs(3600);
        assert_eq!(store.sweep_stuck(hour).await.unwrap(), []);
        place
            .run("update whatsapp_phone_sessions set seen_at = seen_at - 3601")
            .await;
        let swept = store.sweep_stuck(hour).await.unwrap();
        let mut swept: Vec<_> = swept
            .iter()
            .map(|swept| swept.session.session_id.as_str())
            .collect();
        swept.sort_unstable();
        assert_eq!(swept, ["stuck"]);
        store.register(&key("gone")).await.unwrap();
        assert_eq!(cell(&place, "gone", "phone_number").await, None);
        store.register(&key("new")).await.unwrap();
        store.apply(&ready("new", "628110000043")).await.unwrap();
        assert_eq!(columns(&place).await, before, "{:?}", place.kind);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn no_qr_code_is_ever_written() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let qr = QrCode::new("2@secret-payload").unwrap();
        store
            .apply(&SessionEvent::qr_code_generated(key("s"), qr))
            .await
            .unwrap();
        let kind = if place.kind == Kind::MySql {
            "char"
        } else {
            "text"
        };
        for (table, columns) in [
            (
                "whatsapp_accounts",
                &["session_id", "phone_number", "status", "metadata"][..],
            ),
            (
                "whatsapp_phone_sessions",
                &["lid", "spelling", "error_message"],
            ),
            ("whatsapp_phone_applied", &["event_id"]),
        ] {
            for column in columns {
                let texts = format!("select cast({column} as {kind}) from {table}");
                for text in place.texts(&texts).await.into_iter().flatten() {
                    assert!(!text.contains("secret"), "{table}.{column}");
                }
            }
        }
        if let Some(file) = place.url.strip_prefix("sqlite:") {
            let file = file.split('?').next().unwrap();
            let files = [file.to_owned(), format!("{file}-wal")];
            let bytes = files.map(|file| std::fs::read(file).unwrap()).concat();
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.contains("qr_scanning") && !text.contains("secret-payload"));
        }
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn the_writes_of_another_program_are_noticed() {
    on_each(async |place| {
        let options = StoreOptions::default().poll_every(Duration::from_millis(20));
        let store = place.open(options).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let mut watcher = store.watch(&key("s").session_id).await.unwrap();
        place
            .run("update whatsapp_accounts set status = 'connected', phone_number = '628110000041'")
            .await;
        let seen = watcher.changed().await.unwrap();
        assert_eq!(
            (seen.status, seen.phone.unwrap().reveal()),
            (Status::Connected, "628110000041")
        );
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn postgres_is_notified_of_the_writes_of_other_processes() {
    let place = Place::new(Kind::Postgres).await;
    // Nothing is polled in the time of this test.
    let options = StoreOptions::default().poll_every(Duration::from_secs(3600));
    let writer = place.open(options.clone()).await.unwrap();
    let reader = place.open(options).await.unwrap();
    writer.register(&key("s")).await.unwrap();
    let mut watcher = reader.watch(&key("s").session_id).await.unwrap();
    for round in 0..10 {
        let (event, status) = match round % 2 {
            0 => (ready("s", "628110000041"), Status::Connected),
            _ => (
                SessionEvent::session_disconnected(key("s"), ""),
                Status::Disconnected,
            ),
        };
        if round == 6 {
            // Notifications without a listener are lost; the poll makes up for them.
            let ends = format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%'
                and datname = current_database() and application_name = '{}'
                and pid <> pg_backend_pid()",
                place.name
            );
            place.run(&ends).await;
        }
        writer.apply(&event).await.unwrap();
        rows::until(&mut watcher, status).await;
    }
    place.end().await;
}

#[tokio::test]
async fn a_number_that_is_taken_past_us_is_refused_by_the_index() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    // A store that retires no rows, over a table with the index.
    let options = StoreOptions::default().duplicates(DuplicatePolicy::Companions);
    let without_retiring = place.open(options).await.unwrap();
    for session in ["one", "two"] {
        store.register(&key(session)).await.unwrap();
    }
    store.apply(&ready("one", "628110000041")).await.unwrap();
    let error = without_retiring
        .apply(&ready("two", "628110000041"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "number_already_connected");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("unique") && !source.contains("628110000041"),
        "{source}"
    );
    place.end().await;
}

#[tokio::test]
async fn values_and_servers_that_fail_are_named() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        let words = SessionKey::new("a workspace", "s").unwrap();
        let error = store.register(&words).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            ("invalid_event", false)
        );
        store.register(&key("s")).await.unwrap();
        place.run("drop table whatsapp_phone_sessions").await;
        let error = store.apply(&ready("s", "628110000041")).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            ("misconfigured", false)
        );
        place.end().await;
    })
    .await;
    let options = StoreOptions::default().deadline(Duration::from_millis(300));
    for url in [
        "postgres://nobody@127.0.0.1:1/none",
        "mysql://nobody@127.0.0.1:1/none",
    ] {
        let error = match url.starts_with("postgres") {
            true => whatsapp_phone::store::postgres::PostgresStore::connect(url, options.clone())
                .await
                .unwrap_err(),
            false => whatsapp_phone::store::mysql::MySqlStore::connect(url, options.clone())
                .await
                .unwrap_err(),
        };
        assert_eq!(
            (error.code(), error.is_transient()),
            ("storage", true),
            "{error:?}"
        );
    }
    let error = whatsapp_phone::store::sqlite::SqliteStore::connect("mysql://", options).await;
    assert_eq!(error.unwrap_err().code(), "misconfigured");
    for url in [
        "sqlite::memory:",
        "sqlite:x?mode=memory",
        "sqlite:",
        "sqlite://",
    ] {
        let options = StoreOptions::default();
        let error = whatsapp_phone::store::sqlite::SqliteStore::connect(url, options).await;
        assert_eq!(error.unwrap_err().code(), "misconfigured");
    }
}

#[tokio::test]
async fn a_store_goes_on_where_another_ended() {
    on_each(async |place| {
        let event = ready("s", "628110000041").with_seq(1);
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        store.apply(&event).await.unwrap();
        drop(store);
        let store = place.open(StoreOptions::default()).await.unwrap();
        assert!(matches!(
            store.apply(&event).await.unwrap(),
            Outcome::Ignored(_)
        ));
        let row = store.register(&key("s")).await.unwrap();
        assert_eq!(
            (row.status, row.last_seq, row.version),
            (Status::Connected, Some(1), 1)
        );
        place.end().await;
    })
    .await;
}
