//! Measures the time from `apply(session_ready)` to the committed row, with 16 callers at once and durable settings.
//!
//! ```sh
//! bash -c '. tests/servers.sh && start_servers && cargo bench --bench store --features sqlite,postgres,mysql,webhook'
//! ```
//!
//! Every caller has a session and a number of its own. It connects (`session_ready`, timed) and disconnects
//! (not timed) 20 times to warm up, then 200 times. In a first run all sessions are in one workspace, in a
//! second run each has its own. For comparison, a write of 4 KiB with `fdatasync` in the directory of
//! temporary files is timed, 300 times before and 300 times after: a commit cannot cost less. The bench reads
//! back the settings that make a commit durable.
//!
//! `-- rows 1000 1000000` measures one caller in a workspace of 1,000 and of 1,000,000 rows instead,
//! `-- processes 600` three processes for 600 seconds, `-- outbox 100000` the cost of an outbox in which 100,000 events
//! wait, of one whose receiver is healthy, and of one whose receiver hangs.
//!
//! Figures are printed and not checked. The bench fails only if a measurement is missing.

// A bench has no caller to report to.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/database.rs"]
mod database;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/processes.rs"]
mod processes;
#[path = "store/rows.rs"]
mod rows;
#[path = "../tests/support/time.rs"]
mod time;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use whatsapp_phone::sqlx::{self, AssertSqlSafe, MySqlPool, PgPool};
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::postgres::PostgresStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{Outcome, SessionStore, StoreOptions};

const CALLERS: u32 = 16;
const WARM_UP: usize = 20;
const TIMES: usize = 200;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if let Ok(role) = std::env::var(processes::ROLE) {
        return processes::apply(&role).await;
    }
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let number = |text: &String| text.replace('_', "").parse().unwrap();
    match arguments.split_first() {
        Some((mode, sizes)) if mode == "rows" => {
            return rows::rows(&sizes.iter().map(number).collect::<Vec<u32>>()).await;
        }
        Some((mode, [waiting])) if mode == "outbox" => {
            return outbox::compare(number(waiting)).await;
        }
        Some((mode, [seconds, other @ ..])) if mode == "processes" => {
            return processes::measure(number(seconds).into(), other).await;
        }
        _ => {}
    }
    let directory = tempfile::tempdir().unwrap();
    let mut syncs = fdatasyncs(directory.path());
    let stores = stores(directory.path()).await;
    let mut rows = Vec::new();
    for (settings, store) in &stores {
        println!("{:<10} {settings}", store.name());
        for (n, spread) in ["one", "each its own"].into_iter().enumerate() {
            let (times, took) = measure(store, n).await;
            rows.push((store.name().to_owned(), spread, times, took));
        }
    }
    syncs.extend(fdatasyncs(directory.path()));
    syncs.sort_unstable();
    let sync = percentile(&syncs, 50);
    println!(
        "\nfdatasync of 4 KiB: median {}, p95 {} ({} times)\n",
        ms(sync),
        ms(percentile(&syncs, 95)),
        syncs.len()
    );
    println!(
        "{:<10} {:<14} {:>10} {:>10} {:>10} {:>16} {:>16}",
        "store", "workspaces", "median", "p95", "max", "p95 / fdatasync", "applied per s"
    );
    for (store, spread, times, took) in rows {
        let p95 = percentile(&times, 95);
        // As many disconnect as connect.
        let all = 2 * (TIMES + WARM_UP) * CALLERS as usize;
        println!(
            "{store:<10} {spread:<14} {:>10} {:>10} {:>10} {:>16.1} {:>16.0}",
            ms(percentile(&times, 50)),
            ms(p95),
            ms(percentile(&times, 100)),
            p95.as_secs_f64() / sync.as_secs_f64(),
            all as f64 / took.as_secs_f64()
        );
    }
}

fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn fdatasyncs(directory: &std::path::Path) -> Vec<Duration> {
    let mut file = File::create(directory.join("plain")).unwrap();
    let block = [7; 4096];
    let mut times = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        times.push(start.elapsed());
    }
    times
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; run this as the first lines of benches/store.rs say")
    })
}

/// Each with what it says of its own durability.
async fn stores(directory: &std::path::Path) -> Vec<(String, Arc<dyn SessionStore>)> {
    let options = || StoreOptions::default().create_tables();
    let mut stores: Vec<(String, Arc<dyn SessionStore>)> = Vec::new();
    let nothing = "nothing is durable".to_owned();
    stores.push((nothing, Arc::new(MemoryStore::new(options()))));

    let file = SqliteConnectOptions::new()
        .filename(directory.join("sessions.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(file)
        .await
        .unwrap();
    let (journal,): (String,) = sqlx::query_as("PRAGMA journal_mode")
        .fetch_one(&pool)
        .await
        .unwrap();
    let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous")
        .fetch_one(&pool)
        .await
        .unwrap();
    let settings = format!("journal_mode={journal} synchronous={synchronous} (2 is FULL)");
    let store = SqliteStore::from_pool(pool, options()).await.unwrap();
    stores.push((settings, Arc::new(store)));

    let name = format!("bench_{}", std::process::id());
    let url = server("WHATSAPP_PHONE_TEST_POSTGRES");
    let admin = PgPool::connect(&url).await.unwrap();
    let make = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::raw_sql(make).execute(&admin).await.unwrap();
    let mut settings = String::new();
    for name in ["server_version", "fsync", "synchronous_commit"] {
        let show = AssertSqlSafe(format!("SHOW {name}"));
        let (value,): (String,) = sqlx::query_as(show).fetch_one(&admin).await.unwrap();
        settings += &format!("{name}={value} ");
    }
    let url = format!("{url}?options=-csearch_path%3D{name}");
    let store = PostgresStore::connect(&url, options()).await.unwrap();
    stores.push((settings, Arc::new(store)));

    let url = server("WHATSAPP_PHONE_TEST_MYSQL");
    let admin = MySqlPool::connect(&url).await.unwrap();
    let make = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(make).execute(&admin).await.unwrap();
    let settings = "SELECT CONCAT('version=', VERSION(), ' innodb_flush_log_at_trx_commit=',
        @@innodb_flush_log_at_trx_commit, ' log_bin=', @@log_bin)";
    let (settings,): (String,) = sqlx::query_as(settings).fetch_one(&admin).await.unwrap();
    let store = MySqlStore::connect(&format!("{url}/{name}"), options())
        .await
        .unwrap();
    stores.push((settings, Arc::new(store)));
    stores
}

/// The sorted times of the `session_ready`s, and how long all of it took.
async fn measure(store: &Arc<dyn SessionStore>, spread: usize) -> (Vec<Duration>, Duration) {
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let workspace = 1 + spread as u64 * u64::from(1 + caller);
        let session = SessionKey::new(workspace, format!("bench-{spread}-{caller}")).unwrap();
        store.register(&session).await.unwrap();
        let store = store.clone();
        callers.spawn(async move {
            let phone: PhoneNumber = format!("6281100{spread}{caller:03}").parse().unwrap();
            let mut times = Vec::with_capacity(TIMES);
            for n in 0..WARM_UP + TIMES {
                let ready = SessionEvent::session_ready(session.clone(), phone.clone());
                let start = Instant::now();
                let outcome = store.apply(&ready).await.unwrap();
                if n >= WARM_UP {
                    times.push(start.elapsed());
                }
                assert!(matches!(outcome, Outcome::Applied { .. }));
                let gone = SessionEvent::session_disconnected(session.clone(), "");
                store.apply(&gone).await.unwrap();
            }
            times
        });
    }
    let mut times = callers.join_all().await.concat();
    let took = start.elapsed();
    times.sort_unstable();
    (times, took)
}
