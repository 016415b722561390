//! `-- processes 600 [PHP SCRIPT]`: three processes apply mixed events to 100,000 live rows of one workspace on
//! MariaDB for 600 seconds, while the named program runs, if any.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{Failed, SessionEvent, SessionKey};
use whatsapp_phone::sqlx::{self, MySqlPool};
use whatsapp_phone::store::mysql::MySqlStore;
use whatsapp_phone::store::{SessionStore, StoreOptions};

use super::rows::{self, Pool};
use super::{ms, percentile, server};

const ROWS: u32 = 100_000;
const PROCESSES: usize = 3;
const CALLERS: usize = 16;
/// Set for a copy of this program that applies events: the database's URL, and the duration in seconds.
pub(crate) const ROLE: &str = "WHATSAPP_PHONE_BENCH_CROWD";

pub(crate) async fn measure(seconds: u64, other: &[String]) {
    let name = format!("processes_{}", std::process::id());
    let Pool::MySql(pool) = rows::mysql(&name).await else {
        return;
    };
    let url = format!("{}/{name}", server("WHATSAPP_PHONE_TEST_MYSQL"));
    MySqlStore::from_pool(pool.clone(), StoreOptions::default().create_tables())
        .await
        .unwrap();
    Pool::MySql(pool.clone()).fill(0, ROWS).await;
    let before = server_state(&pool).await;
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let mut child = Command::new(std::env::current_exe().unwrap());
        children.push(child.env(ROLE, format!("{url} {seconds}")).spawn().unwrap());
    }
    if let [program, arguments @ ..] = other {
        let child = Command::new(program)
            .args(arguments)
            .arg(&url)
            .arg(seconds.to_string())
            .stdout(Stdio::inherit())
            .spawn()
            .unwrap();
        children.push(child);
    }
    let over = Instant::now() + Duration::from_secs(seconds);
    let (mut structs, mut locked) = (Vec::new(), Vec::new());
    while Instant::now() < over {
        let open = "SELECT CAST(trx_lock_structs AS SIGNED), CAST(trx_rows_locked AS SIGNED)
            FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";
        let open: Vec<(i64, i64)> = sqlx::query_as(open).fetch_all(&pool).await.unwrap();
        for (s, l) in open {
            structs.push(s);
            locked.push(l);
        }
        sleep(Duration::from_millis(100)).await;
    }
    for mut child in children {
        assert!(child.wait().await.unwrap().success());
    }
    let after = server_state(&pool).await;
    structs.sort_unstable();
    locked.sort_unstable();
    let of = |sorted: &[i64]| {
        format!(
            "median {:?}, most {:?}",
            sorted.get(sorted.len() / 2),
            sorted.last()
        )
    };
    println!(
        "lock structures per transaction: {}; rows locked: {}; {} transactions seen",
        of(&structs),
        of(&locked),
        locked.len()
    );
    println!(
        "deadlocks: {}; the server has {}restarted",
        after.0 - before.0,
        if after.1 < before.1 { "" } else { "not " }
    );
}

/// Deadlocks, and seconds since the start.
async fn server_state(pool: &MySqlPool) -> (i64, i64) {
    let state = "SELECT CAST(SUM(IF(variable_name = 'INNODB_DEADLOCKS', variable_value, 0)) AS SIGNED),
        CAST(SUM(IF(variable_name = 'UPTIME', variable_value, 0)) AS SIGNED) FROM information_schema.global_status";
    sqlx::query_as(state).fetch_one(pool).await.unwrap()
}

/// One of the processes.
pub(crate) async fn apply(role: &str) {
    let (url, seconds) = role.split_once(' ').unwrap();
    let over = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let store = MySqlStore::connect(url, StoreOptions::default())
        .await
        .unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move {
            let (mut times, mut refused, mut failed) = (Vec::new(), 0_u64, 0_u64);
            while Instant::now() < over {
                // Half of the events go to a few sessions, which are in each other's way.
                let row = match fastrand::bool() {
                    true => fastrand::u32(..100),
                    false => fastrand::u32(..ROWS),
                };
                let session = SessionKey::new(1, format!("row-{row}")).unwrap();
                let number = if fastrand::u32(..10) == 0 {
                    fastrand::u32(..100)
                } else {
                    row
                };
                let phone: PhoneNumber = (62_811_000_000 + u64::from(number))
                    .to_string()
                    .parse()
                    .unwrap();
                let event = match fastrand::u32(..5) {
                    0 | 1 => SessionEvent::session_ready(session.clone(), phone),
                    2 | 3 => SessionEvent::session_disconnected(session.clone(), ""),
                    _ => SessionEvent::session_error(
                        session.clone(),
                        Failed::new("not_ready", "no number"),
                    ),
                };
                let start = Instant::now();
                match store.apply(&event).await {
                    Ok(_) => times.push(start.elapsed()),
                    Err(error) if error.code() == "unknown_session" => {
                        store.register(&session).await.unwrap();
                    }
                    Err(error) if error.code() == "storage" => {
                        eprintln!(
                            "{error}: {:?}",
                            std::error::Error::source(&error).map(ToString::to_string)
                        );
                        failed += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            (times, refused, failed)
        });
    }
    let (mut times, mut refused, mut failed) = (Vec::new(), 0, 0);
    for (more, no, bad) in callers.join_all().await {
        times.extend(more);
        refused += no;
        failed += bad;
    }
    times.sort_unstable();
    println!(
        "{} applied, {refused} refused, {failed} failed; median {}, p95 {}, max {}",
        times.len(),
        ms(percentile(&times, 50)),
        ms(percentile(&times, 95)),
        ms(percentile(&times, 100))
    );
}
