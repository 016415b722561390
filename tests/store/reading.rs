//! Lists, watched workspaces and deleted sessions, on tables that other programs write too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use whatsapp_phone::event::{Failed, SessionEvent};
use whatsapp_phone::sqlx::{
    AssertSqlSafe, query_as, query_scalar, raw_sql, sqlite::SqlitePoolOptions,
};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{
    SessionQuery, SessionStore, Status, StoreErrorKind, StoreOptions, WorkspaceWatcher,
};

use super::time::within_limit;
use super::{Kind, Place, cell, key, on_each, ready};

const ROWS: usize = 100_000;
const OF_ONE_WORKSPACE: usize = 1_000;
const PAGE: usize = 100;

/// A table of 100,000 rows, and as many beside it; each workspace has 1,000.
async fn fill(place: &Place) {
    let numbers = match place.kind {
        Kind::Sqlite => {
            "(WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 100000) SELECT seq FROM n)"
        }
        Kind::Postgres => "(SELECT generate_series(1, 100000) AS seq)",
        Kind::MySql => "seq_1_to_100000",
    };
    let text = match place.kind {
        Kind::MySql => "char",
        _ => "text",
    };
    let accounts = format!(
        "INSERT INTO whatsapp_accounts (workspace_id, session_id, status)
        SELECT n.seq % 100, concat('session-', cast(n.seq AS {text})), 'disconnected' FROM {numbers} n"
    );
    place.run(&accounts).await;
    place
        .run(
            "INSERT INTO whatsapp_phone_sessions (account_id, session_id, life, version, shows_error, seen_at)
            SELECT id, session_id, id, 0, 0, 0 FROM whatsapp_accounts",
        )
        .await;
    let analyse = match place.kind {
        Kind::MySql => "ANALYZE TABLE whatsapp_accounts, whatsapp_phone_sessions",
        _ => "ANALYZE",
    };
    place.run(analyse).await;
}

/// Lists workspace 7, and returns the work of each page.
async fn work_of_pages(
    store: &dyn SessionStore,
    work: impl AsyncFn() -> u64,
    query: SessionQuery,
    pages: usize,
) -> Vec<u64> {
    let mut query = query.limit(PAGE);
    let mut works = Vec::new();
    for _ in 0..pages {
        let before = work().await;
        let page = store.sessions(&query).await.unwrap();
        works.push(work().await - before);
        assert_eq!(page.rows.len(), PAGE);
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    works
}

/// The pages of a list cost the same, and far less than a look at every row.
async fn assert_bounded(
    store: &dyn SessionStore,
    work: impl AsyncFn() -> u64,
    at_most: u64,
    kind: Kind,
) {
    for query in [
        SessionQuery::default().workspace(7),
        SessionQuery::default(),
    ] {
        let pages = OF_ONE_WORKSPACE / PAGE;
        let works = work_of_pages(store, &work, query, pages).await;
        println!(
            "{kind}: work of {} pages of {PAGE} rows: {works:?}",
            works.len()
        );
        assert_eq!(works.len(), pages);
        assert!(works.iter().all(|&work| work <= at_most), "{works:?}");
    }
    let began = Instant::now();
    let mut query = SessionQuery::default().limit(SessionQuery::MAX_LIMIT);
    let mut rows = 0;
    loop {
        let page = store.sessions(&query).await.unwrap();
        rows += page.rows.len();
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    assert_eq!(rows, ROWS);
    println!("{kind}: all {ROWS} rows in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_page_of_sqlite_reads_its_rows_alone() {
    let place = Place::new(Kind::Sqlite).await;
    let operations = Arc::new(AtomicU64::new(0));
    let counted = operations.clone();
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .after_connect(move |connection, _| {
            let counted = counted.clone();
            Box::pin(async move {
                let mut handle = connection.lock_handle().await?;
                handle.set_progress_handler(10, move || {
                    counted.fetch_add(10, Ordering::Relaxed);
                    true
                });
                Ok(())
            })
        });
    let pool = pool.connect(&place.url).await.unwrap();
    let options = StoreOptions::default().create_tables();
    let store = SqliteStore::from_pool(pool, options).await.unwrap();
    fill(&place).await;
    let work = async || operations.load(Ordering::Relaxed);
    // A row takes about 100 steps of the virtual machine, so a look at all would take a million at least.
    assert_bounded(&store, work, 30_000, place.kind).await;
    place.end().await;
}

#[tokio::test]
async fn a_page_of_mysql_reads_its_rows_alone() {
    let place = Place::new(Kind::MySql).await;
    let store = place.mysql_over_one(StoreOptions::default()).await;
    fill(&place).await;
    let work = async || {
        let status = "SHOW SESSION STATUS LIKE 'Handler_read%'";
        let status: Vec<(String, String)> = query_as(status).fetch_all(store.pool()).await.unwrap();
        let read = status.iter().map(|(_, rows)| rows.parse::<u64>().unwrap());
        read.sum()
    };
    // A row, and the one beside it.
    assert_bounded(&store, work, 3 * PAGE as u64, place.kind).await;
    place.end().await;
}

#[tokio::test]
async fn a_page_of_postgres_reads_its_rows_alone() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.postgres_over_one(StoreOptions::default()).await;
    fill(&place).await;
    assert_bounded(&store, async || 0, 0, place.kind).await;
    // The statements of the store itself, as its connection has prepared them.
    let prepared = "SELECT name, array_length(parameter_types, 1) FROM pg_prepared_statements
        WHERE statement LIKE '%ORDER BY a.id LIMIT 101'";
    let prepared: Vec<(String, i32)> = query_as(prepared).fetch_all(store.pool()).await.unwrap();
    assert_eq!(prepared.len(), 2);
    for (name, parameters) in prepared {
        for after in ["-1", "90000"] {
            let workspace = if parameters == 2 { ", '7'" } else { "" };
            let explain =
                format!("EXPLAIN (ANALYZE, TIMING OFF) EXECUTE {name}('{after}'{workspace})");
            let plan = query_scalar::<_, String>(AssertSqlSafe(explain));
            let plan = plan.fetch_all(store.pool()).await.unwrap().join("\n");
            println!("{plan}");
            let actual = plan.split("(actual rows=").skip(1);
            let actual = actual.map(|rest| rest.split(' ').next().unwrap().parse::<f64>().unwrap());
            assert!(actual.clone().count() >= 3, "{plan}");
            assert!(actual.fold(0., f64::max) <= 101., "{plan}");
        }
    }
    place.end().await;
}

async fn sees(watcher: &mut WorkspaceWatcher, expected: &[(&str, Status)]) {
    let mut latest = HashMap::new();
    let is_seen = |latest: &HashMap<_, _>| {
        let mut expected = expected.iter();
        expected.all(|&(session, status)| latest.get(&key(session)) == Some(&status))
    };
    while !is_seen(&latest) {
        let wanted = format!("{expected:?} after {latest:?}");
        let change = within_limit(&wanted, watcher.changed()).await;
        let change = change.unwrap_or_else(|| panic!("the watcher ended before {wanted}"));
        latest.insert(change.session, change.status);
    }
}

#[tokio::test]
async fn a_watched_workspace_shows_what_other_programs_write() {
    on_each(async |place| {
        let options = StoreOptions::default().poll_every(Duration::from_millis(20));
        let store = place.open(options).await.unwrap();
        for session in ["changed", "soft-deleted", "deleted"] {
            store.register(&key(session)).await.unwrap();
        }
        let workspace = key("changed").workspace_id;
        let mut watcher = store.watch_workspace(&workspace).await.unwrap();
        let start = ["changed", "soft-deleted", "deleted"].map(|one| (one, Status::QrScanning));
        sees(&mut watcher, &start).await;
        place
            .run(
                "UPDATE whatsapp_accounts SET status = 'connected', phone_number = '628110000041'
                    WHERE session_id = 'changed';
                UPDATE whatsapp_accounts SET deleted_at = CURRENT_TIMESTAMP WHERE session_id = 'soft-deleted';
                DELETE FROM whatsapp_accounts WHERE session_id = 'deleted';
                INSERT INTO whatsapp_accounts (workspace_id, session_id, status) VALUES (7, 'new', 'disconnected')",
            )
            .await;
        let end = [
            ("changed", Status::Connected),
            ("soft-deleted", Status::Failed),
            ("deleted", Status::Failed),
            ("new", Status::Disconnected),
        ];
        sees(&mut watcher, &end).await;
        let listed = store.sessions(&SessionQuery::default()).await.unwrap();
        assert_eq!(listed.rows.len(), 2, "{listed:?}");
        drop(store);
        let ended = within_limit("the watcher ends with its store", watcher.changed()).await;
        assert_eq!(ended, None, "the store was dropped");
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_error_lasts_until_another_program_writes_the_row() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let failed = Failed::new("not_ready", "no number from 628110000041@c.us");
        let failed = SessionEvent::session_error(key("s"), failed);
        store.apply(&failed).await.unwrap();
        let row = store.session(&key("s").session_id).await.unwrap().unwrap();
        let error = row.error.unwrap();
        assert_eq!(error.code, "not_ready");
        assert_eq!(error.message, "no number from 62********41@c.us");
        let later =
            "UPDATE whatsapp_accounts SET metadata = '{}', updated_at = '2031-01-01 00:00:00'";
        place.run(later).await;
        let row = store.session(&key("s").session_id).await.unwrap().unwrap();
        assert_eq!((row.status, row.error), (Status::Error, None));
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_session_leaves_its_row_without_a_number() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        store.apply(&ready("s", "628110000041")).await.unwrap();
        store.delete(&key("s")).await.unwrap();
        assert_eq!(cell(&place, "s", "status").await.as_deref(), Some("failed"));
        assert_eq!(cell(&place, "s", "phone_number").await, None);
        assert_ne!(cell(&place, "s", "deleted_at").await, None);
        let again = store.delete(&key("s")).await.unwrap_err();
        assert_eq!(again.kind(), StoreErrorKind::UnknownSession);
        let cursor = SessionQuery::default().after("1 OR 1=1".parse().unwrap());
        let invalid = store.sessions(&cursor).await.unwrap_err();
        assert_eq!(invalid.kind(), StoreErrorKind::InvalidCursor);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_host_shares_the_pool() {
    let place = Place::new(Kind::Sqlite).await;
    let options = StoreOptions::default().create_tables();
    let store = SqliteStore::connect(&place.url, options).await.unwrap();
    let make = raw_sql("CREATE TABLE hosts_own (id integer)");
    make.execute(store.pool()).await.unwrap();
    let other = SqliteStore::from_pool(store.pool().clone(), StoreOptions::default());
    other.await.unwrap().register(&key("s")).await.unwrap();
    assert!(store.session(&key("s").session_id).await.unwrap().is_some());
    place.end().await;
}
