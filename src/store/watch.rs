//! [`StatusWatcher`], and the [`Hub`] that tells the watchers of one store.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use super::status::Status;
use super::status::StatusChange;
use crate::event::SessionId;

/// How often a waiting watcher makes sure that the task which reads for it is running.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Watches one session, from [`SessionStore::watch`](super::SessionStore::watch).
///
/// It holds the latest state alone: a slow watcher misses states in between, delays nobody, and sees
/// the last one. Watching ends by dropping it.
///
/// ```
/// use whatsapp_phone::event::{SessionEvent, SessionKey};
/// use whatsapp_phone::store::{SessionStore, Status, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// let session = SessionKey::new(7, "session-1")?;
/// store.register(&session).await?;
/// let mut watcher = store.watch(&session.session_id).await?;
/// assert_eq!(watcher.current().status, Status::QrScanning);
///
/// store.apply(&SessionEvent::session_authenticated(session)).await?;
/// assert_eq!(watcher.changed().await.unwrap().status, Status::Authenticated);
/// # Ok(())
/// # }
/// ```
pub struct StatusWatcher {
    changes: watch::Receiver<StatusChange>,
    /// Starts the task that reads for this watcher again if it has ended.
    keep_alive: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl StatusWatcher {
    /// Returns the session's status, as far as this process knows.
    #[must_use]
    pub fn current(&self) -> StatusChange {
        self.changes.borrow().clone()
    }

    /// Waits until the status differs from the last one returned here, and returns it. `None`: the store
    /// was dropped. Cancel-safe.
    pub async fn changed(&mut self) -> Option<StatusChange> {
        while let Some(keep_alive) = &self.keep_alive {
            keep_alive();
            if let Ok(changed) = timeout(CHECK_EVERY, self.changes.changed()).await {
                changed.ok()?;
                return Some(self.changes.borrow_and_update().clone());
            }
        }
        self.changes.changed().await.ok()?;
        Some(self.changes.borrow_and_update().clone())
    }
}

impl fmt::Debug for StatusWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusWatcher")
            .field(&self.current())
            .finish()
    }
}

impl From<watch::Receiver<StatusChange>> for StatusWatcher {
    /// For a store of the caller's, which sends the changes of one session and drops the sender with
    /// itself.
    fn from(changes: watch::Receiver<StatusChange>) -> Self {
        let keep_alive = None;
        Self {
            changes,
            keep_alive,
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
impl StatusWatcher {
    /// Marks the present status as returned, and keeps the reading task alive.
    pub(super) fn begin(mut self, keep_alive: Arc<dyn Fn() + Send + Sync>) -> Self {
        self.changes.mark_unchanged();
        self.keep_alive = Some(keep_alive);
        self
    }
}

/// The watched sessions of one store.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    sessions: HashMap<SessionId, Entry>,
    /// Counts the changes that this store made itself.
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    /// Identifies the row. `None`: the row is gone, so any row that comes is another one.
    account: Option<String>,
    /// The last change that this store made itself.
    changed: u64,
    sender: watch::Sender<StatusChange>,
}

/// A watched session, as it was known at some moment.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[derive(Debug)]
pub(super) struct Watched {
    account: Option<String>,
    change: StatusChange,
    /// The store's own changes until then.
    changes: u64,
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
impl Watched {
    pub(super) fn session(&self) -> &SessionId {
        &self.change.session.session_id
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch. `now` was read some time before; changes published since then win. The caller
    /// reads once more afterwards, so that no change in between is missed.
    pub(super) fn watch(&self, account: &str, now: StatusChange) -> StatusWatcher {
        let mut entries = self.lock();
        entries
            .sessions
            .retain(|_, entry| entry.sender.receiver_count() > 0);
        let changed = entries.changes;
        let session = now.session.session_id.clone();
        let entry = entries.sessions.entry(session).or_insert_with(|| Entry {
            account: Some(account.to_owned()),
            changed,
            sender: watch::Sender::new(now),
        });
        entry.sender.subscribe().into()
    }

    /// Tells the watchers of a change that this store made. Changes may come in any order.
    pub(super) fn publish(&self, account: &str, change: &StatusChange) {
        let mut entries = self.lock();
        entries.changes += 1;
        let changes = entries.changes;
        if let Some(entry) = entries.sessions.get_mut(&change.session.session_id) {
            entry.changed = changes;
            entry.tell(account, change);
        }
    }

    /// Tells the watchers of a row that was read. Another row than the known one is believed only if
    /// this store wrote nothing to the session since the reading began.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn publish_read(&self, known: &Watched, account: &str, change: &StatusChange) {
        let mut entries = self.lock();
        if let Some(entry) = entries.sessions.get_mut(known.session())
            && (entry.account.as_deref() == Some(account) || entry.changed <= known.changes)
        {
            entry.tell(account, change);
        }
    }

    /// Tells the watchers that the row is gone, unless a change was published since.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn end(&self, known: &Watched) {
        let mut entries = self.lock();
        let entry = entries.sessions.get_mut(known.session());
        let is_same = |entry: &&mut Entry| {
            entry.account == known.account && *entry.sender.borrow() == known.change
        };
        if let Some(entry) = entry.filter(is_same) {
            entry.account = None;
            entry.sender.send_if_modified(|now| {
                let is_news = now.status != Status::Failed;
                now.status = Status::Failed;
                is_news
            });
        }
    }

    /// Returns the sessions that are watched now.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn watched(&self) -> Vec<Watched> {
        let mut entries = self.lock();
        entries
            .sessions
            .retain(|_, entry| entry.sender.receiver_count() > 0);
        let changes = entries.changes;
        let watched = entries.sessions.values().map(|entry| Watched {
            account: entry.account.clone(),
            change: entry.sender.borrow().clone(),
            changes,
        });
        watched.collect()
    }
}

impl Entry {
    fn tell(&mut self, account: &str, change: &StatusChange) {
        let is_same_row = self.account.as_deref() == Some(account);
        self.sender.send_if_modified(|known| {
            let is_news = change != known && (!is_same_row || change.version >= known.version);
            if is_news {
                known.clone_from(change);
            }
            is_news
        });
        self.account = Some(account.to_owned());
    }
}
