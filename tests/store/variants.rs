//! Tables as other programs made them: each is refused with the column's name when the store is made, or works
//! from registration to relinking.

use std::sync::Arc;
use std::time::Duration;

use whatsapp_phone::event::{Failed, SessionEvent, SessionKey};
use whatsapp_phone::sqlx::Executor;
use whatsapp_phone::sqlx::mysql::MySqlPoolOptions;
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::{
    Ignored, Outcome, RowValues, SessionQuery, SessionStore, Status, StoreError, StoreOptions,
};

use super::database::{Kind, Place};
use super::{key, ready};

/// The expected result of making a store over the table.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Works,
    /// Works if new rows get a UUID in this column, and `1` in `created_by` if the table has it.
    WorksWith(&'static str),
    /// Refused, and the error names this.
    Refused(&'static str),
}
use Expect::{Refused, Works, WorksWith};

/// Columns that differ from the usual table (an empty definition: no such column), keys, and what is expected.
type Variant = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    Expect,
);

const MYSQL: &[(&str, &str)] = &[
    ("id", "bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY"),
    ("workspace_id", "bigint unsigned NOT NULL"),
    ("session_id", "varchar(191) NOT NULL UNIQUE"),
    ("phone_number", "varchar(50) NULL"),
    ("status", "varchar(191) NOT NULL DEFAULT 'qr_scanning'"),
    ("metadata", "json NULL"),
    ("last_connected_at", "timestamp NULL"),
    ("created_at", "timestamp NULL"),
    ("updated_at", "timestamp NULL"),
    ("deleted_at", "timestamp NULL"),
];

const NO_ERROR: &str = "enum('qr_scanning','authenticated','connected','disconnected','failed') NOT NULL DEFAULT 'qr_scanning'";
const NO_FAILED: &str =
    "enum('qr_scanning','authenticated','connected','disconnected','error') NOT NULL";
const STATUS_KEY: &str = ", UNIQUE KEY k (phone_number, workspace_id, status)";
const REFERENCE: &[(&str, &str)] = &[
    ("status", NO_ERROR),
    ("uuid", "char(36) NOT NULL UNIQUE"),
    (
        "provider_type",
        "enum('meta','webjs') NOT NULL DEFAULT 'webjs'",
    ),
    ("qr_code", "text NULL"),
    ("session_data", "longtext NULL"),
    ("is_primary", "tinyint(1) NOT NULL DEFAULT 0"),
    ("is_active", "tinyint(1) NOT NULL DEFAULT 1"),
    ("created_by", "bigint unsigned NOT NULL"),
];

const MYSQL_VARIANTS: &[Variant] = &[
    ("as Laravel makes it", &[], "", Works),
    (
        "the reference's own",
        REFERENCE,
        STATUS_KEY,
        WorksWith("uuid"),
    ),
    (
        "a unique number",
        &[],
        ", UNIQUE KEY k (phone_number)",
        Works,
    ),
    (
        "a unique number per workspace",
        &[],
        ", UNIQUE KEY k (workspace_id, phone_number)",
        Works,
    ),
    (
        "a unique number and deletion",
        &[],
        ", UNIQUE KEY k (workspace_id, phone_number, deleted_at)",
        Works,
    ),
    ("a unique number and status", &[], STATUS_KEY, Works),
    (
        "the documented index",
        &[],
        ", KEY k (workspace_id, phone_number)",
        Works,
    ),
    (
        "no error in the enum",
        &[("status", NO_ERROR)],
        STATUS_KEY,
        Works,
    ),
    (
        "no failed in the enum",
        &[("status", NO_FAILED)],
        "",
        Refused("`status`"),
    ),
    (
        "a UUID key",
        &[("id", "char(36) NOT NULL PRIMARY KEY")],
        "",
        WorksWith("id"),
    ),
    (
        "a UUID key of ASCII",
        &[("id", "char(36) CHARACTER SET ascii NOT NULL PRIMARY KEY")],
        "",
        WorksWith("id"),
    ),
    (
        "a binary key",
        &[("id", "binary(16) NOT NULL PRIMARY KEY")],
        "",
        Refused("`id`"),
    ),
    (
        "small integers",
        &[
            ("id", "int NOT NULL AUTO_INCREMENT PRIMARY KEY"),
            ("workspace_id", "int NOT NULL"),
        ],
        "",
        Works,
    ),
    (
        "text workspaces",
        &[("workspace_id", "varchar(64) NOT NULL")],
        "",
        Works,
    ),
    ("a binary collation", &[], ") COLLATE utf8mb4_bin", Works),
    ("latin1", &[], ") CHARACTER SET latin1", Works),
    (
        "Laravel's collation",
        &[],
        ") CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        Works,
    ),
    (
        "the reference's own, in its collation",
        REFERENCE,
        ", UNIQUE KEY k (phone_number, workspace_id, status)) COLLATE utf8mb4_unicode_ci",
        WorksWith("uuid"),
    ),
    (
        "another collation",
        &[],
        ") CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci",
        Works,
    ),
    ("utf8mb3", &[], ") CHARACTER SET utf8mb3", Works),
    (
        "a native UUID key",
        &[("id", "uuid NOT NULL PRIMARY KEY")],
        "",
        WorksWith("id"),
    ),
    (
        "a check without error",
        &[(
            "status",
            "varchar(191) NOT NULL CHECK (status IN ('qr_scanning','authenticated','connected','disconnected','failed'))",
        )],
        "",
        Works,
    ),
    (
        "a check without failed",
        &[(
            "status",
            "varchar(191) NOT NULL CHECK (status IN ('qr_scanning','authenticated','connected','disconnected','error'))",
        )],
        "",
        Refused("`status`"),
    ),
    (
        "an id that is not the primary key",
        &[("id", "bigint unsigned NOT NULL AUTO_INCREMENT UNIQUE")],
        "",
        Refused("`id`"),
    ),
    (
        "a creation time that changes",
        &[(
            "created_at",
            "timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
        )],
        "",
        Refused("`created_at`"),
    ),
    (
        "a short number",
        &[("phone_number", "varchar(12) NULL")],
        "",
        Refused("`phone_number`"),
    ),
    (
        "a number that is an integer",
        &[("phone_number", "bigint NULL")],
        "",
        Refused("`phone_number`"),
    ),
    (
        "a number that is not null",
        &[("phone_number", "varchar(50) NOT NULL")],
        "",
        Refused("`phone_number`"),
    ),
    (
        "a short status",
        &[("status", "varchar(10) NOT NULL")],
        "",
        Refused("`status`"),
    ),
    (
        "a status that is an integer",
        &[("status", "int NOT NULL")],
        "",
        Refused("`status`"),
    ),
    (
        "no unique session",
        &[("session_id", "varchar(191) NOT NULL")],
        "",
        Refused("`session_id`"),
    ),
    (
        "a session unique per workspace",
        &[("session_id", "varchar(191) NOT NULL")],
        ", UNIQUE KEY k (workspace_id, session_id)",
        Refused("`session_id`"),
    ),
    (
        "a session unique by its beginning",
        &[("session_id", "text NOT NULL")],
        ", UNIQUE KEY k (session_id(20))",
        Refused("`session_id`"),
    ),
    (
        "an engine without transactions",
        &[],
        ") ENGINE = MyISAM",
        Refused("MyISAM"),
    ),
    (
        "metadata that is text",
        &[("metadata", "longtext NULL")],
        "",
        Works,
    ),
    (
        "no metadata",
        &[("metadata", "")],
        "",
        Refused("`metadata`"),
    ),
    (
        "no deletion",
        &[("deleted_at", "")],
        "",
        Refused("`deleted_at`"),
    ),
    (
        "no update",
        &[("updated_at", "")],
        "",
        Refused("`updated_at`"),
    ),
    (
        "datetime",
        &[
            ("created_at", "datetime NULL"),
            ("updated_at", "datetime(6) NULL"),
            ("deleted_at", "datetime NULL"),
        ],
        "",
        Works,
    ),
    (
        "times that are integers",
        &[("created_at", "int NULL")],
        "",
        Refused("`created_at`"),
    ),
    (
        "a connection time that is not null",
        &[("last_connected_at", "datetime NOT NULL")],
        "",
        Refused("`last_connected_at`"),
    ),
    (
        "an update time that sets itself",
        &[(
            "updated_at",
            "timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
        )],
        "",
        Works,
    ),
];

const POSTGRES: &[(&str, &str)] = &[
    ("id", "bigserial PRIMARY KEY"),
    ("workspace_id", "bigint NOT NULL"),
    ("session_id", "varchar(255) NOT NULL UNIQUE"),
    ("phone_number", "varchar(255) NULL"),
    ("status", "varchar(255) NOT NULL DEFAULT 'qr_scanning'"),
    ("metadata", "json NULL"),
    ("last_connected_at", "timestamp(0) without time zone NULL"),
    ("created_at", "timestamp(0) without time zone NULL"),
    ("updated_at", "timestamp(0) without time zone NULL"),
    ("deleted_at", "timestamp(0) without time zone NULL"),
];

const POSTGRES_VARIANTS: &[Variant] = &[
    ("as Laravel makes it", &[], "", Works),
    ("jsonb", &[("metadata", "jsonb NULL")], "", Works),
    (
        "metadata that is text",
        &[("metadata", "text NULL")],
        "",
        Works,
    ),
    (
        "times with zones",
        &[
            ("created_at", "timestamptz NULL"),
            ("updated_at", "timestamptz NULL"),
            ("deleted_at", "timestamptz NULL"),
        ],
        "",
        Works,
    ),
    (
        "a native enum",
        &[("status", "no_error NOT NULL")],
        ", UNIQUE (phone_number, workspace_id, status)",
        Works,
    ),
    (
        "a native enum without failed",
        &[("status", "no_failed NOT NULL")],
        "",
        Refused("`status`"),
    ),
    (
        "a check without error",
        &[(
            "status",
            "varchar(255) NOT NULL CHECK (status IN ('qr_scanning','authenticated','connected','disconnected','failed'))",
        )],
        "",
        Works,
    ),
    (
        "a check without failed",
        &[(
            "status",
            "varchar(255) NOT NULL CHECK (status IN ('qr_scanning','authenticated','connected','disconnected'))",
        )],
        "",
        Refused("`status`"),
    ),
    (
        "a UUID key",
        &[("id", "uuid PRIMARY KEY DEFAULT gen_random_uuid()")],
        "",
        Works,
    ),
    (
        "a UUID key of the host",
        &[
            ("id", "uuid PRIMARY KEY"),
            ("created_by", "bigint NOT NULL"),
        ],
        "",
        WorksWith("id"),
    ),
    (
        "text workspaces",
        &[("workspace_id", "text NOT NULL")],
        "",
        Works,
    ),
    ("a unique number", &[], ", UNIQUE (phone_number)", Works),
    (
        "an id without a key",
        &[("id", "integer NOT NULL DEFAULT 1")],
        "",
        Refused("`id`"),
    ),
    (
        "a session key that includes more",
        &[("session_id", "varchar(255) NOT NULL")],
        ", UNIQUE (session_id) INCLUDE (workspace_id)",
        Works,
    ),
    (
        "a check about one status",
        &[(
            "status",
            "varchar(255) NOT NULL CHECK (status <> 'disconnected' OR phone_number IS NOT NULL)",
        )],
        "",
        Works,
    ),
    (
        "a key of fixed length",
        &[("id", "char(36) PRIMARY KEY")],
        "",
        WorksWith("id"),
    ),
    (
        "a unique number per workspace",
        &[],
        ", UNIQUE (workspace_id, phone_number)",
        Works,
    ),
    (
        "a short number",
        &[("phone_number", "varchar(15) NULL")],
        "",
        Refused("`phone_number`"),
    ),
    (
        "no unique session",
        &[("session_id", "varchar(255) NOT NULL")],
        "",
        Refused("`session_id`"),
    ),
    (
        "no deletion",
        &[("deleted_at", "")],
        "",
        Refused("`deleted_at`"),
    ),
];

const SQLITE: &[(&str, &str)] = &[
    ("id", "integer PRIMARY KEY AUTOINCREMENT NOT NULL"),
    ("workspace_id", "integer NOT NULL"),
    ("session_id", "varchar NOT NULL UNIQUE"),
    ("phone_number", "varchar"),
    ("status", "varchar NOT NULL DEFAULT 'qr_scanning'"),
    ("metadata", "text"),
    ("last_connected_at", "datetime"),
    ("created_at", "datetime"),
    ("updated_at", "datetime"),
    ("deleted_at", "datetime"),
];

const SQLITE_VARIANTS: &[Variant] = &[
    ("as Laravel makes it", &[], "", Works),
    (
        "a check without error",
        &[(
            "status",
            "varchar CHECK (status IN ('qr_scanning','authenticated','connected','disconnected','failed')) NOT NULL",
        )],
        ", UNIQUE (phone_number, workspace_id, status)",
        Works,
    ),
    (
        "a check without failed",
        &[(
            "status",
            "varchar CHECK (status IN ('qr_scanning','authenticated','connected','disconnected','error')) NOT NULL",
        )],
        "",
        Refused("`status`"),
    ),
    (
        "a UUID key",
        &[("id", "varchar PRIMARY KEY NOT NULL")],
        "",
        WorksWith("id"),
    ),
    (
        "text workspaces",
        &[("workspace_id", "varchar NOT NULL")],
        "",
        Works,
    ),
    (
        "an id without a key",
        &[("id", "integer NOT NULL DEFAULT 1")],
        "",
        Refused("`id`"),
    ),
    (
        "a status that is disconnected at first",
        &[("status", "varchar NOT NULL DEFAULT 'disconnected'")],
        "",
        Works,
    ),
    (
        "times that are integers",
        &[("deleted_at", "integer")],
        "",
        Refused("`deleted_at`"),
    ),
    (
        "times that are text",
        &[("created_at", "text"), ("updated_at", "text")],
        "",
        Works,
    ),
    (
        "a session in any case",
        &[("session_id", "varchar COLLATE NOCASE NOT NULL UNIQUE")],
        "",
        Works,
    ),
    (
        "a unique number and deletion",
        &[],
        ", UNIQUE (workspace_id, phone_number, deleted_at)",
        Works,
    ),
    (
        "a number that is not null",
        &[("phone_number", "varchar NOT NULL")],
        "",
        Refused("`phone_number`"),
    ),
    (
        "no unique session",
        &[("session_id", "varchar NOT NULL")],
        "",
        Refused("`session_id`"),
    ),
    ("no status", &[("status", "")], "", Refused("`status`")),
];

fn table(name: &str, usual: &[(&str, &str)], (_, changes, keys, _): &Variant) -> String {
    let changed = |column: &str| changes.iter().find(|(name, _)| *name == column);
    let usual_columns = usual.iter().map(|(column, definition)| {
        (
            *column,
            changed(column).map_or(*definition, |(_, definition)| definition),
        )
    });
    let is_new = |(column, _): &&(&str, &str)| !usual.iter().any(|(name, _)| name == column);
    let columns = usual_columns.chain(changes.iter().filter(is_new).copied());
    let columns = columns.filter(|(_, definition)| !definition.is_empty());
    let columns: Vec<_> = columns
        .map(|(column, definition)| format!("{column} {definition}"))
        .collect();
    // Options of the table close it themselves.
    let end = if keys.contains(") C") || keys.starts_with(')') {
        ""
    } else {
        ")"
    };
    format!("CREATE TABLE {name} ({}{keys}{end}", columns.join(", "))
}

/// UUIDs that begin with the same digits.
fn values(column: &str, has_creator: bool, n: u32) -> RowValues {
    let values = RowValues::default().set(column, format!("12345678-0000-4000-8000-{n:012}"));
    if has_creator {
        values.set("created_by", "1")
    } else {
        values
    }
}

/// From registration to relinking, beside a session of another workspace.
async fn works(store: &dyn SessionStore, new_row: &dyn Fn(u32) -> RowValues) {
    let far = SessionKey::new(8, "far").unwrap();
    store.register_with(&far, &new_row(0)).await.unwrap();
    let phone: whatsapp_phone::PhoneNumber = "628110000049".parse().unwrap();
    store
        .apply(&SessionEvent::session_ready(far.clone(), phone))
        .await
        .unwrap();
    let far_before = store.session(&far.session_id).await.unwrap();
    let status = async |session: &str| {
        let row = store.session(&key(session).session_id).await.unwrap();
        row.map(|row| (row.status, row.phone.map(|phone| phone.reveal().to_owned())))
    };
    let number = || Some("628110000041".to_owned());
    for round in 0..10 {
        let session = format!("link-{round}");
        store
            .register_with(&key(&session), &new_row(round + 1))
            .await
            .unwrap();
        store
            .apply(&SessionEvent::session_authenticated(key(&session)))
            .await
            .unwrap();
        let linked = store.apply(&ready(&session, "628110000041")).await.unwrap();
        let Outcome::Applied { retired, .. } = linked else {
            panic!("{linked:?}")
        };
        assert_eq!(retired.len(), usize::from(round > 0));
        assert_eq!(status(&session).await, Some((Status::Connected, number())));
        let failed = Failed::new("not_ready", "no number");
        store
            .apply(&SessionEvent::session_error(key(&session), failed))
            .await
            .unwrap();
        assert_eq!(status(&session).await, Some((Status::Error, number())));
        store.apply(&ready(&session, "628110000041")).await.unwrap();
        store
            .apply(&SessionEvent::session_disconnected(key(&session), ""))
            .await
            .unwrap();
        assert_eq!(
            status(&session).await,
            Some((Status::Disconnected, number()))
        );
    }
    assert_eq!(status("link-8").await, None);
    let late = store
        .apply(&ready("link-9", "628110000041").with_seq(1))
        .await
        .unwrap();
    assert!(matches!(late, Outcome::Applied { .. }), "{late:?}");
    let gone = SessionEvent::session_disconnected(key("link-9"), "").with_seq(1);
    let late = store.apply(&gone).await.unwrap();
    assert_eq!(late, Outcome::Ignored(Ignored::OutOfOrder));
    store
        .register_with(&key("link-0"), &new_row(99))
        .await
        .unwrap();
    store.sweep_stuck(Duration::ZERO).await.unwrap();
    assert_eq!(status("link-0").await, None);
    assert_eq!(store.session(&far.session_id).await.unwrap(), far_before);
}

/// A pool whose connections are not strict.
async fn lax(place: &Place, options: StoreOptions) -> Result<Arc<dyn SessionStore>, StoreError> {
    let pool = MySqlPoolOptions::new().max_connections(3);
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async {
            connection
                .execute("SET SESSION sql_mode = ''")
                .await
                .map(drop)
        })
    });
    let pool = pool.connect(&place.url).await.unwrap();
    Ok(Arc::new(
        MySqlStore::from_pool(pool, options.create_tables()).await?,
    ))
}

async fn try_all(kind: Kind, usual: &[(&str, &str)], variants: &[Variant]) {
    for (n, variant) in variants.iter().enumerate() {
        let (what, changes, _, expect) = variant;
        // Strict or not, and under several names.
        for is_lax in [false, true] {
            if is_lax && kind != Kind::MySql {
                continue;
            }
            let place = Place::new(kind).await;
            if kind == Kind::Postgres {
                place
                    .run(
                        "CREATE TYPE no_error AS ENUM ('qr_scanning','authenticated','connected','disconnected','failed');
                        CREATE TYPE no_failed AS ENUM ('qr_scanning','authenticated','connected','disconnected','error')",
                    )
                    .await;
            }
            let name = ["whatsapp_accounts", "app_whatsapp_accounts", "sessions"][n % 3];
            place.run(&table(name, usual, variant)).await;
            let options = StoreOptions::default().table(name);
            let store = match is_lax {
                true => lax(&place, options).await,
                false => place.open(options).await.map(Arc::from),
            };
            let said = format!("{kind}: {what}, lax: {is_lax}");
            println!("{said}: {expect:?}");
            match (expect, store) {
                (Refused(named), Err(error)) => {
                    assert_eq!(error.code(), "misconfigured", "{said}");
                    assert!(error.to_string().contains(named), "{said}: {error}");
                }
                (Works, Ok(store)) => works(&*store, &|_| RowValues::default()).await,
                (WorksWith(column), Ok(store)) => {
                    let refused = store.register(&key("s")).await.unwrap_err();
                    assert_eq!(refused.code(), "misconfigured", "{said}");
                    assert!(
                        refused.to_string().contains(&format!("`{column}`")),
                        "{refused}"
                    );
                    let has_creator = changes.iter().any(|(name, _)| *name == "created_by");
                    works(&*store, &|n| values(column, has_creator, n)).await;
                }
                (_, store) => panic!("{said}: {:?}", store.err()),
            }
            place.end().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_mysql_are_refused_or_work() {
    try_all(Kind::MySql, MYSQL, MYSQL_VARIANTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_postgres_are_refused_or_work() {
    try_all(Kind::Postgres, POSTGRES, POSTGRES_VARIANTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_sqlite_are_refused_or_work() {
    try_all(Kind::Sqlite, SQLITE, SQLITE_VARIANTS).await;
}

#[tokio::test]
async fn a_missing_table_is_made_only_if_asked_for() {
    super::on_each(async |place| {
        let options = StoreOptions::default();
        let error = place.open_unchanged(options).await.err().unwrap();
        assert_eq!(error.code(), "misconfigured");
        assert!(error.to_string().contains("whatsapp_accounts"), "{error}");
        place.open(StoreOptions::default()).await.unwrap();
        place.open_unchanged(StoreOptions::default()).await.unwrap();
        let error = place
            .open(StoreOptions::default().table("a; b"))
            .await
            .err()
            .unwrap();
        assert_eq!(error.code(), "misconfigured");
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_status_that_another_program_writes_later_wins() {
    let place = Place::new(Kind::MySql).await;
    place
        .run(&table("whatsapp_accounts", MYSQL, &MYSQL_VARIANTS[7]))
        .await;
    let store = place
        .open(StoreOptions::default().poll_every(Duration::from_millis(20)))
        .await
        .unwrap();
    store.register(&key("s")).await.unwrap();
    let mut watcher = store.watch(&key("s").session_id).await.unwrap();
    let failed = Failed::new("not_ready", "no number");
    store
        .apply(&SessionEvent::session_error(key("s"), failed))
        .await
        .unwrap();
    assert_eq!(watcher.changed().await.unwrap().status, Status::Error);
    let written = place.text("select cast(status as char) from whatsapp_accounts");
    assert_eq!(written.await.as_deref(), Some("disconnected"));
    let kept = place.text("select concat(error, ' ', error_message) from whatsapp_phone_sessions");
    assert_eq!(kept.await.as_deref(), Some("not_ready no number"));
    let listed = async |status| {
        let query = SessionQuery::default().status(status);
        store.sessions(&query).await.unwrap().rows
    };
    let [row] = &listed(Status::Error).await[..] else {
        panic!("one row is in error");
    };
    assert_eq!(row.error.as_ref().unwrap().code, "not_ready");
    assert_eq!(listed(Status::Disconnected).await, []);
    let later =
        "update whatsapp_accounts set status = 'disconnected', updated_at = '2030-01-01 00:00:00'";
    place.run(later).await;
    super::rows::until(&mut watcher, Status::Disconnected).await;
    assert_eq!(listed(Status::Error).await, []);
    assert_eq!(listed(Status::Disconnected).await[0].error, None);
    place.end().await;
}
