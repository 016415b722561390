//! Rows, times, locks and notifications of other programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::interval;
use whatsapp_phone::event::{Failed, SessionEvent};
use whatsapp_phone::sqlx::Executor;
use whatsapp_phone::sqlx::mysql::MySqlPoolOptions;
use whatsapp_phone::sqlx::postgres::PgPoolOptions;
use whatsapp_phone::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::postgres::PostgresStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{Outcome, SessionStore, Status, StoreOptions};

use super::database::{Kind, Place};
use super::rows::until;
use super::time::{until_async, within_limit};
use super::{cell, key, on_each, ready};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_number_counts_in_every_spelling() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["theirs", "ours"] {
            store.register(&key(session)).await.unwrap();
        }
        let theirs = async |number: &str, status: &str| {
            let sql = format!("delete from whatsapp_phone_sessions where session_id = 'theirs';
                update whatsapp_accounts set phone_number = '{number}', status = '{status}', deleted_at = null where session_id = 'theirs'");
            place.run(&sql).await;
        };
        // These are found by the index at once ...
        for number in ["628110000041", "+628110000041", "628110000041@c.us", "628110000041@s.whatsapp.net"] {
            theirs(number, "connected").await;
            let error = store.apply(&ready("ours", "628110000041")).await.unwrap_err();
            assert_eq!(error.code(), "number_already_connected", "{number}");
        }
        // ... and these from the next scan on.
        for number in ["+62 811-000-0041", "+628110000041@c.us", "628110000041\n", "628110000041:12@s.whatsapp.net"] {
            theirs(number, "connected").await;
            store.sweep_stuck(HOUR).await.unwrap();
            let error = store.apply(&ready("ours", "628110000041")).await.unwrap_err();
            assert_eq!(error.code(), "number_already_connected", "{number}");
        }
        // A status changes, the spelling does not.
        let gone = SessionEvent::session_disconnected(key("theirs"), "");
        store.apply(&gone).await.unwrap();
        let written = cell(&place, "theirs", "phone_number").await;
        assert_eq!(written.as_deref(), Some("628110000041:12@s.whatsapp.net"));
        let Outcome::Applied { retired, .. } = store.apply(&ready("ours", "628110000041")).await.unwrap() else {
            panic!("it is applied");
        };
        assert_eq!(retired.len(), 1, "{:?}", place.kind);
        assert_eq!(cell(&place, "theirs", "phone_number").await, None);
        let kept = place.texts("select kept_number from whatsapp_phone_sessions where kept_number is not null");
        assert_eq!(kept.await, [Some("628110000041".to_owned())]);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_reconnects_finds_its_number_in_every_spelling() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["theirs", "ours"] {
            store.register(&key(session)).await.unwrap();
        }
        store
            .apply(&ready("ours", "628110000041"))
            .await
            .unwrap();
        let gone = SessionEvent::session_disconnected(key("ours"), "");
        store.apply(&gone).await.unwrap();
        let reconnect = async || {
            store
                .apply(&SessionEvent::session_reconnected(key("ours")))
                .await
        };
        for number in [
            "+628110000041",
            "628110000041@c.us",
            "628110000041@s.whatsapp.net",
            "+62 811-000-0041",
        ] {
            let sql = format!(
                "update whatsapp_accounts set phone_number = '{number}', status = 'connected' where session_id = 'theirs'"
            );
            place.run(&sql).await;
            store.sweep_stuck(HOUR).await.unwrap();
            let error = reconnect().await.unwrap_err();
            assert_eq!(error.code(), "number_already_connected", "{number}");
        }
        place
            .run("update whatsapp_accounts set status = 'disconnected' where session_id = 'theirs'")
            .await;
        let Outcome::Applied { change, retired } = reconnect().await.unwrap() else {
            panic!("it is applied");
        };
        assert_eq!((change.status, retired.len()), (Status::Connected, 1));
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_text_that_is_no_number_is_replaced() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("session")).await.unwrap();
        for text in ["unknown", "unknown@c.us", ""] {
            let sql = format!(
                "update whatsapp_accounts set phone_number = '{text}' where session_id = 'session'"
            );
            place.run(&sql).await;
            store
                .apply(&ready("session", "628110000041"))
                .await
                .unwrap();
            let number = cell(&place, "session", "phone_number").await;
            assert_eq!(number.as_deref(), Some("628110000041"), "{text}");
        }
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_retired_row_that_was_restored_blocks_no_session() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["old", "new"] {
            store.register(&key(session)).await.unwrap();
            store.apply(&ready(session, "628110000041")).await.unwrap();
            store
                .apply(&SessionEvent::session_disconnected(key(session), ""))
                .await
                .unwrap();
        }
        place
            .run("update whatsapp_accounts set deleted_at = null where session_id = 'old'")
            .await;
        store.apply(&ready("new", "628110000041")).await.unwrap();
        let row = store
            .session(&key("new").session_id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.status, Status::Connected);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_new_row_with_an_old_id_starts_fresh() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        let event = ready("s", "628110000041").with_seq(7);
        for (round, created) in ["2026-01-01 00:00:00", "2026-01-02 00:00:00"].iter().enumerate() {
            place.run("delete from whatsapp_accounts").await;
            place
                .run(&format!(
                    "insert into whatsapp_accounts (id, workspace_id, session_id, status, created_at)
                    values (1, 7, 's', 'qr_scanning', '{created}')"
                ))
                .await;
            let row = store.session(&key("s").session_id).await.unwrap().unwrap();
            assert_eq!((row.last_seq, row.version), (None, 0), "{:?} {round}", place.kind);
            let applied = store.apply(&event).await.unwrap();
            assert!(matches!(applied, Outcome::Applied { .. }), "{applied:?}");
            let again = store.apply(&event).await.unwrap();
            assert!(matches!(again, Outcome::Ignored(_)), "{again:?}");
        }
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_to_give_up_keeps_no_other() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["first", "refused", "last"] {
            store.register(&key(session)).await.unwrap();
        }
        let refuse = match place.kind {
            Kind::Sqlite => {
                "create trigger no_end before update on whatsapp_accounts
                when new.session_id = 'refused' and new.status = 'failed' begin select raise(abort, 'no'); end"
            }
            _ => {
                "alter table whatsapp_accounts add constraint no_end
                check (session_id <> 'refused' or status <> 'failed')"
            }
        };
        place.run(refuse).await;
        place
            .run("update whatsapp_phone_sessions set seen_at = 1")
            .await;
        let swept = store.sweep_stuck(HOUR).await.unwrap();
        let swept: Vec<_> = swept.iter().map(|change| &change.session).collect();
        assert_eq!(swept, [&key("first"), &key("last")], "{:?}", place.kind);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_sweep_leaves_the_row_that_replaced_an_orphan() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    store.register(&key("s")).await.unwrap();
    // Another store holds the row when its account is deleted. The sweep finds the orphan and waits for the row, and
    // the other store writes it for a new account.
    let replace = place.run(
        "begin;
        set local statement_timeout = '60s';
        update whatsapp_phone_sessions set life = life;
        lock table whatsapp_accounts in row share mode;
        do $$ begin
            while not exists (select from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid)))
            loop perform pg_sleep(0.01); end loop;
        end $$;
        insert into whatsapp_accounts (id, workspace_id, session_id, status, created_at)
            select account_id, 7, 's', 'qr_scanning', '2026-01-02' from whatsapp_phone_sessions;
        update whatsapp_phone_sessions set life = 7;
        commit",
    );
    let sweep = async {
        until_async("the row is held", async || {
            let held = "select 'held' from pg_locks where granted and mode = 'RowShareLock'
                and relation = 'whatsapp_accounts'::regclass";
            !place.texts(held).await.is_empty()
        })
        .await;
        place.run("delete from whatsapp_accounts").await;
        store.sweep_stuck(HOUR).await.unwrap();
    };
    tokio::join!(replace, sweep);
    let lives = place.texts("select life::text from whatsapp_phone_sessions");
    assert_eq!(lives.await, [Some("7".to_owned())]);
    place.end().await;
}

#[tokio::test]
async fn metadata_that_is_no_object_stays_unchanged() {
    on_each(async |place| {
        let make = match place.kind {
            Kind::MySql => "alter table whatsapp_accounts modify metadata longtext",
            Kind::Postgres => "alter table whatsapp_accounts alter metadata type text",
            Kind::Sqlite => "select 1",
        };
        place.open(StoreOptions::default()).await.unwrap();
        place.run(make).await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let digits = r#"{"big": 12345678901234567890.120, "list": []}"#;
        for (theirs, after) in [
            ("eyJpdiI6IjEyMyJ9==", "eyJpdiI6IjEyMyJ9=="),
            ("[1, 2]", "[1, 2]"),
            ("a:1:{i:0;s:1:\"a\";}", "a:1:{i:0;s:1:\"a\";}"),
            (digits, r#"{"big":12345678901234567890.120,"list":[],"last_error":"phone_extraction_failed","error_message":"no number"}"#),
        ] {
            place.run(&format!("update whatsapp_accounts set metadata = '{theirs}'")).await;
            let failed = Failed::new("not_ready", "no number");
            store.apply(&SessionEvent::session_error(key("s"), failed)).await.unwrap();
            assert_eq!(cell(&place, "s", "metadata").await.as_deref(), Some(after), "{:?}", place.kind);
        }
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn no_clock_of_another_program_counts() {
    let place = Place::new(Kind::MySql).await;
    let utc = place.open(StoreOptions::default()).await.unwrap();
    let zoned = MySqlPoolOptions::new().max_connections(2);
    let zoned = zoned.after_connect(|connection, _| {
        Box::pin(async {
            connection
                .execute("SET SESSION time_zone = '+07:00'")
                .await
                .map(drop)
        })
    });
    let zoned = zoned.connect(&place.url).await.unwrap();
    let zoned = MySqlStore::from_pool(zoned, StoreOptions::default())
        .await
        .unwrap();
    // As Laravel does: a text in UTC, over a connection in the server's zone.
    place
        .run(
            "set time_zone = '+07:00';
            insert into whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
            values (7, 'laravel', 'qr_scanning', utc_timestamp(), utc_timestamp())",
        )
        .await;
    for session in ["utc", "zoned"] {
        let store: &dyn SessionStore = if session == "utc" { &*utc } else { &zoned };
        store.register(&key(session)).await.unwrap();
    }
    for store in [&*utc, &zoned] {
        let swept = store.sweep_stuck(HOUR).await.unwrap();
        assert_eq!(swept, []);
    }
    // Both see the same state beside the row, whatever their zones.
    utc.apply(&ready("zoned", "628110000041").with_seq(3))
        .await
        .unwrap();
    let row = zoned
        .session(&key("zoned").session_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.last_seq, row.version), (Some(3), 1));
    place
        .run("update whatsapp_phone_sessions set seen_at = seen_at - 3601")
        .await;
    let swept = zoned.sweep_stuck(HOUR).await.unwrap();
    assert_eq!(swept.len(), 2, "{swept:?}");
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_see_the_last_state_whatever_is_notified() {
    let place = Place::new(Kind::Postgres).await;
    let options = StoreOptions::default().poll_every(Duration::from_millis(200));
    let store = place.open(options).await.unwrap();
    store.register(&key("s")).await.unwrap();
    let mut watcher = store.watch(&key("s").session_id).await.unwrap();
    let other = Place::new(Kind::Postgres).await;
    let noise = PgPoolOptions::new()
        .max_connections(1)
        .connect(&other.url)
        .await
        .unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let noise = tokio::spawn(async move {
        // 1,000 a second, of other schemas.
        let mut turns = interval(Duration::from_millis(100));
        while !over.load(Ordering::Relaxed) {
            let notify = "select pg_notify('whatsapp_phone_status', n || ' s'), pg_notify('whatsapp_phone_status_0', 's')
                from generate_series(1, 50) n";
            noise.execute(notify).await.unwrap();
            turns.tick().await;
        }
    });
    for round in 0..10 {
        // Past the store, so nothing is notified.
        let (status, name) = match round % 2 {
            0 => (Status::Disconnected, "disconnected"),
            _ => (Status::Error, "error"),
        };
        place
            .run(&format!("update whatsapp_accounts set status = '{name}'"))
            .await;
        until(&mut watcher, status).await;
    }
    is_over.store(true, Ordering::Relaxed);
    noise.await.unwrap();
    other.end().await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_outlives_the_runtime_that_it_began_in() {
    let place = Place::new(Kind::Postgres).await;
    let url = place.url.clone();
    let begun = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let options = StoreOptions::default().poll_every(Duration::from_millis(50));
            let store = Place::open_at(Kind::Postgres, &url, options).await.unwrap();
            store.register(&key("s")).await.unwrap();
            let watcher = store.watch(&key("s").session_id).await.unwrap();
            (store, watcher)
        })
    });
    let (store, mut watcher) = begun.join().unwrap();
    place
        .run("update whatsapp_accounts set status = 'disconnected'")
        .await;
    until(&mut watcher, Status::Disconnected).await;
    // The events' queue has ended with it, too, and so have the pool's connections.
    while let Err(error) = store.apply(&ready("s", "628110000041")).await {
        assert!(error.is_transient(), "{error:?}");
    }
    until(&mut watcher, Status::Connected).await;
    place.end().await;
}

#[tokio::test]
async fn a_pool_of_one_serves_watchers_and_events() {
    let place = Place::new(Kind::Postgres).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&place.url)
        .await
        .unwrap();
    let options = StoreOptions::default()
        .poll_every(Duration::MAX)
        .create_tables();
    let store = PostgresStore::from_pool(pool, options.clone())
        .await
        .unwrap();
    store.register(&key("s")).await.unwrap();
    let mut watcher = store.watch(&key("s").session_id).await.unwrap();
    let writer = place.open(options).await.unwrap();
    for round in 0..20 {
        let (event, status) = match round % 2 {
            0 => (ready("s", "628110000041"), Status::Connected),
            _ => (
                SessionEvent::session_disconnected(key("s"), ""),
                Status::Disconnected,
            ),
        };
        // The store itself and `NOTIFY` take turns to report the change.
        match round % 4 {
            // The first may come before the listener is connected.
            0 | 1 => drop(store.apply(&event).await.unwrap()),
            _ => {
                let listening = "select query from pg_stat_activity where query like 'LISTEN%'";
                until_async("it listens", async || {
                    !place.texts(listening).await.is_empty()
                })
                .await;
                writer.apply(&event).await.unwrap();
            }
        }
        until(&mut watcher, status).await;
    }
    place.end().await;
}

#[tokio::test]
async fn errors_name_their_reasons() {
    // No server listens there: reported long before the deadline.
    let options = StoreOptions::default().deadline(Duration::from_secs(300));
    for url in [
        "postgres://nobody@127.0.0.1:1/none",
        "mysql://nobody@127.0.0.1:1/none",
    ] {
        let kind = if url.starts_with("mysql") {
            Kind::MySql
        } else {
            Kind::Postgres
        };
        let opened = Place::open_at(kind, url, options.clone());
        let error = within_limit("it is refused", opened).await.err().unwrap();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            error.is_transient() && source.contains("refused"),
            "{error} {source}"
        );
    }
    let error = Place::open_at(Kind::Sqlite, "sqlite:/nowhere/at/all.db", options)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), "misconfigured");
    assert!(error.to_string().contains("/nowhere/at/all.db"), "{error}");

    // A file that may only be read, for now.
    let place = Place::new(Kind::Sqlite).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    store.register(&key("s")).await.unwrap();
    let file: SqliteConnectOptions = place.url.parse().unwrap();
    let pool = SqlitePoolOptions::new()
        .connect_with(file.read_only(true))
        .await
        .unwrap();
    let reader = SqliteStore::from_pool(pool, StoreOptions::default())
        .await
        .unwrap();
    let error = reader.apply(&ready("s", "628110000041")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        ("storage", true),
        "{error:?}"
    );
    place.end().await;
}
