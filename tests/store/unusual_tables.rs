//! Tables, rows and settings that another program made in an unusual way.

use std::time::Duration;

use futures_util::future::{join, join_all};
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{Failed, SessionEvent, SessionKey, WorkspaceId};
use whatsapp_phone::sqlx::Executor;
use whatsapp_phone::sqlx::mysql::MySqlPoolOptions;
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::{Ignored, Outcome, RowValues, SessionQuery, Status, StoreOptions};

use super::beside::Open;
use super::database::{Kind, Place};
use super::rows::until;
use super::{cell, key, on_each, ready};

/// The row's id stays the same, its life does not.
#[tokio::test]
async fn a_watcher_sees_another_row_with_the_same_id() {
    on_each(async |place| {
        let options = StoreOptions::default().poll_every(Duration::from_millis(300));
        let store = place.open(options).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let gone = SessionEvent::session_disconnected(key("s"), "");
        store.apply(&ready("s", "628110000041")).await.unwrap();
        store.apply(&gone).await.unwrap();
        let mut watcher = store.watch(&key("s").session_id).await.unwrap();
        // Versions begin again: the store's own rows are lost ...
        place
            .run(
                "delete from whatsapp_phone_sessions;
                update whatsapp_accounts set status = 'error'",
            )
            .await;
        until(&mut watcher, Status::Error).await;
        store.apply(&ready("s", "628110000041")).await.unwrap();
        until(&mut watcher, Status::Connected).await;
        // ... or a new row gets the id of the old one before the next poll.
        place
            .run(
                "begin; delete from whatsapp_accounts;
                insert into whatsapp_accounts (id, workspace_id, session_id, status, created_at)
                values (1, 7, 's', 'authenticated', '2026-01-01 00:00:00'); commit",
            )
            .await;
        until(&mut watcher, Status::Authenticated).await;
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_retired_row_that_another_program_connects_holds_its_number() {
    on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        for session in ["old", "new"] {
            store.register(&key(session)).await.unwrap();
            store.apply(&ready(session, "628110000041")).await.unwrap();
            let gone = SessionEvent::session_disconnected(key(session), "");
            store.apply(&gone).await.unwrap();
        }
        place
            .run(
                "update whatsapp_accounts set phone_number = null where session_id = 'new';
                update whatsapp_accounts set deleted_at = null, status = 'connected',
                    phone_number = '628110000041' where session_id = 'old'",
            )
            .await;
        let error = store
            .apply(&ready("new", "628110000041"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "number_already_connected", "{:?}", place.kind);
        let number = cell(&place, "old", "phone_number").await;
        assert_eq!(number.as_deref(), Some("628110000041"));
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn no_value_is_cut_to_the_length_of_its_column() {
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        place.open(StoreOptions::default()).await.unwrap();
        let alter = match kind {
            Kind::MySql => "modify metadata",
            _ => "alter metadata type",
        };
        place
            .run(&format!(
                "alter table whatsapp_accounts {alter} varchar(255);
                alter table whatsapp_accounts add column label varchar(4);
                alter table whatsapp_accounts add column code char(4)"
            ))
            .await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        for column in ["label", "code"] {
            let long = RowValues::default().set(column, "long one");
            let error = store.register_with(&key(column), &long).await.unwrap_err();
            assert_eq!((error.code(), error.is_transient()), ("storage", false));
            let short = RowValues::default().set(column, "four");
            store.register_with(&key(column), &short).await.unwrap();
        }
        let theirs = format!(r#"{{"a":"{}"}}"#, "x".repeat(240));
        place
            .run(&format!(
                "update whatsapp_accounts set metadata = '{theirs}'"
            ))
            .await;
        let failed = Failed::new("not_ready", "no number");
        let event = SessionEvent::session_error(key("label"), failed);
        store.apply(&event).await.unwrap();
        assert_eq!(
            cell(&place, "label", "status").await.as_deref(),
            Some("error")
        );
        assert_eq!(
            cell(&place, "label", "metadata").await,
            Some(theirs),
            "{kind}"
        );
        let kept = place
            .texts("select error_message from whatsapp_phone_sessions where error is not null");
        assert_eq!(kept.await, [Some("no number".to_owned())]);
        place.end().await;
    }
}

/// Each program has a schema of its own before that of the accounts.
#[tokio::test]
async fn search_paths_that_differ_share_the_tables_beside_the_accounts() {
    let place = Place::new(Kind::Postgres).await;
    place.open(StoreOptions::default()).await.unwrap();
    let name = place.name.clone();
    place
        .run(&format!(
            "drop table whatsapp_phone_sessions, whatsapp_phone_applied;
            create schema {name}_a; create schema {name}_b"
        ))
        .await;
    let store = async |own: &str| {
        let path = format!("search_path%3D{name}_{own}%2C{name}");
        let url = place.url.replace(&format!("search_path%3D{name}"), &path);
        Place::open_at(Kind::Postgres, &url, StoreOptions::default())
            .await
            .unwrap()
    };
    let (a, b) = (store("a").await, store("b").await);
    a.register(&key("s")).await.unwrap();
    let event = ready("s", "628110000041");
    a.apply(&event).await.unwrap();
    let gone = SessionEvent::session_disconnected(key("s"), "");
    a.apply(&gone).await.unwrap();
    let again = b.apply(&event).await.unwrap();
    assert_eq!(again, Outcome::Ignored(Ignored::Repeated));
    place
        .run(&format!(
            "drop schema {name}_a cascade; drop schema {name}_b cascade"
        ))
        .await;
    place.end().await;
}

#[tokio::test]
async fn a_unique_index_on_an_expression_is_no_obstacle() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let place = Place::new(kind).await;
        place.open(StoreOptions::default()).await.unwrap();
        place
            .run(
                "create unique index one on whatsapp_accounts (lower(session_id));
                create unique index two on whatsapp_accounts (workspace_id, lower(phone_number))",
            )
            .await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        store.apply(&ready("s", "628110000041")).await.unwrap();
        place.end().await;
    }
}

#[tokio::test]
async fn a_user_without_rights_to_our_tables_is_refused_at_once() {
    let place = Place::new(Kind::Postgres).await;
    place.open(StoreOptions::default()).await.unwrap();
    let name = place.name.clone();
    place
        .run(&format!(
            "create role {name} login; grant usage on schema {name} to {name};
            grant select, insert, update on whatsapp_accounts to {name}"
        ))
        .await;
    let at = place.url.find('@').unwrap();
    let url = format!("postgres://{name}{}", &place.url[at..]);
    let opened = Place::open_at(Kind::Postgres, &url, StoreOptions::default()).await;
    let code = opened.err().map(|error| error.code());
    place
        .run(&format!("drop owned by {name}; drop role {name}"))
        .await;
    place.end().await;
    assert_eq!(code, Some("misconfigured"));
}

#[tokio::test]
async fn an_id_that_the_collation_takes_for_another_is_refused() {
    let place = Place::new(Kind::MySql).await;
    place
        .run(include_str!("../fixtures/laravel_mysql.sql"))
        .await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    store.register(&key("Abc")).await.unwrap();
    for other in ["abc", "Abc ", "\u{e1}bc"] {
        let error = store.register(&key(other)).await.unwrap_err();
        assert_eq!(error.code(), "session_taken", "{other}");
        assert!(error.to_string().contains("another session"), "{error}");
        let error = store
            .apply(&ready(other, "628110000041"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "unknown_session", "{other}");
    }
    place.end().await;
}

#[tokio::test]
async fn a_number_that_another_program_does_not_commit_stops_no_other_session() {
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        let options = StoreOptions::default().deadline(Duration::from_secs(60));
        let store = place.open(options).await.unwrap();
        if kind == Kind::MySql {
            place
                .run("create unique index one_number on whatsapp_accounts (workspace_id, phone_number)")
                .await;
        }
        let others: Vec<_> = (0..8)
            .map(|n| ready(&format!("s{n}"), &format!("62811000005{n}")))
            .collect();
        for session in ["mine", "theirs"].map(key) {
            store.register(&session).await.unwrap();
        }
        for event in &others {
            store.register(event.session().unwrap()).await.unwrap();
        }
        let open = Open::at(
            &place,
            "update whatsapp_accounts set phone_number = '628110000041' where session_id = 'theirs'",
        )
        .await;
        // All in one transaction, at first.
        let mine = ready("mine", "628110000041");
        let rest = async {
            let applied = join_all(others.iter().map(|event| store.apply(event))).await;
            open.end().await;
            applied
        };
        let (mine, rest) = join(store.apply(&mine), rest).await;
        for applied in rest.into_iter().chain([mine]) {
            assert!(
                matches!(applied, Ok(Outcome::Applied { .. })),
                "{kind}: {applied:?}"
            );
        }
        place.end().await;
    }
}

#[tokio::test]
async fn connections_without_autocommit_are_refused() {
    let place = Place::new(Kind::MySql).await;
    let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async { connection.execute("SET autocommit = 0").await.map(drop) })
    });
    let pool = pool.connect(&place.url).await.unwrap();
    let made = MySqlStore::from_pool(pool, StoreOptions::default().create_tables()).await;
    let error = made.unwrap_err().to_string();
    assert!(error.contains("autocommit"), "{error}");
    place.end().await;
}

#[tokio::test]
async fn a_uuid_workspace_has_one_row_per_session_in_every_form() {
    const ID: &str = "8f14e45f-ceea-467f-a8f5-0d1b8b0c5a11";
    let (upper, plain) = (ID.to_uppercase(), ID.replace('-', ""));
    let session = |workspace: &str, id| SessionKey::new(workspace, id).unwrap();
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        place.open(StoreOptions::default()).await.unwrap();
        place
            .run(match kind {
                Kind::MySql => {
                    "alter table whatsapp_accounts modify workspace_id varchar(64);
                    alter table whatsapp_accounts modify workspace_id uuid"
                }
                _ => "alter table whatsapp_accounts alter column workspace_id type uuid using null",
            })
            .await;
        let store = place.open(StoreOptions::default()).await.unwrap();
        let row = store.register(&session(&upper, "s")).await.unwrap();
        assert_eq!(row.session, session(ID, "s"), "{kind}");
        assert_eq!(store.register(&session(ID, "s")).await.unwrap(), row);
        store.register(&session(&plain, "t")).await.unwrap();
        let watched = WorkspaceId::new(&upper).unwrap();
        let mut watcher = store.watch_workspace(&watched).await.unwrap();
        for _ in ["s", "t"] {
            let change = watcher.changed().await.unwrap();
            assert_eq!(change.status, Status::QrScanning);
        }
        let ready = |workspace: &str, id| {
            let phone: PhoneNumber = "628110000041".parse().unwrap();
            SessionEvent::session_ready(session(workspace, id), phone)
        };
        store.apply(&ready(&plain, "s")).await.unwrap();
        let change = watcher.changed().await.unwrap();
        assert_eq!(change.session, row.session);
        let refused = store.apply(&ready(&upper, "t")).await.unwrap_err();
        assert_eq!(refused.code(), "number_already_connected", "{kind}");
        let query = SessionQuery::default().workspace(watched);
        assert_eq!(store.sessions(&query).await.unwrap().rows.len(), 2);
        store.delete(&session(&upper, "s")).await.unwrap();
        assert_eq!(store.session(&row.session.session_id).await.unwrap(), None);
        let invalid = store.register(&session("7", "u")).await.unwrap_err();
        assert_eq!(invalid.code(), "invalid_event");
        assert!(invalid.to_string().contains("a UUID"), "{invalid}");
        place.end().await;
    }
}
