//! Other programs beside the store: what they hold, and what they allow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use whatsapp_phone::sqlx::{self, ConnectOptions, Connection, MySqlConnection, PgConnection, Row};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions};

use super::database::{Kind, Place};
use super::time::{cancel_after, within_limit};
use super::{key, ready};

/// Another client's open transaction, with these statements in it. It ends when this is dropped.
pub(super) enum Open {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Open {
    pub(super) async fn at(place: &Place, statement: &'static str) -> Self {
        match place.kind {
            Kind::MySql => {
                let mut open = MySqlConnection::connect(&place.url).await.unwrap();
                sqlx::raw_sql("BEGIN").execute(&mut open).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut open).await.unwrap();
                Self::MySql(open)
            }
            _ => {
                let mut open = PgConnection::connect(&place.url).await.unwrap();
                sqlx::raw_sql("BEGIN").execute(&mut open).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut open).await.unwrap();
                Self::Postgres(open)
            }
        }
    }

    async fn commit(mut self) {
        let done = match &mut self {
            Self::Postgres(open) => sqlx::raw_sql("COMMIT").execute(open).await.map(drop),
            Self::MySql(open) => sqlx::raw_sql("COMMIT").execute(open).await.map(drop),
        };
        done.unwrap();
        self.end().await;
    }

    pub(super) async fn end(self) {
        match self {
            Self::Postgres(open) => open.close().await.unwrap(),
            Self::MySql(open) => open.close().await.unwrap(),
        }
    }
}

/// A store over a pool of one connection.
async fn over_one(place: &Place, options: StoreOptions) -> Arc<dyn SessionStore> {
    match place.kind {
        Kind::MySql => Arc::new(place.mysql_over_one(options).await),
        _ => Arc::new(place.postgres_over_one(options).await),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_stops_no_other_session() {
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        let deadline = Duration::from_secs(4);
        let store = over_one(&place, StoreOptions::default().deadline(deadline)).await;
        store.register(&key("held")).await.unwrap();
        let free = SessionKey::new(8, "free").unwrap();
        store.register(&free).await.unwrap();
        let open = Open::at(
            &place,
            "select id from whatsapp_accounts where session_id = 'held' for update",
        )
        .await;
        // More than there are connections, repeatedly.
        for round in 0..3 {
            let held = ready("held", "628110000041");
            let both = async { tokio::join!(store.apply(&held), store.apply(&held)) };
            let (one, two) = within_limit("they end", both).await;
            for error in [one.unwrap_err(), two.unwrap_err()] {
                let said = (error.code(), error.is_transient());
                assert_eq!(said, ("storage", true), "{error:?}");
            }
            let event = match round % 2 {
                0 => SessionEvent::session_ready(
                    free.clone(),
                    "628110000042".parse::<PhoneNumber>().unwrap(),
                ),
                _ => SessionEvent::session_disconnected(free.clone(), ""),
            };
            store.apply(&event).await.expect("the other goes on");
        }
        // Handed in together with others, it waits alone; so does a second registration of it.
        let other = SessionKey::new(9, "other").unwrap();
        store.register(&other).await.unwrap();
        let held = ready("held", "628110000041");
        let gone = [&free, &other].map(|free| SessionEvent::session_disconnected(free.clone(), ""));
        let ended = Mutex::new(Vec::new());
        let apply = async |event: &SessionEvent| {
            let applied = store.apply(event).await;
            ended
                .lock()
                .unwrap()
                .push(applied.map_err(|error| error.code()));
        };
        let session = key("held");
        let (.., registered) = tokio::join!(
            apply(&held),
            apply(&gone[0]),
            apply(&gone[1]),
            store.register(&session)
        );
        let ended = ended.into_inner().unwrap();
        assert!(ended[..2].iter().all(Result::is_ok), "{ended:?}");
        assert_eq!(ended[2], Err("storage"));
        let error = registered.unwrap_err();
        assert_eq!((error.code(), error.is_transient()), ("storage", true));
        open.end().await;
        store.apply(&ready("held", "628110000041")).await.unwrap();
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_another_transaction_is_about_to_give_is_waited_for() {
    let connected =
        "update whatsapp_accounts set phone_number = '628110000041', status = 'connected'
        where session_id = 'theirs'";
    let stale =
        "update whatsapp_accounts set phone_number = '628110000041', status = 'disconnected'
        where session_id = 'theirs'";
    for (kind, given) in [
        (Kind::Postgres, connected),
        (Kind::Postgres, stale),
        (Kind::MySql, connected),
        (Kind::MySql, stale),
    ] {
        let place = Place::new(kind).await;
        let store = over_one(&place, StoreOptions::default()).await;
        if kind == Kind::MySql {
            // Without it, only what others have committed is seen.
            let unique =
                "create unique index one_number on whatsapp_accounts (workspace_id, phone_number)";
            place.run(unique).await;
        }
        for session in ["mine", "theirs"] {
            store.register(&key(session)).await.unwrap();
        }
        let open = Open::at(&place, given).await;
        let event = ready("mine", "628110000041");
        let mut apply = store.apply(&event);
        cancel_after(Duration::from_millis(500), &mut apply).await;
        open.commit().await;
        match (given == connected, apply.await) {
            (true, Err(error)) => assert_eq!(error.code(), "number_already_connected", "{kind}"),
            (false, Ok(_)) => {}
            (_, other) => panic!("{kind} {given}: {other:?}"),
        }
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_large_workspace_connect_beside_each_other() {
    let place = Place::new(Kind::MySql).await;
    let options = StoreOptions::default().deadline(Duration::from_secs(60));
    let stores = [(); 2].map(|()| place.open(options.clone()));
    let [one, two] = stores.map(|store| async { Arc::from(store.await.unwrap()) });
    let stores: [Arc<dyn SessionStore>; 2] = [one.await, two.await];
    let rows = (0..500).map(|row| format!("(7, 'row {row}', 'qr_scanning')"));
    let rows: Vec<_> = rows.collect();
    let insert = "insert into whatsapp_accounts (workspace_id, session_id, status) values";
    place.run(&format!("{insert} {}", rows.join(", "))).await;
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let store = stores[caller % 2].clone();
        callers.spawn(async move {
            let session = format!("row {}", caller * 31);
            for _ in 0..3 {
                let phone = format!("6281100000{caller:02}");
                store.apply(&ready(&session, &phone)).await.unwrap();
                let gone = SessionEvent::session_disconnected(key(&session), "");
                store.apply(&gone).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let sessions =
        ["row 1", "row 2", "row 3", "row 4"].map(|session| ready(session, "628110000099"));
    let one = [&sessions[0], &sessions[1]].map(|event| stores[0].apply(event));
    let two = [&sessions[2], &sessions[3]].map(|event| stores[1].apply(event));
    let applied = join_all(one.into_iter().chain(two)).await;
    assert_eq!(applied.iter().filter(|applied| applied.is_ok()).count(), 1);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_writes_to_is_waited_for() {
    let place = Place::new(Kind::Sqlite).await;
    let file: SqliteConnectOptions = place.url.parse().unwrap();
    let file = file.journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1);
    let quick = file.clone().busy_timeout(Duration::from_millis(5));
    let pool = pool.connect_with(quick).await.unwrap();
    let store = SqliteStore::from_pool(pool.clone(), StoreOptions::default().create_tables());
    let store = store.await.unwrap();
    store.register(&key("s")).await.unwrap();
    let mark = sqlx::raw_sql("create temp table mark (one)");
    mark.execute(&pool).await.unwrap();
    let mut other = file.connect().await.unwrap();
    let open = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let event = ready("s", "628110000041");
    let mut apply = store.apply(&event);
    cancel_after(Duration::from_millis(300), &mut apply).await;
    open.rollback().await.unwrap();
    apply.await.unwrap();
    // Its connection is the same.
    let mark = sqlx::raw_sql("select * from mark");
    mark.execute(&pool).await.unwrap();
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_dropped_leave_no_open_transaction() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.postgres_over_one(StoreOptions::default()).await;
    store.register(&key("s")).await.unwrap();
    for polls in 1..40 {
        let event = ready("s", "628110000041");
        let mut apply = Box::pin(store.apply(&event));
        let mut polled = 0;
        // Dropped while any of its statements is under way, that which begins among them.
        std::future::poll_fn(|context| {
            polled += 1;
            match apply.as_mut().poll(context) {
                std::task::Poll::Pending if polled < polls => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(()),
            }
        })
        .await;
        drop(apply);
        let begun = sqlx::raw_sql("select now() <> statement_timestamp()");
        let begun = begun
            .fetch_one(store.pool())
            .await
            .unwrap()
            .get::<bool, _>(0);
        assert!(!begun, "a transaction is open after {polls} polls");
    }
    place.end().await;
}

#[tokio::test]
async fn the_isolation_is_ours_whatever_the_server_defaults_to() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    store.register(&key("s")).await.unwrap();
    let url = format!(
        "{}%20-cdefault_transaction_isolation%3Dserializable",
        place.url
    );
    place
        .run(
            "create function isolated() returns trigger language plpgsql as $$ begin
                new.metadata := json_build_object('level', current_setting('transaction_isolation'));
                return new; end $$;
            create trigger isolated before update on whatsapp_accounts
                for each row execute function isolated()",
        )
        .await;
    let store = Place::open_at(Kind::Postgres, &url, StoreOptions::default());
    let store = store.await.unwrap();
    store.apply(&ready("s", "628110000041")).await.unwrap();
    let level = place.text("select metadata->>'level' from whatsapp_accounts");
    assert_eq!(level.await.as_deref(), Some("read committed"));
    place.end().await;
}

#[tokio::test]
async fn rows_that_refer_to_a_session_do_not_hold_it() {
    let place = Place::new(Kind::Postgres).await;
    let options = StoreOptions::default().deadline(Duration::from_secs(4));
    let store = place.open(options).await.unwrap();
    store.register(&key("s")).await.unwrap();
    place
        .run("create table messages (account bigint references whatsapp_accounts (id))")
        .await;
    let open = Open::at(
        &place,
        "insert into messages select id from whatsapp_accounts",
    )
    .await;
    store.apply(&ready("s", "628110000041")).await.unwrap();
    open.end().await;
    place.end().await;
}

#[tokio::test]
async fn tables_that_are_there_are_used_without_the_right_to_make_them() {
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        place.open(StoreOptions::default()).await.unwrap();
        let name = place.name.clone();
        let (make, user) = match kind {
            Kind::MySql => (
                format!(
                    "create user {name}@'%', {name}@localhost;
                    grant select, insert, update, delete on {name}.* to {name}@'%', {name}@localhost"
                ),
                "mysql://",
            ),
            _ => (
                format!(
                    "create role {name} login; grant usage on schema {name} to {name};
                    grant select, insert, update, delete on all tables in schema {name} to {name};
                    grant usage on all sequences in schema {name} to {name}"
                ),
                "postgres://",
            ),
        };
        place.run(&make).await;
        let at = place.url.find('@').unwrap();
        let url = format!("{user}{name}{}", &place.url[at..]);
        let store = Place::open_at(kind, &url, StoreOptions::default());
        let store = store.await.expect("it looks first");
        store.register(&key("s")).await.unwrap();
        store.apply(&ready("s", "628110000041")).await.unwrap();
        drop(store);
        place
            .run(&match kind {
                Kind::MySql => format!("drop user {name}@'%', {name}@localhost"),
                _ => format!("drop owned by {name}; drop role {name}"),
            })
            .await;
        place.end().await;
    }
}

#[tokio::test]
async fn a_server_that_writes_nothing_for_now_is_asked_again() {
    let place = Place::new(Kind::Postgres).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    store.register(&key("s")).await.unwrap();
    let url = format!("{}%20-cdefault_transaction_read_only%3Don", place.url);
    let standby = Place::open_at(Kind::Postgres, &url, StoreOptions::default());
    let standby = standby.await.unwrap();
    let error = standby
        .apply(&ready("s", "628110000041"))
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("storage", true));
    place.end().await;

    // A value that does not fit is a permanent error.
    super::on_each(async |place| {
        let store = place.open(StoreOptions::default()).await.unwrap();
        store.register(&key("s")).await.unwrap();
        place.run("delete from whatsapp_accounts").await;
        place
            .run(match place.kind {
                Kind::Sqlite => {
                    "create trigger refuses before insert on whatsapp_accounts
                        begin select raise(abort, 'refused'); end"
                }
                _ => "alter table whatsapp_accounts add check (session_id <> 'refused')",
            })
            .await;
        let error = store.register(&key("refused")).await.unwrap_err();
        let said = (error.code(), error.is_transient());
        assert_eq!(said, ("storage", false), "{:?} {error:?}", place.kind);
        place.end().await;
    })
    .await;
}
