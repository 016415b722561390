//! [`Table`]: the operations of an outbox on its table. Times are milliseconds of the database's clock.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::event::{EventError, EventId, SessionEvent, SessionKey};
use crate::store::error::StoreError;

/// Below every order key.
pub(in crate::store) const START: i64 = -1;

/// An event to store in a queue. No `Debug`: it holds numbers.
pub(in crate::store) struct Entry {
    queue: String,
    order_key: i64,
    event: String,
    body: String,
}

impl Entry {
    pub(in crate::store) fn new(queue: &str, event: &SessionEvent) -> Self {
        let id = event.delivery_id().cloned();
        Self {
            queue: queue.to_owned(),
            order_key: order_key(event.session()),
            event: id.unwrap_or_else(EventId::generate).as_str().to_owned(),
            body: event.clone().without_qr_payload().to_json(),
        }
    }
}

/// Returns the parameter of the statement that stores these events.
pub(in crate::store) fn to_json(entries: &[Entry]) -> String {
    let entries = entries.iter().enumerate().map(|(n, entry)| {
        json!({
            "n": n, "queue": entry.queue, "key": entry.order_key, "event": entry.event,
            "body": ascii(&entry.body),
        })
    });
    Value::from_iter(entries).to_string()
}

/// Returns the same JSON in ASCII: no database mistakes it for another character set.
pub(in crate::store) fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() {
            escaped.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                escaped += &format!("\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// Returns the key of the order of a session's events: 63 bits of the FNV-1a hash of its session's id, the same in every
/// version of this crate. Two sessions that share a key wait for each other: that is the only effect.
pub(super) fn order_key(session: Option<&SessionKey>) -> i64 {
    let id = session.map_or("", |key| key.session_id.as_str());
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i64::try_from(hash >> 1).unwrap_or_default()
}

/// The first waiting event of an order key.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::store) struct Head {
    pub(in crate::store) key: i64,
    pub(in crate::store) id: i64,
    /// How long until it is due, or its lease ends. Zero or less: it is due.
    pub(in crate::store) wait: i64,
    /// How many attempts have failed.
    pub(in crate::store) attempts: i64,
}

/// A leased event. No `Debug`: it holds numbers.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(in crate::store) struct Job {
    pub(in crate::store) id: i64,
    /// The event's id, or the one that the outbox gave it.
    pub(in crate::store) event: Option<String>,
    pub(in crate::store) body: String,
    /// How many attempts have failed.
    pub(in crate::store) attempts: i64,
    /// How long ago it was stored, or replayed.
    pub(in crate::store) age: i64,
    #[serde(default)]
    pub(in crate::store) lease: i64,
}

impl Job {
    pub(in crate::store) fn read(&self) -> Result<SessionEvent, EventError> {
        let id = self.event.as_deref().and_then(|id| EventId::new(id).ok());
        Ok(SessionEvent::from_stored(self.body.as_bytes())?.with_outbox_id(id))
    }
}

/// A delivery that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Ended {
    pub(in crate::store) id: i64,
    pub(in crate::store) lease: i64,
    pub(in crate::store) result: Result<(), Failed>,
}

/// A delivery that has failed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Failed {
    /// When it is tried again. `None`: it is a dead letter.
    pub(in crate::store) delay: Option<Duration>,
    pub(in crate::store) error: String,
}

/// One step of a worker.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Step<'a> {
    pub(in crate::store) queue: &'a str,
    /// Events with a greater order key are looked at.
    pub(in crate::store) after: i64,
    /// How many events are leased at most, for how long.
    pub(in crate::store) limit: usize,
    pub(in crate::store) lease: Duration,
    /// Whether no event is leased that was tried before.
    pub(in crate::store) only_first: bool,
    /// Deliveries to record.
    pub(in crate::store) ended: &'a [Ended],
}

/// The result of a step.
#[derive(Default)]
pub(in crate::store) struct Found {
    pub(in crate::store) jobs: Vec<Job>,
    /// The order key to continue after. `None`: all were looked at.
    pub(in crate::store) next: Option<i64>,
    /// How long until the next of the events is due that were looked at.
    pub(in crate::store) wait: Option<Duration>,
}

impl Found {
    /// Returns the ids of the due events in a page of heads, and the result of the step, still without its jobs.
    pub(in crate::store) fn of(heads: &[Head], page: usize, step: Step<'_>) -> (Vec<i64>, Self) {
        let mut found = Self::default();
        let mut due = Vec::new();
        for (seen, head) in heads.iter().enumerate() {
            match u64::try_from(head.wait) {
                _ if step.only_first && head.attempts > 0 => {}
                Ok(wait @ 1..) => {
                    let wait = Duration::from_millis(wait);
                    found.wait = Some(found.wait.map_or(wait, |before| before.min(wait)));
                }
                _ => due.push(head.id),
            }
            let is_last = seen + 1 == heads.len();
            if due.len() >= step.limit && !is_last || is_last && heads.len() >= page {
                found.next = Some(head.key);
                break;
            }
        }
        (due, found)
    }
}

/// How many events a queue has.
#[derive(Deserialize)]
pub(in crate::store) struct Count {
    pub(in crate::store) waiting: u64,
    pub(in crate::store) dead: u64,
    /// The age of the oldest one that waits.
    pub(in crate::store) age: Option<i64>,
}

/// A dead letter as it is read. No `Debug`: it holds numbers.
#[derive(Deserialize)]
pub(in crate::store) struct Letter {
    #[serde(flatten)]
    pub(in crate::store) job: Job,
    pub(in crate::store) error: Option<String>,
    pub(in crate::store) dead_for: i64,
}

/// The table of outboxes in a database.
#[async_trait]
pub(in crate::store) trait Table: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;

    /// How often a worker looks for the events of other processes.
    fn poll_interval(&self) -> Duration;

    /// The longest time of one call.
    fn deadline(&self) -> Duration;

    /// Notified when this process has stored events.
    fn stored(&self) -> &Notify;

    /// Stores events, unless they wait or are dead letters already.
    async fn put(&self, entries: &[Entry]) -> Result<(), StoreError>;

    /// Records deliveries whose leases are not lost, and leases due events: of each order key the first one.
    async fn step(&self, step: Step<'_>) -> Result<Found, StoreError>;

    async fn count(&self, queue: &str) -> Result<Count, StoreError>;

    /// Counts the events that wait, up to this number.
    async fn waiting(&self, queue: &str, limit: u64) -> Result<u64, StoreError>;

    /// Returns whether events with this order key wait.
    async fn holds(&self, queue: &str, order_key: i64) -> Result<bool, StoreError>;

    /// Returns whether events wait that were stored before this one.
    async fn holds_before(&self, queue: &str, id: i64) -> Result<bool, StoreError>;

    async fn letters(
        &self,
        queue: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError>;

    /// Returns the next ids after this one of letters that have been dead for this time or longer.
    async fn dead(
        &self,
        queue: &str,
        after: i64,
        dead_for: Duration,
    ) -> Result<Vec<i64>, StoreError>;

    /// Returns the id of the newest dead letter to delete so that `kept` remain; `None` if there are no more than that.
    async fn surplus(&self, queue: &str, kept: u64) -> Result<Option<i64>, StoreError>;

    /// Makes those of these events that are dead letters wait again, as new ones, and returns their number.
    async fn replay(&self, queue: &str, ids: &[i64]) -> Result<u64, StoreError>;

    /// Deletes those of these events that are dead letters, and returns their number.
    async fn delete(&self, queue: &str, ids: &[i64]) -> Result<u64, StoreError>;
}
