//! [`SqlStore`]: a store over one driver.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Pool;
use tokio::time::timeout;

use super::account::Account;
use super::accounts::Wanted;
use super::database::{Connections, Database};
use super::driver::Driver;
use super::failure::{Class, late};
use super::follow::{self, look, look_at_workspace};
use super::prepare::prepare;
use super::queue::Queue;
use super::schema::Layout;
use crate::event::{EventKind, SessionEvent, SessionId, SessionKey, WorkspaceId};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::{RowValues, StoreOptions};
use crate::store::outbox::table::{Entry, Table};
use crate::store::outbox::{Outbox, check_queue};
use crate::store::query::{SessionPage, SessionQuery};
use crate::store::session_store::{Ignored, Outcome, SessionStore};
use crate::store::status::{SessionRow, StatusChange};
use crate::store::watch::{KeepAlive, StatusWatcher};
use crate::store::watch_workspace::WorkspaceWatcher;

/// A store over one driver. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SqlStore<D: Driver> {
    database: Arc<Database<D>>,
    queue: Queue,
}

impl<D: Driver> SqlStore<D> {
    /// Connects, checks the tables, creates missing ones if that was asked for, and scans them.
    pub(super) async fn open(
        make_driver: impl FnOnce(&Layout) -> D,
        pool: Pool<D::Sqlx>,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        for queue in &options.outboxes {
            check_queue(queue)?;
        }
        let deadline = options.deadline;
        let connections = Connections::new(pool, deadline);
        let layout = timeout(
            deadline,
            prepare(&connections, &options, !options.outboxes.is_empty()),
        )
        .await;
        let layout = layout.map_err(|_| late(D::NAME, deadline))??;
        let driver = make_driver(&layout);
        let database = Arc::new(Database::new(driver, connections, layout, options));
        // Rows that it did not reach count from the next sweep on.
        if let Err(error) = database.scan(None).await {
            if error.kind() == StoreErrorKind::Misconfigured {
                return Err(error);
            }
            tracing::warn!(store = D::NAME, %error, "the table was not scanned to its end");
        }
        Ok(Self {
            queue: Queue::new(&database),
            database,
        })
    }

    async fn find(&self, id: &SessionId) -> Result<Option<Account>, StoreError> {
        let found = self.database.find(std::slice::from_ref(id)).await?;
        // Some databases take ids for equal that differ.
        let is_it =
            |account: &Account| account.session() == Some(id.as_str()) && !account.is_deleted;
        Ok(found.into_iter().find(is_it))
    }

    pub(super) fn pool(&self) -> &Pool<D::Sqlx> {
        &self.database.connections.pool
    }

    /// Checks the table of outboxes, creates it if that was asked for, and returns a queue in it.
    pub(super) async fn outbox(&self, queue: &str) -> Result<Outbox, StoreError> {
        check_queue(queue)?;
        let database = &self.database;
        let deadline = database.options.deadline;
        let checked = prepare(&database.connections, &database.options, true);
        let checked = timeout(deadline, checked).await;
        checked.map_err(|_| late(D::NAME, deadline))??;
        Ok(Outbox::new(self.database.clone(), queue))
    }

    /// Starts the task that reads watched sessions.
    fn follow(&self) -> KeepAlive {
        let database = Arc::downgrade(&self.database);
        follow::start(&database);
        Arc::new(move || follow::start(&database))
    }
}

#[async_trait]
impl<D: Driver> SessionStore for SqlStore<D> {
    fn name(&self) -> &str {
        D::NAME
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        self.register_with(session, &RowValues::default()).await
    }

    async fn register_with(
        &self,
        session: &SessionKey,
        values: &RowValues,
    ) -> Result<SessionRow, StoreError> {
        self.database.register(session, values).await
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        const FOREIGN: Outcome = Outcome::Ignored(Ignored::Foreign);
        let session = match (event.kind(), event.session()) {
            (EventKind::Foreign(_), _) | (_, None) => {
                let queues = self.database.options.outboxes.iter();
                let entries: Vec<_> = queues.map(|queue| Entry::new(queue, event)).collect();
                if !entries.is_empty() {
                    self.database.put(&entries).await?;
                }
                return Ok(FOREIGN);
            }
            (_, Some(session)) => &self.database.canonical(session)?,
        };
        let apply = |before: Option<Class>| async move {
            // Others need not fail with it again.
            if before.is_none_or(|before| !before.may_be_of_one())
                && let Some(applied) = self.queue.apply::<D>(session, event).await
            {
                return applied.map_err(|failure| failure.of_event(event));
            }
            let wanted = Wanted::applying(session.clone(), event);
            let outcomes = self.database.apply(&mut [wanted]).await;
            let mut outcomes = outcomes.map_err(|failure| failure.of_event(event))?;
            outcomes.pop().unwrap_or(Ok(FOREIGN))
        };
        self.database.connections.until_done(apply).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        self.find(id).await?.map(|account| account.row).transpose()
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        self.database.sessions(query).await
    }

    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        self.database.delete(session).await
    }

    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        let swept = self.database.scan(Some(older_than)).await?;
        self.database.tidy().await;
        Ok(swept)
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        let found = self.find(id).await?.and_then(|account| account.change());
        let change = found.ok_or_else(|| StoreError::unknown(id))?;
        let watcher = self.database.hub.watch(change);
        // It may have changed between reading and watching.
        let watched = std::slice::from_ref(id);
        look(&self.database, watched, &mut HashSet::new()).await?;
        Ok(watcher.begin(self.follow()))
    }

    async fn watch_workspace(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceWatcher, StoreError> {
        let canonical = self.database.layout.workspace(workspace);
        let workspace = canonical.as_ref().unwrap_or(workspace);
        let watcher = self.database.hub.watch_workspace(workspace);
        look_at_workspace(&self.database, workspace, &mut HashSet::new()).await?;
        Ok(watcher.begin(self.follow()))
    }
}
