//! Disks that are full, statements that can never work, and tasks that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use whatsapp_phone::event::SessionEvent;
use whatsapp_phone::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, Status, StoreOptions};

use super::database::{Kind, Place};
use super::time::until as until_true;
use super::{key, ready};

#[tokio::test]
async fn a_full_disk_is_transient() {
    let place = Place::new(Kind::Sqlite).await;
    place.open(StoreOptions::default()).await.unwrap();
    let pages = place.text("select cast(page_count as text) from pragma_page_count()");
    let pages = pages.await.unwrap();
    let file: SqliteConnectOptions = place.url.parse().unwrap();
    let pool = SqlitePoolOptions::new();
    let pool = pool.connect_with(file.pragma("max_page_count", pages));
    let store = SqliteStore::from_pool(pool.await.unwrap(), StoreOptions::default());
    let store = store.await.unwrap();
    // Until no page is left.
    let mut session = 0;
    let error = loop {
        session += 1;
        match store.register(&key(&format!("s{session}"))).await {
            Ok(_) => assert!(session < 10_000, "the file has no limit"),
            Err(error) => break error,
        }
    };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!((error.code(), error.is_transient()), ("storage", true));
    assert!(source.contains("full"), "{source}");
    // Once there is room again, the same call works.
    let store = place.open(StoreOptions::default()).await.unwrap();
    store.register(&key(&format!("s{session}"))).await.unwrap();
    place.end().await;
}

#[tokio::test]
async fn statements_that_can_never_work_are_permanent() {
    let signal = |number: &str| {
        format!(
            "create trigger forbids before update on whatsapp_accounts for each row
            signal sqlstate '45000' set message_text = 'forbidden'{number}"
        )
    };
    let function = "create function forbids() returns trigger language plpgsql as
        $$ begin raise exception 'forbidden'; end $$;
        create trigger forbids before update on whatsapp_accounts
            for each row execute function forbids()";
    for (kind, trigger, code) in [
        (Kind::MySql, signal(""), "1644"),
        // As the binary log's format makes it fail.
        (Kind::MySql, signal(", mysql_errno = 1665"), "1665"),
        (Kind::Postgres, function.to_owned(), "P0001"),
    ] {
        let place = Place::new(kind).await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        place.run(&trigger).await;
        let error = store.apply(&ready("s", "628110000041")).await.unwrap_err();
        assert!(!error.is_transient(), "{kind} {code}: {error:?}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("forbidden"), "{kind} {code}: {source}");
        place.end().await;
    }
}

/// Panics in the task that follows watched sessions, the first time that it logs something.
struct Panics(Arc<AtomicBool>);

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let is_follower = about.target().ends_with("::follow") && *about.level() == Level::WARN;
        if is_follower && !self.0.swap(true, Ordering::Relaxed) {
            panic!("the test makes the follower panic");
        }
    }
}

#[tokio::test]
async fn a_follower_that_panics_starts_again() {
    let place = Place::new(Kind::Sqlite).await;
    let options = StoreOptions::default().poll_every(Duration::from_millis(20));
    let store = place.open(options).await.unwrap();
    for session in ["s", "unrecognised"] {
        store.register(&key(session)).await.unwrap();
    }
    let watcher = store.watch(&key("s").session_id).await.unwrap();
    let _unrecognised = store.watch(&key("unrecognised").session_id).await.unwrap();
    let has_panicked = Arc::new(AtomicBool::new(false));
    let subscriber = Registry::default().with(Panics(has_panicked.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    place
        .run("update whatsapp_accounts set status = 'paused' where session_id = 'unrecognised'")
        .await;
    until_true("it panics", || has_panicked.load(Ordering::Relaxed)).await;
    // The watcher, which would start it again too, is not awaited.
    place
        .run("update whatsapp_accounts set status = 'disconnected' where session_id = 's'")
        .await;
    let is_seen = || watcher.current().status == Status::Disconnected;
    until_true("the status is seen", is_seen).await;
    place.end().await;
}

#[tokio::test]
async fn a_client_of_mysql_sets_its_wait_timeout_for_the_transaction_alone() {
    use whatsapp_phone::sqlx::query_scalar;

    let place = Place::zoned_mysql().await;
    let store = place.mysql_over_one(StoreOptions::default()).await;
    let pool = store.pool().clone();
    store.register(&key("s")).await.unwrap();
    place
        .run(
            "create table timeouts (seconds int, idle int);
            create trigger notes before update on whatsapp_accounts for each row
                insert into timeouts values (@@session.wait_timeout, @@session.idle_transaction_timeout)",
        )
        .await;
    let restored = async || {
        let timeout = query_scalar("select cast(@@session.wait_timeout as signed)");
        let timeout: i64 = timeout.fetch_one(&pool).await.unwrap();
        assert_eq!(timeout, 28_800);
    };
    store.apply(&ready("s", "628110000041")).await.unwrap();
    let seen = place.text("select distinct concat(seconds, ' ', idle) from timeouts");
    assert_eq!(seen.await.as_deref(), Some("5 0"));
    restored().await;
    // After an error, too.
    place
        .run(
            "drop trigger notes;
            create trigger forbids before update on whatsapp_accounts for each row
                signal sqlstate '45000' set message_text = 'forbidden'",
        )
        .await;
    let gone = SessionEvent::session_disconnected(key("s"), "");
    store.apply(&gone).await.unwrap_err();
    restored().await;
    place.end().await;
}

#[tokio::test]
async fn a_server_in_another_time_zone_gives_up_no_session_early() {
    for kind in [Kind::Postgres, Kind::MySql] {
        // As Laravel writes it: a text in UTC, over a connection in the server's zone.
        let (place, zone, now) = match kind {
            Kind::MySql => (
                Place::zoned_mysql().await,
                "",
                "date_format(utc_timestamp(), '%Y-%m-%d %H:%i:%s')",
            ),
            _ => (
                Place::new(kind).await,
                "set timezone = 'Asia/Jakarta';",
                "to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')::timestamptz",
            ),
        };
        place.open(StoreOptions::default()).await.unwrap();
        if kind == Kind::Postgres {
            for column in [
                "last_connected_at",
                "created_at",
                "updated_at",
                "deleted_at",
            ] {
                let zoned = "alter table whatsapp_accounts alter column";
                place
                    .run(&format!("{zoned} {column} type timestamptz"))
                    .await;
            }
        }
        let store = place.open(StoreOptions::default()).await.unwrap();
        place
            .run(&format!(
                "{zone} insert into whatsapp_accounts (workspace_id, session_id, status, created_at, updated_at)
                values (7, 'laravel', 'qr_scanning', {now}, {now})"
            ))
            .await;
        store.register(&key("ours")).await.unwrap();
        let hour = Duration::from_secs(3600);
        assert_eq!(store.sweep_stuck(hour).await.unwrap(), [], "{kind}");
        // An hour later Laravel has written its row again; ours is unchanged.
        let later = "update whatsapp_phone_sessions set seen_at = seen_at - 3601";
        place.run(later).await;
        let writes = format!(
            "{zone} update whatsapp_accounts set updated_at = {now} + interval {} where session_id = 'laravel'",
            if kind == Kind::MySql {
                "9 second"
            } else {
                "'9 s'"
            }
        );
        place.run(&writes).await;
        let swept = store.sweep_stuck(hour).await.unwrap();
        let swept: Vec<_> = swept.iter().map(|one| &one.session).collect();
        assert_eq!(swept, [&key("ours")], "{kind}");
        place.run(later).await;
        let swept = store.sweep_stuck(hour).await.unwrap();
        let swept: Vec<_> = swept.iter().map(|one| &one.session).collect();
        assert_eq!(swept, [&key("laravel")], "{kind}");
        place.end().await;
    }
}
