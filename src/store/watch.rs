//! [`StatusWatcher`], and the [`Hub`] that notifies the watchers of one store.

#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(
        dead_code,
        reason = "only a store that polls forgets sessions and reads them again"
    )
)]

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio::time::timeout;

use super::status::{Status, StatusChange};
use super::watch_workspace::{WorkspaceSender, WorkspaceWatcher};
use crate::event::{SessionId, WorkspaceId};

/// How often a waiting watcher makes sure that the task which reads for it is running.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Starts the task that reads for a watcher again if it has ended.
pub(super) type KeepAlive = Arc<dyn Fn() + Send + Sync>;

/// Watches one session, from [`SessionStore::watch`](super::SessionStore::watch).
///
/// It holds the latest state alone: a slow watcher misses states in between, delays no other, and sees
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
#[must_use = "a watcher does nothing unless polled"]
pub struct StatusWatcher {
    changes: watch::Receiver<StatusChange>,
    keep_alive: Option<KeepAlive>,
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
        let changed = self.changes.changed();
        keep_reading(self.keep_alive.as_ref(), changed).await.ok()?;
        Some(self.changes.borrow_and_update().clone())
    }

    /// Returns a stream of what [`changed`](Self::changed) returns.
    pub fn into_stream(self) -> impl Stream<Item = StatusChange> + Send + Unpin {
        Box::pin(unfold(self, async |mut watcher| {
            watcher.changed().await.map(|change| (change, watcher))
        }))
    }
}

/// Waits, and meanwhile makes sure that the task which reads for the waiting watcher is running.
pub(super) async fn keep_reading<T>(
    keep_alive: Option<&KeepAlive>,
    waiting: impl Future<Output = T>,
) -> T {
    let mut waiting = pin!(waiting);
    while let Some(keep_alive) = keep_alive {
        keep_alive();
        if let Ok(done) = timeout(CHECK_EVERY, &mut waiting).await {
            return done;
        }
    }
    waiting.await
}

impl fmt::Debug for StatusWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusWatcher")
            .field(&self.current())
            .finish()
    }
}

impl From<watch::Receiver<StatusChange>> for StatusWatcher {
    /// Makes a watcher for a store of the caller's, which sends the changes of one session and drops the
    /// sender with itself.
    fn from(changes: watch::Receiver<StatusChange>) -> Self {
        let keep_alive = None;
        Self {
            changes,
            keep_alive,
        }
    }
}

impl StatusWatcher {
    /// Marks the present status as returned, and keeps the reading task alive.
    pub(super) fn begin(mut self, keep_alive: KeepAlive) -> Self {
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
    /// Those that are watched, and all that are known of watched workspaces.
    sessions: HashMap<SessionId, Entry>,
    workspaces: HashMap<WorkspaceId, Vec<WorkspaceSender>>,
    /// Counts the changes that this store made itself, and those that it read.
    changes: u64,
    /// The changes until sessions of watched workspaces were last forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Entry {
    /// Whether the row is gone, so that any row that comes is another one.
    is_gone: bool,
    /// The last change that this store made itself or read. A reading that began before it may be older.
    changed: u64,
    sender: watch::Sender<StatusChange>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch. `now` was read some time before; changes published since then win. The caller
    /// reads once more afterwards, so that no change in between is missed.
    pub(super) fn watch(&self, now: StatusChange) -> StatusWatcher {
        let mut entries = self.lock();
        entries.forget_unwatched();
        let entries = &mut *entries;
        let entry = match entries.sessions.entry(now.session.session_id.clone()) {
            Occupied(entry) => entry.into_mut(),
            Vacant(place) => {
                forward(&entries.workspaces, &now);
                place.insert(Entry::new(entries.changes, now))
            }
        };
        entry.sender.subscribe().into()
    }

    /// Begins to watch a workspace, with the sessions that are known of it. The caller reads the others.
    pub(super) fn watch_workspace(&self, workspace: &WorkspaceId) -> WorkspaceWatcher {
        let mut entries = self.lock();
        entries.forget_unwatched();
        let (sender, watcher) = WorkspaceWatcher::channel();
        for entry in entries.sessions.values() {
            let now = entry.sender.borrow();
            if now.session.workspace_id == *workspace && now.status != Status::Failed {
                sender.send(&now);
            }
        }
        let senders = entries.workspaces.entry(workspace.clone()).or_default();
        senders.push(sender);
        watcher
    }

    /// Counts the changes that this store made itself, and those that it read.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Publishes a change that this store made. Changes may come in any order.
    pub(super) fn publish(&self, change: &StatusChange) {
        let mut entries = self.lock();
        entries.publish(change, None);
    }

    /// Publishes a row that was read after so many [`changes`](Self::changes), unless this store has changed it
    /// since, or has read a change of it: then the next reading decides.
    pub(super) fn publish_read(&self, since: u64, change: &StatusChange) {
        self.lock().publish(change, Some(since));
    }

    /// Publishes that the row of a session was not found. Otherwise as [`publish_read`](Self::publish_read).
    pub(super) fn publish_gone(&self, since: u64, session: &SessionId) {
        let mut entries = self.lock();
        let entries = &mut *entries;
        let entry = entries.sessions.get_mut(session);
        if let Some(entry) = entry.filter(|entry| entry.changed <= since) {
            entry.is_gone = true;
            let is_changed = entry.sender.send_if_modified(|now| {
                let is_changed = now.status != Status::Failed;
                (now.status, now.error) = (Status::Failed, None);
                is_changed
            });
            if is_changed {
                entries.changes += 1;
                entry.changed = entries.changes;
                forward(&entries.workspaces, &entry.sender.borrow());
            }
        }
    }

    /// Returns the sessions that are watched now.
    pub(super) fn watched(&self) -> Vec<SessionId> {
        self.known(|entry| entry.sender.receiver_count() > 0)
    }

    /// Returns the workspaces that are watched now.
    pub(super) fn watched_workspaces(&self) -> Vec<WorkspaceId> {
        let mut entries = self.lock();
        entries.forget_unwatched();
        entries.workspaces.keys().cloned().collect()
    }

    /// Returns the sessions that are known of a watched workspace.
    pub(super) fn known_of(&self, workspace: &WorkspaceId) -> Vec<SessionId> {
        self.known(|entry| entry.sender.borrow().session.workspace_id == *workspace)
    }

    fn known(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<SessionId> {
        let mut entries = self.lock();
        entries.forget_unwatched();
        let known = entries.sessions.iter();
        let wanted = known.filter(|(_, entry)| is_wanted(entry));
        wanted.map(|(session, _)| session.clone()).collect()
    }

    /// Forgets the sessions of a workspace that were given up and are not watched for themselves, unless a change
    /// was published since.
    pub(super) fn forget_given_up(&self, since: u64, workspace: &WorkspaceId) {
        let mut entries = self.lock();
        let known = entries.sessions.len();
        entries.sessions.retain(|_, entry| {
            let now = entry.sender.borrow();
            entry.sender.receiver_count() > 0
                || entry.changed > since
                || now.status != Status::Failed
                || now.session.workspace_id != *workspace
        });
        if entries.sessions.len() < known {
            entries.forgotten = entries.changes;
        }
    }
}

impl Entries {
    /// Forgets the sessions that are not watched, neither for themselves nor with their workspace.
    fn forget_unwatched(&mut self) {
        self.workspaces.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        let workspaces = &self.workspaces;
        self.sessions.retain(|_, entry| {
            let workspace = &entry.sender.borrow().session.workspace_id;
            entry.sender.receiver_count() > 0 || workspaces.contains_key(workspace)
        });
    }

    /// Sends a change to the watchers of the session and of its workspace. `since` counts the changes of this
    /// store until the row was read; `None`: this store made the change.
    fn publish(&mut self, change: &StatusChange, since: Option<u64>) {
        let next = self.changes + 1;
        let is_changed = match self.sessions.entry(change.session.session_id.clone()) {
            Occupied(mut entry) => entry.get_mut().publish(change, since, next),
            Vacant(place) => {
                // A session that was forgotten since the reading began may have been given up.
                let is_accepted = since
                    .is_none_or(|since| since >= self.forgotten && change.status != Status::Failed);
                let workspace = &change.session.workspace_id;
                let is_new = is_accepted && self.workspaces.contains_key(workspace);
                if is_new {
                    place.insert(Entry::new(next, change.clone()));
                }
                is_new
            }
        };
        if is_changed || since.is_none() {
            self.changes = next;
        }
        if is_changed {
            forward(&self.workspaces, change);
        }
    }
}

/// Sends a change to the watchers of its workspace.
fn forward(workspaces: &HashMap<WorkspaceId, Vec<WorkspaceSender>>, change: &StatusChange) {
    let senders = workspaces.get(&change.session.workspace_id);
    for sender in senders.into_iter().flatten() {
        sender.send(change);
    }
}

impl Entry {
    fn new(changed: u64, now: StatusChange) -> Self {
        Self {
            is_gone: false,
            changed,
            sender: watch::Sender::new(now),
        }
    }

    /// Sends a change to the watchers of the session. Returns whether it differs from the last one. A change of
    /// this store is older than one of a greater version, unless that was of a row that is gone.
    fn publish(&mut self, change: &StatusChange, since: Option<u64>, next: u64) -> bool {
        let known = self.sender.borrow().version;
        let is_accepted = match since {
            None => self.is_gone || change.version >= known,
            Some(since) => self.changed <= since,
        };
        self.is_gone &= !is_accepted;
        let is_changed = is_accepted
            && self.sender.send_if_modified(|known| {
                let is_changed = change != known;
                known.clone_from(change);
                is_changed
            });
        if is_changed || since.is_none() {
            self.changed = next;
        }
        is_changed
    }
}
