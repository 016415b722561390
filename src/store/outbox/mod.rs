//! A durable queue of events in the database of an SQL store: [`Outbox`].
//!
//! Events get into it in two ways:
//!
//! - [`StoreOptions::outbox`](super::StoreOptions::outbox) makes a store write each event that it applies
//!   into a queue too, in the transaction of the row. Foreign events, and expired QR codes of sessions that are not
//!   connected, change no row, but are written as well. Events that the store refuses or ignores as repeated or
//!   outdated are not.
//! - An `Outbox` is an [`EventSink`]: an event is in the database when `send` returns. For instance, a
//!   receiver of webhooks stores an event and answers, and a worker applies the event later.
//!
//! [`Outbox::deliver_to`] starts a worker, which delivers the events of a queue to any sink:
//!
//! ```
//! use whatsapp_phone::event::{SessionEvent, SessionKey, channel::channel};
//! use whatsapp_phone::store::{SessionStore, StoreOptions};
//! # #[cfg(feature = "sqlite")]
//! use whatsapp_phone::store::sqlite::SqliteStore;
//!
//! # #[cfg(not(feature = "sqlite"))]
//! # fn main() {}
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let url = format!("sqlite:{}", directory.path().join("sessions.db").display());
//! let options = StoreOptions::default().create_tables().outbox("webhook");
//! let store = SqliteStore::connect(&url, options).await?;
//!
//! // Usually a `WebhookSink`.
//! let (sink, mut delivered) = channel(100);
//! let worker = store.outbox("webhook").await?.deliver_to(sink).start();
//!
//! let session = SessionKey::new(7, "session-1")?;
//! store.register(&session).await?;
//! store.apply(&SessionEvent::session_authenticated(session)).await?;
//! assert_eq!(delivered.recv().await.unwrap().name(), "session_authenticated");
//! worker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Delivery
//!
//! - At least once: after a crash or a lost answer an event is delivered again, under the same id.
//! - In order within a session: the next event of a session is delivered when the one before was accepted or
//!   is a dead letter. Foreign events that name no session are delivered in one order.
//! - At most [32 events](OutboxWorkerBuilder::concurrency) at the same time by one worker, of which 24 may be retries: a
//!   new event does not wait for the retries of sessions that hang.
//! - By any number of workers, in any number of processes and machines. A worker leases an event for
//!   three times its [send timeout](OutboxWorkerBuilder::send_timeout) plus the store's
//!   [deadline](super::StoreOptions::deadline), 40 s by default. If it is killed, another worker delivers the event
//!   after that time. A worker whose lease has ended records nothing.
//! - Again after a transient error: after the next delay of the worker's [`Backoff`](crate::retry::Backoff), or after
//!   the error's [`retry_after`](crate::event::SinkError::retry_after) if that is longer, but at the backoff's
//!   deadline and within 24 h at the latest. By default: after 1 s, growing to 5 minutes, for 24 h after the event
//!   was stored. So a receiver that was down for hours gets the first event of every session within about 6 minutes,
//!   and the later ones without a further pause.
//! - Not again after a permanent error, or when the backoff ends: the event is a [dead letter](#dead-letters), and holds
//!   up no later one. An exception is `number_already_connected`, since an earlier event of another session may free the number. It is
//!   retried six times, within a minute by default, and for as long as earlier events wait in the queue.
//! - Without the payload of a QR code: `qr` is null.
//!
//! A worker delivers the events of its own process at once, and looks for others
//! every [`poll_every`](super::StoreOptions::poll_every). While thousands of sessions wait for a retry, it pauses
//! between its searches, so that it uses a database connection for a fifth of the time at most.
//!
//! All times are those of the database's clock; the clocks of the machines do not matter. If it is set back, waiting
//! events wait that much longer. If it is set forward, leases and deadlines end early: another worker may deliver an
//! event again while the first one still does, and an event whose attempt fails may become a dead letter too soon.
//!
//! # Dead letters
//!
//! [`Outbox::dead_letters`] lists them with their errors. [`Outbox::replay_all`] delivers all of them again, in their
//! order, but after the events that were delivered since. A store that receives them ignores those that are
//! outdated by then, if they have a `seq`.
//!
//! A permanent error may be about the receiver and not about the event: for instance, a proxy in front of it answers
//! 400, 405 or a redirect. Each event that is tried in that time becomes a dead letter, beginning with the oldest of each
//! session. Mend the proxy, then call `replay_all`. After an answer 410 a `WebhookSink` sends nothing more, so all events
//! of its queue become dead letters: make a new sink and start a new worker, then call `replay_all`.
//!
//! # Size
//!
//! An event takes about 600 bytes with its indexes, and is deleted when it is delivered.
//!
//! - [`Outbox::send`](EventSink::send) refuses events with the transient error `queue_full` while
//!   [`max_waiting`](Outbox::max_waiting) wait.
//! - A store never refuses an event for a full queue. If the receiver is down, an event waits until the backoff's
//!   deadline, then it is a dead letter. If each attempt hangs, a worker ends 32 attempts in each send timeout, 3 a second
//!   by default: set a greater [`concurrency`](OutboxWorkerBuilder::concurrency) if a store applies more events for hours.
//! - Dead letters are deleted by a worker after [30 days](OutboxWorkerBuilder::keep_dead_letters), and the oldest ones
//!   if there are more than [1,000,000](OutboxWorkerBuilder::max_dead_letters), about 0.6 GB.
//! - **Without a worker a store's queue grows without limit**: deleting its events would lose them. Name a queue in
//!   `StoreOptions::outbox` only if a worker delivers it, and watch its size: a worker records the [metrics]
//!   `whatsapp_phone_outbox_pending` and `whatsapp_phone_outbox_oldest_age_seconds`, and so does each call of
//!   [`Outbox::status`] in a process without a worker.
//!
//! # Table
//!
//! All queues of a database are in one table, `whatsapp_phone_outbox`, with the prefix of the
//! [store's table](super::StoreOptions::table). [`StoreOptions::create_tables`](super::StoreOptions::create_tables)
//! creates it when a store is made with an outbox, or when [`outbox`](super::StoreOptions::outbox) is called
//! on it. In a migration of your own, for PostgreSQL:
//!
//! ```sql
//! CREATE TABLE whatsapp_phone_outbox (
//!     id bigserial PRIMARY KEY,      -- MySQL: bigint unsigned AUTO_INCREMENT; SQLite: integer AUTOINCREMENT
//!     queue varchar(64) NOT NULL,
//!     order_key bigint NOT NULL,     -- a hash of the session's id
//!     event_id varchar(128),         -- of the event, or a new one
//!     body text NOT NULL,            -- MySQL: mediumtext
//!     is_dead int NOT NULL,
//!     attempts int NOT NULL,
//!     due_at bigint NOT NULL,        -- in milliseconds since 1970, as `created_at`
//!     lease bigint,
//!     error varchar(128),
//!     created_at bigint NOT NULL,
//!     UNIQUE (queue, order_key, event_id)
//! ); -- MySQL: ENGINE = InnoDB COLLATE utf8mb4_bin
//! CREATE INDEX whatsapp_phone_outbox_waiting ON whatsapp_phone_outbox (queue, is_dead, order_key, id);
//! ```

mod letters;
pub(in crate::store) mod table;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub use self::letters::DeadLetter;
use self::table::{Entry, Table, order_key};
pub use self::worker::{OutboxWorker, OutboxWorkerBuilder};
use super::error::{StoreError, StoreErrorKind};
use crate::event::{EventSink, SessionEvent, SessionKey, SinkError};
use crate::{codes, metrics};

/// How long a count of waiting events is used.
const MAX_COUNT_AGE: Duration = Duration::from_secs(1);

/// Longest name of a queue.
const MAX_QUEUE: usize = 64;

/// A queue of events in a database, from `SqliteStore::outbox`, `PostgresStore::outbox` or
/// `MySqlStore::outbox`. See the [module](self). Clones are the same queue.
#[derive(Clone, Debug)]
pub struct Outbox {
    table: Arc<dyn Table>,
    queue: String,
    max_waiting: u64,
    counted: Arc<Mutex<Counted>>,
}

/// The number of waiting events when they were counted last, and of those that were sent since.
#[derive(Debug, Default)]
struct Counted {
    at: Option<Instant>,
    waiting: u64,
}

/// The state of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// The number of events that wait for their delivery, or are being delivered.
    pub waiting: u64,
    /// How long ago the first of them was stored.
    pub oldest: Option<Duration>,
    /// The number of dead letters.
    pub dead: u64,
}

/// Checks the name of a queue.
pub(in crate::store) fn check_queue(queue: &str) -> Result<(), StoreError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=MAX_QUEUE).contains(&queue.len()) && queue.chars().all(is_name) {
        return Ok(());
    }
    let message = "the name of an outbox has 1 to 64 ASCII letters, digits, `_` and `-`";
    Err(StoreError::new(StoreErrorKind::Misconfigured, message))
}

impl Outbox {
    pub(in crate::store) fn new(table: Arc<dyn Table>, queue: &str) -> Self {
        Self {
            table,
            queue: queue.to_owned(),
            max_waiting: 100_000,
            counted: Arc::default(),
        }
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Sets how many events may wait before `send` refuses further ones. Default: 100,000. They are counted
    /// once a second, so a few more may be stored in that time, by this process or others.
    #[must_use]
    pub fn max_waiting(mut self, events: u64) -> Self {
        self.max_waiting = events.min(i64::MAX.unsigned_abs());
        self.counted = Arc::default();
        self
    }

    /// Returns a builder of a worker that delivers the events of this queue to a sink.
    pub fn deliver_to(&self, sink: impl EventSink + 'static) -> OutboxWorkerBuilder {
        OutboxWorkerBuilder::new(self.clone(), sink)
    }

    /// Counts the events, and records the numbers as metrics, as a worker does every 10 s.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn status(&self) -> Result<OutboxStatus, StoreError> {
        let count = self.table.count(&self.queue).await?;
        let status = OutboxStatus {
            waiting: count.waiting,
            oldest: count.age.map(milliseconds),
            dead: count.dead,
        };
        let oldest = status.oldest.unwrap_or_default();
        metrics::outbox(&self.queue, status.waiting, oldest, status.dead);
        Ok(status)
    }

    async fn check_room(&self) -> Result<(), SinkError> {
        let is_stale = {
            let mut counted = self.counted();
            let is_stale = counted.at.is_none_or(|at| at.elapsed() >= MAX_COUNT_AGE);
            if is_stale {
                counted.at = Some(Instant::now());
            }
            is_stale
        };
        if is_stale {
            // Other callers use the former number meanwhile.
            let waiting = self.table.waiting(&self.queue, self.max_waiting).await?;
            self.counted().waiting = waiting;
        }
        let mut counted = self.counted();
        if counted.waiting < self.max_waiting {
            counted.waiting += 1;
            return Ok(());
        }
        let text = format!(
            "{} events wait in the outbox `{}`, the most that it takes: see why they are not delivered, and try again",
            self.max_waiting, self.queue
        );
        Err(SinkError::transient(codes::QUEUE_FULL, text))
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventSink for Outbox {
    fn name(&self) -> &str {
        "outbox"
    }

    /// Stores the event, unless one with its id waits or is a dead letter in this queue. Fails with
    /// `queue_full`, or with the codes of [`StoreError`].
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.check_room().await?;
        Ok(self.table.put(&[Entry::new(&self.queue, event)]).await?)
    }

    async fn holds(&self, session: &SessionKey) -> Result<bool, SinkError> {
        Ok(self
            .table
            .holds(&self.queue, order_key(Some(session)))
            .await?)
    }
}

/// Converts milliseconds of the database's clock. They are negative if it was set back: then zero.
fn milliseconds(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}
