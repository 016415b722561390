//! [`WorkspaceWatcher`] and its [`WorkspaceSender`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{Stream, unfold};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::status::{Status, StatusChange};
use super::watch::{KeepAlive, keep_reading};
use crate::event::SessionId;

/// Watches all sessions of a workspace, from
/// [`SessionStore::watch_workspace`](super::SessionStore::watch_workspace).
///
/// It returns first the present status of each session that is not given up, then every change, those of
/// new sessions too. For each session it holds the latest change alone: a slow watcher misses states in
/// between, delays no other, and sees the last one. Watching ends by dropping it.
///
/// As a stream, for instance for Server-Sent Events:
///
/// ```
/// use futures_util::StreamExt;
/// use whatsapp_phone::event::{SessionEvent, SessionKey};
/// use whatsapp_phone::store::{SessionStore, Status, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// let session = SessionKey::new(7, "session-1")?;
/// store.register(&session).await?;
/// let watcher = store.watch_workspace(&session.workspace_id).await?;
/// let mut changes = watcher.into_stream();
/// assert_eq!(changes.next().await.unwrap().status, Status::QrScanning);
///
/// store.apply(&SessionEvent::session_authenticated(session)).await?;
/// assert_eq!(changes.next().await.unwrap().status, Status::Authenticated);
/// # Ok(())
/// # }
/// ```
#[must_use = "a watcher does nothing unless polled"]
pub struct WorkspaceWatcher {
    latest: Latest,
    order: UnboundedReceiver<SessionId>,
    /// Starts the task that reads for this watcher again if it has ended.
    keep_alive: Option<KeepAlive>,
}

/// Sends the changes of a workspace to one [`WorkspaceWatcher`]. When it is dropped, the watcher ends.
///
/// ```
/// use whatsapp_phone::event::SessionKey;
/// use whatsapp_phone::store::{SessionRow, WorkspaceWatcher};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (sender, mut watcher) = WorkspaceWatcher::channel();
/// let change = SessionRow::new(SessionKey::new(7, "session-1")?).to_change();
/// sender.send(&change);
/// drop(sender);
/// assert_eq!(watcher.changed().await, Some(change));
/// assert_eq!(watcher.changed().await, None);
/// # Ok(())
/// # }
/// ```
pub struct WorkspaceSender {
    latest: Latest,
    /// The sessions with a change that was not returned yet, each once.
    order: UnboundedSender<SessionId>,
}

/// The latest changes that were not returned yet.
#[derive(Clone, Default)]
struct Latest(Arc<Mutex<HashMap<SessionId, StatusChange>>>);

impl Latest {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, StatusChange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkspaceWatcher {
    /// Makes a watcher and its sender, for a store of the caller's.
    pub fn channel() -> (WorkspaceSender, Self) {
        let (sender, order) = unbounded_channel();
        let watcher = Self {
            latest: Latest::default(),
            order,
            keep_alive: None,
        };
        let latest = watcher.latest.clone();
        let order = sender;
        (WorkspaceSender { latest, order }, watcher)
    }

    /// Leaves out the sessions that were given up until now, and keeps the reading task alive.
    #[allow(dead_code, reason = "only SQL stores read in a task")]
    pub(super) fn begin(mut self, keep_alive: KeepAlive) -> Self {
        let mut latest = self.latest.lock();
        latest.retain(|_, change| change.status != Status::Failed);
        drop(latest);
        self.keep_alive = Some(keep_alive);
        self
    }

    /// Waits until a session's status was not returned here yet, and returns it. `None`: the store was
    /// dropped. Cancel-safe.
    pub async fn changed(&mut self) -> Option<StatusChange> {
        loop {
            let session = keep_reading(self.keep_alive.as_ref(), self.order.recv()).await?;
            let change = self.latest.lock().remove(&session);
            if change.is_some() {
                return change;
            }
        }
    }

    /// Returns a stream of what [`changed`](Self::changed) returns.
    pub fn into_stream(self) -> impl Stream<Item = StatusChange> + Send + Unpin {
        Box::pin(unfold(self, async |mut watcher| {
            watcher.changed().await.map(|change| (change, watcher))
        }))
    }
}

impl WorkspaceSender {
    /// Sends a change; a change of the same session that was not returned yet is replaced. Does nothing if
    /// the watcher was dropped.
    pub fn send(&self, change: &StatusChange) {
        let session = &change.session.session_id;
        let before = self.latest.lock().insert(session.clone(), change.clone());
        if before.is_none() {
            let _ = self.order.send(session.clone());
        }
    }

    /// Returns whether the watcher was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.order.is_closed()
    }
}

impl fmt::Debug for WorkspaceWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.latest.lock().len();
        f.debug_struct("WorkspaceWatcher")
            .field("pending", &pending)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WorkspaceSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkspaceSender")
            .field("is_closed", &self.is_closed())
            .finish()
    }
}
