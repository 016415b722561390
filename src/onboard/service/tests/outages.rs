//! A store that is away, and rows that are out of date.

use super::*;
use crate::event::WorkspaceId;
use crate::store::{Outcome, SessionPage, StatusWatcher, StoreErrorKind, WorkspaceWatcher};

/// A store that fails while it is `away`, and is listed as it was at `listed` if that is set.
#[derive(Clone, Default)]
struct Database {
    store: MemoryStore,
    is_away: Arc<AtomicBool>,
    listed: Arc<Mutex<Option<SessionRow>>>,
}

impl Database {
    fn inner(&self) -> Result<&MemoryStore, StoreError> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(StoreError::new(StoreErrorKind::Storage, "it is away").transient()),
            false => Ok(&self.store),
        }
    }

    async fn row(&self, session: &SessionKey) -> Option<SessionRow> {
        self.store.session(&session.session_id).await.unwrap()
    }
}

#[async_trait]
impl SessionStore for Database {
    fn name(&self) -> &str {
        "database"
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        self.inner()?.session(id).await
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        self.inner()?.register(session).await
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        self.inner()?.apply(event).await
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let mut page = self.inner()?.sessions(query).await?;
        if let Some(row) = &*self.listed.lock().unwrap() {
            page.rows = vec![row.clone()];
        }
        Ok(page)
    }

    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        self.inner()?.delete(session).await
    }

    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        self.inner()?.sweep_stuck(older_than).await
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        self.inner()?.watch(id).await
    }

    async fn watch_workspace(&self, id: &WorkspaceId) -> Result<WorkspaceWatcher, StoreError> {
        self.inner()?.watch_workspace(id).await
    }
}

/// A service over a database, whose events wait for longer than the interval of the sweeps until they are sent
/// again.
fn over(database: &Database, root: &TempDir, script: Script) -> SessionService {
    let delivery = Backoff::builder()
        .interval(secs(1800))
        .max_interval(secs(7200));
    let delivery = delivery.build().unwrap();
    let builder = SessionService::builder(database.clone()).storage(root.path());
    let builder = builder.monitor(move |monitor| monitor.delivery(delivery.clone()));
    builder.build_with(Browsers::new([script])).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sessions_are_not_given_up_because_the_database_was_away() {
    let (database, root) = (Database::default(), tempfile::tempdir().unwrap());
    // The first sync of the session goes on.
    let syncing = || Ok(page(MockLink::new().at(secs(0), LinkState::Linking)));
    let service = over(&database, &root, syncing);
    let session = service.start(&key("s")).await.unwrap();
    // This one belongs to another service.
    let other = key("other");
    database.store.register(&other).await.unwrap();
    sleep(secs(60)).await;
    database.is_away.store(true, Ordering::Relaxed);
    sleep(secs(2 * 3600)).await;
    database.is_away.store(false, Ordering::Relaxed);
    // The other service writes between the first and the second sweep.
    sleep(secs(6 * 60)).await;
    database.store.register(&other).await.unwrap();
    sleep(secs(10 * 60)).await;
    assert!(session.delivery_state().waiting > 0);
    assert_eq!(session.state().unwrap().as_str(), "live");
    for kept in [key("s"), other] {
        assert!(database.row(&kept).await.is_some(), "{kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resumed_from_its_present_row() {
    let (database, root) = (Database::default(), tempfile::tempdir().unwrap());
    let service = over(&database, &root, || Ok(linked()));
    let session = service.start(&key("s")).await.unwrap();
    let listed = database.row(&key("s")).await;
    sleep(secs(10)).await;
    session.end(secs(10)).await;
    assert_eq!(database.row(&key("s")).await.unwrap().last_seq, Some(3));
    // The list was read before the session connected and ended.
    *database.listed.lock().unwrap() = listed;
    let resumed = service.resume().await.unwrap();
    sleep(secs(10)).await;
    let row = database.row(&key("s")).await.unwrap();
    assert_eq!((row.status, row.last_seq), (Status::Connected, Some(5)));

    // And before it was deleted.
    resumed.started[0].end(secs(10)).await;
    database.store.delete(&key("s")).await.unwrap();
    let resumed = service.resume().await.unwrap();
    assert!(matches!(resumed.skipped[0].reason, SkipReason::GivenUp));
    assert_eq!(database.row(&key("s")).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_gets_its_time_before_it_is_given_up() {
    let (database, root) = (Database::default(), tempfile::tempdir().unwrap());
    database.store.register(&key("s")).await.unwrap();
    sleep(secs(2 * 3600)).await;
    let service = over(&database, &root, || Ok(page(MockLink::new())));
    std::fs::create_dir_all(service.profile(&key("s"))).unwrap();
    let resumed = service.resume().await.unwrap();
    sleep(secs(50 * 60)).await;
    assert_eq!(resumed.started[0].state().unwrap().as_str(), "live");
}
