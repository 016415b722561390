//! Rows that other programs write, delete and make again, and jobs that fail among others.

use std::fmt::Write;
use std::time::Duration;

use futures_util::future::join_all;
use whatsapp_phone::event::{EventId, Failed, SessionEvent, SessionId, SessionKey};
use whatsapp_phone::sqlx;
use whatsapp_phone::store::{
    Outcome, SessionStore, Status, StatusWatcher, StoreError, StoreOptions,
};

use super::database::{Kind, Place};
use super::time::{until_async, within_limit};
use super::{cell, key, on_each, ready};

pub(crate) async fn until(watcher: &mut StatusWatcher, status: Status) {
    within_limit("the status is seen", async {
        while watcher.current().status != status {
            watcher.changed().await.unwrap();
        }
    })
    .await;
}

fn eager() -> StoreOptions {
    StoreOptions::default().poll_every(Duration::from_millis(20))
}

#[tokio::test]
async fn a_workspace_has_one_name_and_a_refusal_leaves_nothing_behind() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for workspace in ["007", "+7", "-0"] {
            let session = SessionKey::new(workspace, "s").unwrap();
            let error = store.register(&session).await.unwrap_err();
            assert_eq!(error.code(), "invalid_event", "{workspace}");
        }
        let rows = place.texts("select session_id from whatsapp_accounts");
        assert_eq!(rows.await, []);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn unrecognised_rows_are_skipped() {
    on_each(async |place| {
        let store = place.open(eager()).await.unwrap();
        let long_ago = "'2020-01-01 00:00:00'";
        for session in ["good", "paused", "stuck"] {
            store.register(&key(session)).await.unwrap();
        }
        let mut good = store.watch(&key("good").session_id).await.unwrap();
        let paused = store.watch(&key("paused").session_id).await.unwrap();
        place
            .run(&format!(
                "update whatsapp_accounts set status = 'paused' where session_id = 'paused';
                insert into whatsapp_accounts (workspace_id, session_id, status, phone_number, updated_at)
                values (7, '', 'qr_scanning', '628110000041', {long_ago});
                update whatsapp_phone_sessions set seen_at = 1 where session_id in ('stuck', '')"
            ))
            .await;
        let id: SessionId = key("paused").session_id;
        assert_eq!(store.session(&id).await.unwrap_err().code(), "storage");

        // Watchers of others continue.
        place
            .run("update whatsapp_accounts set status = 'error' where session_id = 'good'")
            .await;
        until(&mut good, Status::Error).await;
        assert_eq!(paused.current().status, Status::QrScanning);

        // It holds its number, and is not given up, since it is no valid session's.
        let error = store.apply(&ready("good", "628110000041")).await.unwrap_err();
        assert_eq!(error.code(), "number_already_connected");
        store.apply(&ready("good", "628110000042")).await.unwrap();
        let swept = store.sweep_stuck(Duration::from_secs(3600)).await.unwrap();
        let swept: Vec<_> = swept.iter().map(|one| &one.session).collect();
        assert_eq!(swept, [&key("stuck")]);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn watchers_see_that_another_program_deletes_a_row_and_makes_it_again() {
    on_each(async |place| {
        let store = place.open(eager()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        for number in 0..3 {
            let event = match number {
                1 => SessionEvent::session_disconnected(key("s"), ""),
                _ => ready("s", "628110000041"),
            };
            store.apply(&event).await.unwrap();
        }
        let mut watcher = store.watch(&key("s").session_id).await.unwrap();
        place
            .run("update whatsapp_accounts set deleted_at = '2020-01-01 00:00:00'")
            .await;
        until(&mut watcher, Status::Failed).await;
        place
            .run("update whatsapp_accounts set deleted_at = null")
            .await;
        until(&mut watcher, Status::Connected).await;
        place.run("delete from whatsapp_accounts").await;
        until(&mut watcher, Status::Failed).await;
        // Its versions begin again.
        let row = store.register(&key("s")).await.unwrap();
        assert_eq!(row.version, 0);
        until(&mut watcher, Status::QrScanning).await;
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn ids_of_long_ago_are_forgotten_however_many_they_are() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        let mut ids = String::from("insert into whatsapp_phone_applied values ");
        for id in 0..12_000 {
            let comma = if id == 0 { "" } else { "," };
            write!(ids, "{comma} (1, 'e{id}', 1577836800)").unwrap();
        }
        place.run(&ids).await;
        store.sweep_stuck(Duration::from_secs(3600)).await.unwrap();
        let left = place.texts("select event_id from whatsapp_phone_applied");
        assert_eq!(left.await, []);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn rows_of_deleted_accounts_are_removed_from_the_side_table() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["kept", "deleted", "another"] {
            store.register(&key(session)).await.unwrap();
        }
        store
            .apply(&ready("another", "628110000041"))
            .await
            .unwrap();
        let mut rows = String::from(
            "insert into whatsapp_phone_sessions
            (account_id, session_id, life, version, shows_error, seen_at) values ",
        );
        for id in 1000..1600 {
            let comma = if id == 1000 { "" } else { "," };
            write!(rows, "{comma} ({id}, 'never there', 1, 0, 0, 1)").unwrap();
        }
        // The last one has an old id, and is another account.
        place
            .run(&format!(
                "{rows}; delete from whatsapp_accounts where session_id = 'deleted';
                update whatsapp_accounts set created_at = '2020-01-01 00:00:00'
                where session_id = 'another'"
            ))
            .await;
        store.sweep_stuck(Duration::from_secs(3600)).await.unwrap();
        let left = place.texts("select session_id from whatsapp_phone_sessions");
        assert_eq!(left.await, [Some("kept".to_owned())], "{:?}", place.kind);
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn retention_runs_by_itself() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        place
            .run(
                "insert into whatsapp_phone_applied values (1, 'old', 1577836800);
                insert into whatsapp_phone_sessions
                (account_id, session_id, life, version, shows_error, seen_at)
                values (1000, 'gone', 1, 0, 0, 1)",
            )
            .await;
        store.apply(&ready("s", "628110000041")).await.unwrap();
        until_async("old rows are deleted", async || {
            let old = "select event_id from whatsapp_phone_applied where event_id = 'old'
                union all select session_id from whatsapp_phone_sessions where session_id = 'gone'";
            place.texts(old).await.is_empty()
        })
        .await;
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_taken_up_again_is_not_stuck() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["left", "taken up"] {
            store.register(&key(session)).await.unwrap();
        }
        let ago = "update whatsapp_phone_sessions set seen_at = seen_at - 3601";
        place.run(ago).await;
        store.register(&key("taken up")).await.unwrap();
        let swept = store.sweep_stuck(Duration::from_secs(3600)).await.unwrap();
        let swept: Vec<_> = swept.iter().map(|swept| &swept.session).collect();
        assert_eq!(swept, [&key("left")], "{:?}", place.kind);
        place.end().await;
    })
    .await;
}

/// All of them handed in before the first is answered, in this order.
async fn at_once(
    store: &dyn SessionStore,
    events: &[SessionEvent],
) -> Vec<Result<Outcome, StoreError>> {
    join_all(events.iter().map(|event| store.apply(event))).await
}

#[tokio::test]
async fn events_that_share_a_transaction_see_each_other() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["one", "two", "three"] {
            store.register(&key(session)).await.unwrap();
        }
        let gone = |session: &str| SessionEvent::session_disconnected(key(session), "");
        let again = ready("three", "628110000043");
        let failed = Failed::new("not_ready", "no number");
        let outcomes = at_once(
            &store,
            &[
                ready("one", "628110000041"),
                // The number is held by one that is live ...
                ready("two", "628110000041"),
                gone("one"),
                // ... and now by one that is not.
                ready("two", "628110000041"),
                ready("nobody", "628110000042"),
                gone("one"),
                SessionEvent::session_error(key("three"), failed),
                again.clone(),
                again,
                gone("three").with_seq(7),
                gone("three").with_seq(7),
            ],
        )
        .await;
        let said: Vec<_> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Ok(Outcome::Applied { change, retired }) => {
                    format!("{} {} {}", change.status, change.version, retired.len())
                }
                Ok(Outcome::Ignored(why)) => format!("{why:?}"),
                Ok(other) => format!("{other:?}"),
                Err(error) => error.code().to_owned(),
            })
            .collect();
        assert_eq!(
            said,
            [
                "connected 1 0",
                "number_already_connected",
                "disconnected 2 0",
                "connected 1 1",
                "unknown_session",
                "unknown_session",
                "error 1 0",
                "connected 2 0",
                "Repeated",
                "disconnected 3 0",
                "OutOfOrder",
            ],
            "{:?}",
            place.kind
        );
        let rows = place.texts(
            "select concat(session_id, ' ', status, ' ', coalesce(phone_number, '-'))
            from whatsapp_accounts order by id",
        );
        let rows: Vec<_> = rows.await.into_iter().flatten().collect();
        assert_eq!(
            rows,
            [
                "one failed -",
                "two connected 628110000041",
                "three disconnected 628110000043",
            ]
        );
        let metadata = cell(&place, "three", "metadata").await;
        assert!(metadata.unwrap().contains("no number"));
        let noted = place.texts("select event_id from whatsapp_phone_applied");
        assert_eq!(noted.await.len(), 6);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_job_that_fails_among_others_fails_alone() {
    for how in ["abort", "rollback"] {
        let place = Place::new(Kind::Sqlite).await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        let store: std::sync::Arc<dyn SessionStore> = store.into();
        place
            .run(&format!(
                "create trigger bad after update on whatsapp_accounts
                    when new.session_id = 's31' and new.status = 'connected'
                    begin select raise({how}, 'bad'); end"
            ))
            .await;
        for session in 0..64 {
            store.register(&key(&format!("s{session}"))).await.unwrap();
        }
        let mut tasks = tokio::task::JoinSet::new();
        for session in 0..64 {
            let store = store.clone();
            let phone = format!("6281100000{session:02}");
            let event = ready(&format!("s{session}"), &phone);
            tasks.spawn(async move { (session, store.apply(&event).await) });
        }
        while let Some(done) = tasks.join_next().await {
            let (session, done) = done.unwrap();
            match done {
                Ok(_) => assert_ne!(session, 31),
                Err(error) => {
                    let said = (session, error.code(), error.is_transient());
                    assert_eq!(said, (31, "storage", false), "{error:?}");
                }
            }
        }
        let rest = "select session_id from whatsapp_accounts where status = 'connected'";
        assert_eq!(place.texts(rest).await.len(), 63);
        place.end().await;
    }
}

/// PostgreSQL keeps a plan for as long as it has no newer statistics.
#[tokio::test]
async fn an_event_reads_few_rows_of_tables_that_have_grown() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.postgres_over_one(StoreOptions::default()).await;
    let pool = store.pool();
    store.register(&key("s")).await.unwrap();
    place.run("analyze").await;
    let failed = Failed::new("not_ready", "no number");
    let events = [
        ready("s", "628110000041"),
        SessionEvent::session_error(key("s"), failed),
        SessionEvent::session_disconnected(key("s"), ""),
    ];
    let apply = async |round: u32| {
        for (n, event) in (0..).zip(&events) {
            let id = EventId::new(&format!("{round}-{n}")).unwrap();
            let event = event.clone().with_id(id);
            let outcome = store.apply(&event).await.unwrap();
            assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        }
    };
    for round in 0..10 {
        apply(round).await;
    }
    place
        .run(
            "insert into whatsapp_accounts (workspace_id, session_id, phone_number, status)
            select 7, 'other ' || n, (628110100000 + n)::text, 'disconnected'
            from generate_series(1, 3000) as n;
            insert into whatsapp_phone_sessions (account_id, session_id, life, version, shows_error, seen_at)
            select id, session_id, id, 0, 0, 0 from whatsapp_accounts where session_id like 'other %';
            insert into whatsapp_phone_applied (life, event_id, applied_at)
            select account_id, 'e', 0 from whatsapp_phone_sessions",
        )
        .await;
    // Making a plan for each call takes as long as the call.
    let plans = "select sum(generic_plans)::bigint, sum(custom_plans)::bigint
        from pg_prepared_statements where statement like 'WITH own%'";
    let plans: (i64, i64) = sqlx::query_as(plans).fetch_one(pool).await.unwrap();
    assert!(matches!(plans, (1.., 0)), "{plans:?}");
    let rows_read = async || {
        let flush = sqlx::query("select pg_stat_force_next_flush()");
        flush.execute(pool).await.unwrap();
        let count = sqlx::query_scalar::<_, i64>(
            "select sum(seq_tup_read + idx_tup_fetch)::bigint from pg_stat_user_tables
            where schemaname = current_schema()",
        );
        count.fetch_one(pool).await.unwrap()
    };
    let before = rows_read().await;
    apply(10).await;
    let read = rows_read().await - before;
    assert!((1..200).contains(&read), "{read}");
    place.end().await;
}

/// MariaDB creates and deletes a file for a temporary table that has a column of unlimited length.
#[tokio::test]
async fn an_event_makes_no_temporary_file() {
    let place = Place::new(Kind::MySql).await;
    let store = place.mysql_over_one(StoreOptions::default()).await;
    let pool = store.pool();
    store.register(&key("s")).await.unwrap();
    let files = async || {
        let status = "show session status like 'Created_tmp_disk_tables'";
        let (_, count): (String, String) = sqlx::query_as(status).fetch_one(pool).await.unwrap();
        count.parse::<u64>().unwrap()
    };
    let before = files().await;
    store.apply(&ready("s", "628110000041")).await.unwrap();
    let gone = SessionEvent::session_disconnected(key("s"), "");
    store.apply(&gone).await.unwrap();
    assert_eq!(files().await, before);
    // So the server does count them.
    let large = "select * from (select repeat('a', 1000000) as a union select 'b') t";
    sqlx::query(large).execute(pool).await.unwrap();
    assert!(files().await > before);
    place.end().await;
}
