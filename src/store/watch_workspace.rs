//! [`WorkspaceWatcher`] and its [`WorkspaceSender`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::stream::{Stream, unfold};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::status::{Status, StatusChange};
use super::watch::{CHECK_EVERY, KeepAlive};
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
pub struct WorkspaceWatcher {
    shared: Arc<Shared>,
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
pub struct WorkspaceSender(Weak<Shared>);

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    has_changed: Notify,
}

/// The changes that were not returned yet: the latest of each session, in the order of the first of them.
#[derive(Default)]
struct Pending {
    order: VecDeque<SessionId>,
    latest: HashMap<SessionId, StatusChange>,
    is_over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkspaceWatcher {
    /// Makes a watcher and its sender, for a store of the caller's.
    #[must_use]
    pub fn channel() -> (WorkspaceSender, Self) {
        let shared = Arc::<Shared>::default();
        let keep_alive = None;
        (
            WorkspaceSender(Arc::downgrade(&shared)),
            Self { shared, keep_alive },
        )
    }

    /// Leaves out the sessions that were given up until now, and keeps the reading task alive.
    #[allow(dead_code, reason = "only SQL stores read in a task")]
    pub(super) fn begin(mut self, keep_alive: KeepAlive) -> Self {
        let mut pending = self.shared.lock();
        let Pending { order, latest, .. } = &mut *pending;
        latest.retain(|_, change| change.status != Status::Failed);
        order.retain(|session| latest.contains_key(session));
        drop(pending);
        self.keep_alive = Some(keep_alive);
        self
    }

    /// Waits until a session's status was not returned here yet, and returns it. `None`: the store was
    /// dropped. Cancel-safe.
    pub async fn changed(&mut self) -> Option<StatusChange> {
        loop {
            let has_changed = self.shared.has_changed.notified();
            {
                let mut pending = self.shared.lock();
                let session = pending.order.pop_front();
                if let Some(change) = session.and_then(|session| pending.latest.remove(&session)) {
                    return Some(change);
                }
                if pending.is_over {
                    return None;
                }
            }
            match &self.keep_alive {
                Some(keep_alive) => {
                    keep_alive();
                    let _ = timeout(CHECK_EVERY, has_changed).await;
                }
                None => has_changed.await,
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
        let Some(shared) = self.0.upgrade() else {
            return;
        };
        let session = &change.session.session_id;
        let mut pending = shared.lock();
        let before = pending.latest.insert(session.clone(), change.clone());
        if before.is_none() {
            pending.order.push_back(session.clone());
        }
        drop(pending);
        shared.has_changed.notify_one();
    }

    /// Returns whether the watcher was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Drop for WorkspaceSender {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.lock().is_over = true;
            shared.has_changed.notify_one();
        }
    }
}

impl fmt::Debug for WorkspaceWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.shared.lock().order.len();
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
