//! Sessions in memory: [`MemoryStore`].

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::effect::{Effect, apply_event, given_up, registered_again, retire_holders};
use super::error::StoreError;
use super::options::{APPLIED_IDS_KEPT, StoreOptions};
use super::query::{SessionPage, SessionQuery};
use super::session_store::{Ignored, Outcome, SessionStore};
use super::status::{SessionRow, StatusChange};
use super::watch::{Hub, StatusWatcher};
use super::watch_workspace::WorkspaceWatcher;
use crate::event::{EventId, EventKind, SessionEvent, SessionId, SessionKey, WorkspaceId};

/// A store in the memory of this process: for tests, and for services of one process that may forget.
///
/// Clones share their sessions.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    options: StoreOptions,
}

#[derive(Debug, Default)]
struct Shared {
    rows: Mutex<BTreeMap<SessionId, Row>>,
    hub: Hub,
}

#[derive(Debug)]
struct Row {
    row: SessionRow,
    is_deleted: bool,
    updated: Instant,
    applied: HashMap<EventId, Instant>,
}

impl MemoryStore {
    /// Makes an empty store with these options. It has no deadlines and polls nothing.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        Self {
            shared: Arc::default(),
            options,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Row>> {
        let rows = self.shared.rows.lock();
        rows.unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self, found: &mut Row) -> StatusChange {
        found.row = given_up(found.row.clone());
        found.is_deleted = true;
        let change = found.row.to_change();
        self.shared.hub.publish(&change);
        change
    }

    /// Applies under the lock, which is held to the end so that watchers hear in order.
    fn apply_now(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        let session = match (event.kind(), event.session()) {
            (EventKind::Foreign(_), _) | (_, None) => {
                return Ok(Outcome::Ignored(Ignored::Foreign));
            }
            (_, Some(session)) => session,
        };
        let mut rows = self.lock();
        let found = rows
            .get(&session.session_id)
            .filter(|found| found.row.session == *session)
            .ok_or_else(|| StoreError::unknown(session))?;
        if found.is_deleted {
            return Err(StoreError::given_up(&found.row));
        }
        let is_applied = event.id().is_some_and(|id| found.applied.contains_key(id));
        let write = match apply_event(&found.row, is_applied, event, self.options.rebind)? {
            Effect::Ignore(why) => return Ok(Outcome::Ignored(why)),
            Effect::Write(write) => write,
        };
        let mut retired = Vec::new();
        if write.connects {
            let is_holder = |other: &&Row| {
                !other.is_deleted
                    && other.row.session.workspace_id == session.workspace_id
                    && other.row.session.session_id != session.session_id
                    && other.row.phone == write.row.phone
            };
            let holders = rows.values().filter(is_holder);
            let holders = holders.map(|holder| holder.row.clone()).collect();
            for row in retire_holders(&write.row, holders, self.options.duplicates)? {
                retired.push(row.to_change());
                if let Some(holder) = rows.get_mut(&row.session.session_id) {
                    (holder.row, holder.is_deleted) = (row, true);
                }
            }
        }
        let change = write.row.to_change();
        if let Some(found) = rows.get_mut(&session.session_id) {
            let now = Instant::now();
            found.row = write.row;
            found.updated = now;
            if let Some(id) = event.id() {
                found.applied.insert(id.clone(), now);
            }
        }
        for change in retired.iter().chain([&change]) {
            self.shared.hub.publish(change);
        }
        Ok(Outcome::Applied { change, retired })
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    fn name(&self) -> &str {
        "memory"
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        let mut rows = self.lock();
        let now = Instant::now();
        let found = rows.entry(session.session_id.clone()).or_insert_with(|| {
            let row = SessionRow::new(session.clone());
            self.shared.hub.publish(&row.to_change());
            Row {
                row,
                is_deleted: false,
                updated: now,
                applied: HashMap::new(),
            }
        });
        if found.row.session != *session {
            return Err(StoreError::taken(session));
        }
        if found.is_deleted {
            found.row = registered_again(found.row.clone());
            (found.is_deleted, found.updated) = (false, now);
            self.shared.hub.publish(&found.row.to_change());
        } else if found.row.status.is_waiting() {
            found.updated = now;
        }
        Ok(found.row.clone())
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        self.apply_now(event)
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let rows = self.lock();
        let found = rows.get(id).filter(|found| !found.is_deleted);
        Ok(found.map(|found| found.row.clone()))
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let after = query
            .cursor()
            .map(|cursor| SessionId::new(cursor.as_str()))
            .transpose()
            .map_err(|_| StoreError::cursor())?;
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.lock();
        let rows = rows.range((after, Bound::Unbounded));
        let is_listed = |found: &&Row| !found.is_deleted && query.matches(&found.row);
        let mut rows = rows.map(|(_, found)| found).filter(is_listed);
        let page = rows.by_ref().take(query.max_rows());
        let page: Vec<_> = page.map(|found| found.row.clone()).collect();
        let last = page.last().filter(|_| rows.next().is_some());
        let next = last.map(|last| last.session.session_id.as_str().parse());
        let next = next.transpose()?;
        Ok(SessionPage::new(page, next))
    }

    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        let mut rows = self.lock();
        let found = rows
            .get_mut(&session.session_id)
            .filter(|found| !found.is_deleted && found.row.session == *session)
            .ok_or_else(|| StoreError::unknown(session))?;
        Ok(self.give_up(found))
    }

    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        let mut swept = Vec::new();
        for found in self.lock().values_mut() {
            found
                .applied
                .retain(|_, at| at.elapsed() <= APPLIED_IDS_KEPT);
            let is_stuck = found.row.status.is_waiting() && found.updated.elapsed() >= older_than;
            if is_stuck && !found.is_deleted {
                swept.push(self.give_up(found));
            }
        }
        Ok(swept)
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        let rows = self.lock();
        let found = rows.get(id).filter(|found| !found.is_deleted);
        let found = found.ok_or_else(|| StoreError::unknown(id))?;
        // Under the lock, so nothing comes between.
        Ok(self.shared.hub.watch(found.row.to_change()))
    }

    async fn watch_workspace(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceWatcher, StoreError> {
        let rows = self.lock();
        let hub = &self.shared.hub;
        let watcher = hub.watch_workspace(workspace);
        let is_watched =
            |found: &&Row| !found.is_deleted && found.row.session.workspace_id == *workspace;
        for found in rows.values().filter(is_watched) {
            hub.publish_read(hub.changes(), &found.row.to_change());
        }
        Ok(watcher)
    }
}
