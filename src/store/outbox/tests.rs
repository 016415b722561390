//! A worker under paused time, on a table in memory. The tests on databases are in `tests/store/outbox.rs`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::table::{Count, Found, Head, Job, Letter, Step, to_json};
use super::worker::Search;
use super::*;
use crate::event::SessionKey;

const HOUR: Duration = Duration::from_hours(1);
const SESSIONS: usize = 50;
/// Events of each session while the receiver is down.
const EVENTS: u64 = 10;
/// Heads in one step: fewer than there are sessions.
const PAGE: usize = 40;

struct Row {
    id: i64,
    key: i64,
    event: String,
    body: String,
    is_dead: bool,
    attempts: i64,
    due_at: Instant,
    lease: Option<i64>,
    created_at: Instant,
}

/// A table of one queue, whose clock is that of tokio.
struct InMemory {
    rows: Mutex<Vec<Row>>,
    stored: Notify,
    /// How long a step takes, after it has leased its events, and a count of waiting events.
    call_takes: Duration,
    /// The most events that were leased at the same time: a worker holds no others.
    most_leased: AtomicUsize,
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

impl InMemory {
    fn new(call_takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::default(),
            stored: Notify::new(),
            call_takes,
            most_leased: AtomicUsize::new(0),
        })
    }

    fn exchange(&self, step: Step<'_>) -> Found {
        let now = Instant::now();
        let mut rows = self.rows.lock().unwrap();
        for ended in step.ended {
            let is_it = |row: &Row| (row.id, row.lease) == (ended.id, Some(ended.lease));
            let at = rows.iter().position(is_it).unwrap();
            match &ended.result {
                Ok(()) => drop(rows.remove(at)),
                Err(failed) => {
                    let row = &mut rows[at];
                    (row.attempts, row.lease) = (row.attempts + 1, None);
                    row.is_dead = failed.delay.is_none();
                    row.due_at = now + failed.delay.unwrap_or_default();
                }
            }
        }
        if step.limit == 0 {
            return Found {
                next: Some(step.after),
                ..Found::default()
            };
        }
        let mut heads = BTreeMap::new();
        for row in rows
            .iter()
            .filter(|row| !row.is_dead && row.key > step.after)
        {
            heads.entry(row.key).or_insert(Head {
                key: row.key,
                id: row.id,
                wait: milliseconds_of(row.due_at.saturating_duration_since(now)),
                attempts: row.attempts,
            });
        }
        let heads: Vec<Head> = heads.into_values().take(PAGE).collect();
        let (due, mut found) = Found::of(&heads, PAGE, step);
        for row in rows.iter_mut().filter(|row| due.contains(&row.id)) {
            let lease = fastrand::i64(1..);
            (row.lease, row.due_at) = (Some(lease), now + step.lease);
            found.jobs.push(Job {
                id: row.id,
                event: Some(row.event.clone()),
                body: row.body.clone(),
                attempts: row.attempts,
                age: milliseconds_of(now - row.created_at),
                lease,
            });
        }
        let leased = rows.iter().filter(|row| row.lease.is_some()).count();
        self.most_leased.fetch_max(leased, Ordering::Relaxed);
        found
    }
}

#[async_trait]
impl Table for InMemory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn poll_interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn stored(&self) -> &Notify {
        &self.stored
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let entries: Vec<serde_json::Value> = serde_json::from_str(&to_json(entries)).unwrap();
        let mut rows = self.rows.lock().unwrap();
        for entry in entries {
            let now = Instant::now();
            let id = rows.last().map_or(1, |row| row.id + 1);
            rows.push(Row {
                id,
                key: entry["key"].as_i64().unwrap(),
                event: entry["event"].as_str().unwrap().to_owned(),
                body: entry["body"].as_str().unwrap().to_owned(),
                is_dead: false,
                attempts: 0,
                due_at: now,
                lease: None,
                created_at: now,
            });
        }
        self.stored.notify_waiters();
        Ok(())
    }

    async fn step(&self, step: Step<'_>) -> Result<Found, StoreError> {
        let found = self.exchange(step);
        sleep(self.call_takes).await;
        Ok(found)
    }

    async fn count(&self, _: &str) -> Result<Count, StoreError> {
        let rows = self.rows.lock().unwrap();
        let dead = rows.iter().filter(|row| row.is_dead).count();
        let oldest = rows.iter().find(|row| !row.is_dead);
        Ok(Count {
            waiting: (rows.len() - dead) as u64,
            dead: dead as u64,
            age: oldest.map(|row| milliseconds_of(row.created_at.elapsed())),
        })
    }

    async fn waiting(&self, queue: &str, limit: u64) -> Result<u64, StoreError> {
        let waiting = self.count(queue).await?.waiting.min(limit);
        sleep(self.call_takes).await;
        Ok(waiting)
    }

    async fn holds(&self, _: &str, _: i64) -> Result<bool, StoreError> {
        unreachable!("no test asks for the events of a session")
    }

    async fn holds_before(&self, _: &str, _: i64) -> Result<bool, StoreError> {
        unreachable!("no test has a number that is taken")
    }

    async fn letters(&self, _: &str, _: i64, _: usize) -> Result<Vec<Letter>, StoreError> {
        unreachable!("no test reads dead letters")
    }

    async fn dead(&self, _: &str, _: i64, _: Duration) -> Result<Vec<i64>, StoreError> {
        Ok(Vec::new())
    }

    async fn surplus(&self, _: &str, _: u64) -> Result<Option<i64>, StoreError> {
        unreachable!("no test has that many dead letters")
    }

    async fn replay(&self, _: &str, _: &[i64]) -> Result<u64, StoreError> {
        unreachable!("no test replays dead letters")
    }

    async fn delete(&self, _: &str, _: &[i64]) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_of_many_sessions_pauses_although_it_finds_events() {
    const MS: fn(u64) -> Duration = Duration::from_millis;
    const POLL: Duration = Duration::from_millis(50);
    let found = |jobs: usize, next: Option<i64>| Found {
        jobs: (0..jobs).map(|_| Job::default()).collect(),
        next,
        wait: None,
    };
    let pauses = |steps: &[(usize, Option<i64>)]| {
        let mut search = Search::new(POLL);
        for (jobs, next) in steps {
            search.note(&found(*jobs, *next), 3, MS(20), POLL);
        }
        let unless_something_happens = search.next - Instant::now();
        search.hasten();
        (unless_something_happens, search.next - Instant::now())
    };
    assert_eq!(pauses(&[(0, None)]), (MS(80), MS(80)));
    assert_eq!(pauses(&[(1, Some(7)), (1, None)]), (MS(160), MS(160)));
    // A few sessions, or more due events than there is room for.
    assert_eq!(pauses(&[(1, None)]), (MS(0), MS(0)));
    assert_eq!(pauses(&[(3, Some(7)), (0, None)]), (MS(0), MS(0)));
    // The search goes on.
    assert_eq!(pauses(&[(0, Some(7))]), (MS(0), MS(0)));
}

/// A session whose events a receiver accepts also while it is down for others.
const ALWAYS_ACCEPTED: &str = "new";

/// A receiver that is down for a time.
struct Receiver {
    up_at: Instant,
    /// While it is down, it gives no answer. Otherwise it refuses connections.
    hangs: bool,
    attempts: AtomicUsize,
    accepted: Mutex<HashMap<String, Vec<u64>>>,
}

impl Receiver {
    fn down_for(time: Duration, hangs: bool) -> Arc<Self> {
        Arc::new(Self {
            up_at: Instant::now() + time,
            hangs,
            attempts: AtomicUsize::new(0),
            accepted: Mutex::default(),
        })
    }
}

#[async_trait]
impl EventSink for Arc<Receiver> {
    fn name(&self) -> &str {
        "receiver"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let session = event.session().unwrap().session_id.as_str().to_owned();
        let is_down = Instant::now() < self.up_at && session != ALWAYS_ACCEPTED;
        match (is_down, self.hangs) {
            (true, true) => std::future::pending().await,
            (true, false) => Err(SinkError::transient(codes::WEBHOOK_UNREACHABLE, "down")),
            (false, _) => {
                let mut accepted = self.accepted.lock().unwrap();
                accepted
                    .entry(session)
                    .or_default()
                    .push(event.seq().unwrap());
                Ok(())
            }
        }
    }
}

async fn outlives_an_hour_without_receiver(hangs: bool) {
    let table = InMemory::new(Duration::ZERO);
    let outbox = Outbox::new(table.clone(), "queue");
    let receiver = Receiver::down_for(HOUR, hangs);
    let worker = outbox.deliver_to(receiver.clone()).start();
    for seq in 1..=EVENTS {
        for session in 0..SESSIONS {
            let session = SessionKey::new(7, format!("s{session}")).unwrap();
            let event = SessionEvent::session_authenticated(session).with_seq(seq);
            outbox.send(&event).await.unwrap();
        }
        sleep(HOUR / u32::try_from(EVENTS).unwrap()).await;
    }
    let status = outbox.status().await.unwrap();
    assert_eq!((status.waiting, status.dead), (SESSIONS as u64 * EVENTS, 0));
    assert!(status.oldest.unwrap() >= HOUR);
    // The first event of each session alone, after 1, 2, 4 s and so on, then every 5 minutes.
    let attempts = receiver.attempts.load(Ordering::Relaxed);
    assert!(
        (10 * SESSIONS..=21 * SESSIONS).contains(&attempts),
        "{attempts}"
    );

    // The longest delay with its jitter, and an attempt that has hung.
    sleep(Duration::from_secs(6 * 60 + 15)).await;
    let status = outbox.status().await.unwrap();
    assert_eq!((status.waiting, status.oldest, status.dead), (0, None, 0));
    let accepted = std::mem::take(&mut *receiver.accepted.lock().unwrap());
    assert_eq!(accepted.len(), SESSIONS);
    assert!(
        accepted
            .values()
            .all(|seqs| seqs.iter().copied().eq(1..=EVENTS))
    );
    let most = table.most_leased.load(Ordering::Relaxed);
    assert!(most <= 32, "{most} events in memory");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_refuses_connections_for_an_hour_gets_every_event_in_order() {
    outlives_an_hour_without_receiver(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_for_an_hour_gets_every_event_in_order() {
    outlives_an_hour_without_receiver(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_delivers_also_with_a_short_send_timeout() {
    let step_takes = Duration::from_secs(9);
    let outbox = Outbox::new(InMemory::new(step_takes), "queue");
    let receiver = Receiver::down_for(Duration::ZERO, false);
    let session = SessionKey::new(7, "s").unwrap();
    let event = SessionEvent::session_authenticated(session).with_seq(1);
    outbox.send(&event).await.unwrap();
    let worker = outbox.deliver_to(receiver.clone());
    let worker = worker.send_timeout(Duration::from_millis(10)).start();
    // One step leases it, the next one records it.
    sleep(2 * step_takes + Duration::from_secs(1)).await;
    assert_eq!(receiver.accepted.lock().unwrap()["s"], [1]);
    assert_eq!(receiver.attempts.load(Ordering::Relaxed), 1);
    assert_eq!(outbox.status().await.unwrap().waiting, 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_does_not_wait_for_the_retries_of_a_thousand_sessions_that_hang() {
    let outbox = Outbox::new(InMemory::new(Duration::ZERO), "queue");
    let receiver = Receiver::down_for(HOUR, true);
    let sent = async |session: String| {
        let session = SessionKey::new(7, session).unwrap();
        let event = SessionEvent::session_authenticated(session).with_seq(1);
        outbox.send(&event).await.unwrap();
    };
    for session in 0..1000 {
        sent(format!("s{session}")).await;
    }
    let worker = outbox.deliver_to(receiver.clone()).start();
    // Each was tried: from now on there are retries alone.
    sleep(Duration::from_secs(500)).await;
    assert!(receiver.attempts.load(Ordering::Relaxed) > 1000);
    let began = Instant::now();
    sent(ALWAYS_ACCEPTED.to_owned()).await;
    while receiver.accepted.lock().unwrap().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let waited = began.elapsed();
    assert!(waited <= Duration::from_secs(20), "{waited:?}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_count_of_the_waiting_events_delays_one_sender_alone() {
    const TAKES: Duration = Duration::from_secs(9);
    let outbox = Outbox::new(InMemory::new(TAKES), "queue").max_waiting(3);
    let began = Instant::now();
    let sent = async |seq: u64| {
        let session = SessionKey::new(7, "s").unwrap();
        let event = SessionEvent::session_authenticated(session).with_seq(seq);
        let error = outbox.send(&event).await.err();
        (error.map(|error| error.code().to_owned()), began.elapsed())
    };
    let (first, second, third) = tokio::join!(sent(1), sent(2), sent(3));
    assert_eq!(first, (None, TAKES));
    assert_eq!([second, third], [const { (None, Duration::ZERO) }; 2]);
    let full = Some(codes::QUEUE_FULL.to_owned());
    assert_eq!(sent(4).await, (full, 2 * TAKES));
}

fn milliseconds_of(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}
