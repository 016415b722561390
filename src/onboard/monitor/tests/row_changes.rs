//! A row that changes after a refusal.

use super::*;
use crate::event::{SessionId, WorkspaceId};
use crate::store::memory::MemoryStore;
use crate::store::{
    Outcome, SessionPage, SessionQuery, Status, StatusChange, StatusWatcher, StoreError,
    StoreErrorKind, StoreSink, WorkspaceWatcher,
};

async fn row(store: &MemoryStore) -> Option<SessionRow> {
    store.session(&key().session_id).await.unwrap()
}

/// Registers a session as soon as its event was refused.
struct RegisteringLate(Arc<MemoryStore>);

#[async_trait::async_trait]
impl EventSink for RegisteringLate {
    fn name(&self) -> &str {
        "late"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let result = StoreSink::new(self.0.clone()).send(event).await;
        if result.is_err() && matches!(event.kind(), EventKind::SessionError(_)) {
            self.0.register(&key()).await.unwrap();
        }
        result
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_registered_before_it_is_first_read_is_noticed() {
    let store = Arc::new(MemoryStore::default());
    let sink = RegisteringLate(Arc::clone(&store));
    let monitor = monitor(sink, page([(0, Linked)]), 0).store(Arc::clone(&store));
    run(&monitor, Duration::from_secs(30)).await;
    assert_eq!(row(&store).await.unwrap().status, Status::Connected);
}

/// A store of which so many reads fail.
struct FailingReads(Arc<MemoryStore>, AtomicU32);

#[async_trait::async_trait]
impl SessionStore for FailingReads {
    fn name(&self) -> &str {
        "failing"
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let left = self.1.load(Ordering::Relaxed);
        if left > 0 {
            self.1.store(left - 1, Ordering::Relaxed);
            return Err(StoreError::new(StoreErrorKind::Storage, "the disk is full").transient());
        }
        self.0.session(id).await
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        self.0.register(session).await
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        self.0.apply(event).await
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        self.0.sessions(query).await
    }

    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        self.0.delete(session).await
    }

    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        self.0.sweep_stuck(older_than).await
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        self.0.watch(id).await
    }

    async fn watch_workspace(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceWatcher, StoreError> {
        self.0.watch_workspace(workspace).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_of_the_row_that_failed_is_repeated_soon() {
    let store = Arc::new(MemoryStore::default());
    let failing = Arc::new(FailingReads(Arc::clone(&store), AtomicU32::new(3)));
    let sink = StoreSink::new(Arc::clone(&store));
    let monitor = monitor(sink, page([(0, Linked)]), 0).store(failing);
    let registered = async {
        // Before the reads work, and long before the second one is due.
        sleep(Duration::from_secs(3)).await;
        store.register(&key()).await.unwrap();
    };
    tokio::join!(run(&monitor, Duration::from_secs(8)), registered);
    assert_eq!(row(&store).await.unwrap().status, Status::Connected);
}
