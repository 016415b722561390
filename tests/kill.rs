//! A process that applies events is killed with SIGKILL at random moments, repeatedly. Events
//! that it had accepted are there afterwards, and an event that is delivered again has effect once.
//!
//! The process is a copy of this program. 200 moments for each database, unless
//! WHATSAPP_PHONE_TEST_KILLS says otherwise.
#![cfg(all(
    feature = "testkit",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/database.rs"]
mod database;
#[path = "support/sender.rs"]
mod sender;
#[path = "support/time.rs"]
mod time;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use database::{Kind, Place};
use sender::{Process, Sender, apply_lines, number};
use time::{random_moment, within_limit};
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::store::StoreOptions;

/// Set for a copy of this program that applies the events of its input: the database's kind and URL.
const ROLE: &str = "WHATSAPP_PHONE_TEST_APPLIES";
const SESSIONS: usize = 8;
/// Events of a session that are sent and not yet accepted.
const WINDOW: usize = 3;

fn key(session: usize) -> SessionKey {
    SessionKey::new(7, format!("s{session}")).unwrap()
}

/// The process that is killed. As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_applies() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let (kind, url) = role.split_once(' ').unwrap();
    let store = Place::open_at(kind.parse().unwrap(), url, StoreOptions::default());
    apply_lines(Arc::from(store.await.unwrap())).await;
}

/// Makes the next event of a session; each changes its status. Every other session has no `seq`, so that only the
/// id identifies a repetition.
fn make(session: usize, number: u64) -> SessionEvent {
    let event = match number % 2 {
        1 => {
            let phone: PhoneNumber = format!("62811000{session:04}").parse().unwrap();
            SessionEvent::session_ready(key(session), phone)
        }
        _ => SessionEvent::session_disconnected(key(session), "LOGOUT"),
    };
    match session % 2 {
        0 => event.with_seq(number),
        _ => event,
    }
}

fn start(place: &Place) -> Process {
    let role = format!("{} {}", place.kind, place.url);
    Process::start("the_process_that_applies", ROLE, &role)
}

async fn missing(place: &Place, accepted: &HashSet<String>) -> usize {
    let kept = place
        .texts("select event_id from whatsapp_phone_applied")
        .await;
    let kept: HashSet<_> = kept.into_iter().flatten().collect();
    accepted.difference(&kept).count()
}

async fn survives_kills(kind: Kind) {
    let moments = number("WHATSAPP_PHONE_TEST_KILLS", 200);
    let place = Place::new(kind).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    for session in 0..SESSIONS {
        store.register(&key(session)).await.unwrap();
    }
    let mut sender = Sender::new(SESSIONS, make);
    let mut lost = 0;
    for moment in 0..=moments {
        let is_last = moment == moments;
        let mut process = start(&place);
        for event in sender.again() {
            process.send(&event).await;
        }
        for session in 0..SESSIONS {
            while !is_last && sender.waiting[session].len() < WINDOW {
                let event = sender.make(session);
                process.send(&event).await;
            }
        }
        // Kill it after some answers, at a random moment between two of them.
        for _ in 0..fastrand::usize(0..24) {
            if is_last {
                break;
            }
            let Some(line) = process.next_line().await else {
                break;
            };
            if let Some(session) = sender.hear(&line) {
                let event = sender.make(session);
                process.send(&event).await;
            }
        }
        if !is_last {
            random_moment(Duration::from_millis(2)).await;
            process.child.start_kill().unwrap();
        }
        // The last process applies all remaining events.
        let Process {
            mut child,
            input,
            lines,
        } = process;
        drop(input);
        let mut rest = lines;
        while let Some(line) = rest.next_line().await.unwrap() {
            sender.hear(&line);
        }
        let status = child.wait().await.unwrap();
        assert_eq!(status.success(), is_last, "{status}");
        lost += missing(&place, &sender.accepted).await;
    }
    let mut made = 0;
    for session in 0..SESSIONS {
        assert!(sender.waiting[session].is_empty());
        made += sender.made[session];
        let row = store
            .session(&key(session).session_id)
            .await
            .unwrap()
            .unwrap();
        // Every event changed something once.
        sender.twice += row.version.abs_diff(sender.made[session]);
    }
    println!(
        "killed at {moments} moments: {kind}, {made} events, missing={lost} twice={}",
        sender.twice
    );
    assert_eq!((lost, sender.twice), (0, 0));
    place.end().await;
}

#[tokio::test]
async fn sqlite_survives_kills() {
    survives_kills(Kind::Sqlite).await;
}

#[tokio::test]
async fn postgres_survives_kills() {
    survives_kills(Kind::Postgres).await;
}

#[tokio::test]
async fn mysql_survives_kills() {
    survives_kills(Kind::MySql).await;
}

/// Returns whether the server reports an open transaction of the stopped process.
async fn is_in_a_transaction(place: &Place) -> bool {
    let open = match place.kind {
        Kind::MySql => {
            "select cast(t.trx_id as char) from information_schema.innodb_trx t
            join information_schema.processlist p on p.id = t.trx_mysql_thread_id where p.db = database()
                and p.command = 'Sleep' and t.trx_rows_locked > 0"
        }
        _ => {
            "select l.pid::text from pg_locks l join pg_stat_activity a on a.pid = l.pid
            where l.locktype = 'advisory' and a.state = 'idle in transaction'
                and a.application_name = current_setting('application_name')"
        }
    };
    !place.texts(open).await.is_empty()
}

/// Checks that other processes can change every session although one is stopped in a transaction.
async fn outlives_a_frozen_process(place: Place) {
    use rustix::process::{Pid, Signal, kill_process};

    let store = place.open(StoreOptions::default()).await.unwrap();
    for session in 0..SESSIONS {
        store.register(&key(session)).await.unwrap();
    }
    let mut sender = Sender::new(SESSIONS, make);
    let mut process = start(&place);
    let pid = Pid::from_raw(i32::try_from(process.child.id().unwrap()).unwrap()).unwrap();
    // Enough events at once to keep the process in transactions for most of the time.
    const EVENTS: usize = 16 * SESSIONS;
    let stopped = loop {
        for event in 0..EVENTS {
            let event = sender.make(event % SESSIONS);
            process.send(&event).await;
        }
        random_moment(Duration::from_millis(3)).await;
        kill_process(pid, Signal::STOP).unwrap();
        let stopped = tokio::time::Instant::now();
        // Asked twice, because a statement that was running may still end the transaction.
        if is_in_a_transaction(&place).await && is_in_a_transaction(&place).await {
            break stopped;
        }
        kill_process(pid, Signal::CONT).unwrap();
        for _ in 0..EVENTS {
            process.next_line().await.unwrap();
        }
    };
    for session in 0..SESSIONS {
        let gone = SessionEvent::session_disconnected(key(session), "");
        let applied = async { while store.apply(&gone).await.is_err() {} };
        within_limit("the frozen process lets go of the session", applied).await;
    }
    let back = stopped.elapsed();
    let kind = place.kind;
    println!("{kind}: every session applies events again after {back:.1?}");
    kill_process(pid, Signal::CONT).unwrap();
    process.child.kill().await.unwrap();
    place.end().await;
}

#[tokio::test]
async fn postgres_outlives_a_frozen_process() {
    outlives_a_frozen_process(Place::new(Kind::Postgres).await).await;
}

#[tokio::test]
async fn mysql_outlives_a_frozen_process() {
    outlives_a_frozen_process(Place::new(Kind::MySql).await).await;
}

/// MySQL has no `idle_transaction_timeout`, as MariaDB has; there `wait_timeout` ends the transaction.
#[tokio::test]
async fn mysql_without_idle_timeouts_outlives_a_frozen_process() {
    outlives_a_frozen_process(Place::zoned_mysql().await).await;
}
