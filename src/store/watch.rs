//! Who watches which session: [`StatusWatcher`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use super::Status;
use super::StatusChange;
use crate::event::SessionId;

/// Sees where one session stands, from [`SessionStore::watch`](super::SessionStore::watch).
///
/// It holds the latest state alone: a slow watcher misses what came between, delays nobody, and sees
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
#[derive(Debug)]
pub struct StatusWatcher(watch::Receiver<StatusChange>);

impl StatusWatcher {
    /// Where the session stands, as far as this process knows.
    #[must_use]
    pub fn current(&self) -> StatusChange {
        self.0.borrow().clone()
    }

    /// Waits until the session stands elsewhere than was last returned, and returns that; at once,
    /// where it already does. `None`: the store is gone. Cancel-safe.
    pub async fn changed(&mut self) -> Option<StatusChange> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

impl From<watch::Receiver<StatusChange>> for StatusWatcher {
    /// For a store of one's own, which sends the changes of one session and drops the sender with
    /// itself.
    fn from(changes: watch::Receiver<StatusChange>) -> Self {
        Self(changes)
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
impl StatusWatcher {
    /// As one that has just begun.
    pub(super) fn seen(mut self) -> Self {
        self.0.mark_unchanged();
        self
    }
}

/// The watched sessions of one store.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<HashMap<SessionId, Entry>>);

#[derive(Debug)]
struct Entry {
    /// The row's id. A session whose row was deleted and made again has a greater one, and its
    /// versions begin anew.
    account: i64,
    sender: watch::Sender<StatusChange>,
}

/// A session that is watched, as it was known at some moment.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[derive(Debug)]
pub(super) struct Watched {
    account: i64,
    change: StatusChange,
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
impl Watched {
    pub(super) fn session(&self) -> &SessionId {
        &self.change.session.session_id
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch. `now` was read at some time before; what was published since then counts
    /// more. The caller reads once more afterwards, lest a change between is missed.
    pub(super) fn watch(&self, account: i64, now: StatusChange) -> StatusWatcher {
        let mut watched = self.lock();
        watched.retain(|_, entry| entry.sender.receiver_count() > 0);
        let entry = watched
            .entry(now.session.session_id.clone())
            .or_insert_with(|| Entry {
                account,
                sender: watch::Sender::new(now),
            });
        StatusWatcher(entry.sender.subscribe())
    }

    /// Tells whoever watches. Changes may come in any order, and more than once.
    pub(super) fn publish(&self, account: i64, change: &StatusChange) {
        let mut watched = self.lock();
        if let Some(entry) = watched.get_mut(&change.session.session_id) {
            if entry.sender.receiver_count() == 0 {
                watched.remove(&change.session.session_id);
                return;
            }
            let (former, mut is_later) = (entry.account, false);
            entry.sender.send_if_modified(|known| {
                is_later = (account, change.version) >= (former, known.version);
                let is_news = is_later && change != known;
                if is_news {
                    *known = change.clone();
                }
                is_news
            });
            if is_later {
                entry.account = account;
            }
        }
    }

    /// Tells whoever watches that the row is there no more, unless something was published since.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn end(&self, known: &Watched) {
        let mut watched = self.lock();
        let entry = watched.get_mut(known.session());
        let Some(entry) = entry.filter(|entry| entry.account == known.account) else {
            return;
        };
        let mut is_gone = false;
        entry.sender.send_if_modified(|now| {
            is_gone = *now == known.change;
            let is_news = is_gone && now.status != Status::Failed;
            if is_news {
                now.status = Status::Failed;
            }
            is_news
        });
        if is_gone {
            // Any row that comes is another, even where the database gives out an id twice.
            entry.account = i64::MIN;
        }
    }

    /// Who is watched now.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(super) fn watched(&self) -> Vec<Watched> {
        let mut watched = self.lock();
        watched.retain(|_, entry| entry.sender.receiver_count() > 0);
        let watched = watched.values().map(|entry| Watched {
            account: entry.account,
            change: entry.sender.borrow().clone(),
        });
        watched.collect()
    }
}
