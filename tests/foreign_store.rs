//! A store written outside the crate, against its public API alone: sessions in a JSON file, which several
//! processes may share. It passes the contract suite of stores.
#![cfg(all(feature = "events", feature = "testkit"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "foreign_store/table.rs"]
mod table;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use whatsapp_phone::event::{EventKind, SessionEvent, SessionId, SessionKey, WorkspaceId};
use whatsapp_phone::store::effect::{
    Effect, apply_event, given_up, registered_again, retire_holders,
};
use whatsapp_phone::store::{
    APPLIED_IDS_KEPT, Ignored, Outcome, SessionPage, SessionQuery, SessionRow, SessionStore,
    Status, StatusChange, StatusWatcher, StoreError, StoreErrorKind, StoreOptions, WorkspaceSender,
    WorkspaceWatcher,
};
use whatsapp_phone::testkit::contract::store::{self as contract, StoreFixture};

use table::{Entry, Table, now};

/// Sessions in a file, written by one process at a time.
struct FileStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    options: StoreOptions,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    sessions: HashMap<SessionId, watch::Sender<StatusChange>>,
    workspaces: Vec<Workspace>,
}

struct Workspace {
    id: WorkspaceId,
    known: HashMap<SessionId, StatusChange>,
    sender: WorkspaceSender,
}

impl Watchers {
    /// Reports the rows that differ from what is known of them.
    fn tell(&mut self, table: &Table) {
        self.sessions
            .retain(|_, sender| sender.receiver_count() > 0);
        self.workspaces
            .retain(|workspace| !workspace.sender.is_closed());
        for entry in table.entries.values() {
            let change = entry.row.to_change();
            let session = &change.session;
            if let Some(sender) = self.sessions.get(&session.session_id) {
                sender.send_if_modified(|known| {
                    let is_news = *known != change;
                    known.clone_from(&change);
                    is_news
                });
            }
            for workspace in &mut self.workspaces {
                let known = workspace.known.get(&session.session_id);
                let is_news = known.map_or(!entry.is_deleted, |known| *known != change);
                if workspace.id == session.workspace_id && is_news {
                    workspace.sender.send(&change);
                    let session = session.session_id.clone();
                    workspace.known.insert(session, change.clone());
                }
            }
        }
    }
}

impl Inner {
    /// Reads the table, changes it and writes it, while no other process does; then reports the changes.
    fn step<T>(&self, change: impl FnOnce(&mut Table, &mut Watchers) -> T) -> io::Result<T> {
        let lock = self.path.with_extension("lock");
        let lock = File::options().create(true).append(true).open(lock)?;
        lock.lock()?;
        let mut watchers = self.watchers.lock().unwrap();
        let mut table = Table::read(&self.path)?;
        let before = table.to_json();
        let done = change(&mut table, &mut watchers);
        let after = table.to_json();
        if before != after {
            Table::write(&self.path, &after)?;
        }
        watchers.tell(&table);
        Ok(done)
    }
}

fn unknown(session: &dyn std::fmt::Display) -> StoreError {
    StoreError::unknown(session)
}

impl FileStore {
    fn new(path: PathBuf, options: StoreOptions) -> Self {
        let poll_interval = options.poll_interval();
        let watchers = Mutex::default();
        let inner = Arc::new(Inner {
            path,
            options,
            watchers,
        });
        let polled = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Some(inner) = polled.upgrade() {
                let polled = spawn_blocking(move || inner.step(|_, _| ()));
                polled.await.expect("a poll").expect("the file is there");
                sleep(poll_interval).await;
            }
        });
        Self(inner)
    }

    /// One atomic step. Dropped, it continues to its end.
    async fn step<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Table, &mut Watchers, &StoreOptions) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        let step = move || inner.step(|table, watchers| change(table, watchers, &inner.options));
        let failed =
            |message: String| StoreError::new(StoreErrorKind::Storage, message).transient();
        match timeout(self.0.options.call_deadline(), spawn_blocking(step)).await {
            Ok(Ok(Ok(done))) => done,
            Ok(Ok(Err(error))) => Err(failed(format!("the file cannot be used: {error}"))),
            Ok(Err(_)) => Err(failed("the task that used the file has ended".to_owned())),
            Err(_) => Err(failed("the file is locked by another process".to_owned())),
        }
    }
}

fn apply(
    table: &mut Table,
    event: &SessionEvent,
    options: &StoreOptions,
) -> Result<Outcome, StoreError> {
    let (false, Some(session)) = (
        matches!(event.kind(), EventKind::Foreign(_)),
        event.session(),
    ) else {
        return Ok(Outcome::Ignored(Ignored::Foreign));
    };
    let entry = table.entries.get(&session.session_id);
    let entry = entry.filter(|entry| entry.row.session == *session);
    let entry = entry.ok_or_else(|| unknown(session))?;
    if entry.is_deleted {
        return Err(StoreError::given_up(&entry.row));
    }
    let id = event.id().map(|id| id.as_str().to_owned());
    let is_applied = id.as_ref().is_some_and(|id| entry.applied.contains_key(id));
    let write = match apply_event(&entry.row, is_applied, event, options.rebind_policy())? {
        Effect::Write(write) => write,
        Effect::Ignore(why) => return Ok(Outcome::Ignored(why)),
        _ => unreachable!("a later version of the crate"),
    };
    let mut retired = Vec::new();
    if write.connects {
        let holds = |other: &&Entry| {
            let row = &other.row;
            !other.is_deleted
                && row.session.workspace_id == session.workspace_id
                && row.session != *session
                && row.phone == write.row.phone
        };
        let holders = table.entries.values().filter(holds);
        let holders = holders.map(|holder| holder.row.clone()).collect();
        for row in retire_holders(&write.row, holders, options.duplicate_policy())? {
            retired.push(row.to_change());
            table.give_up(row);
        }
    }
    let change = write.row.to_change();
    let entry = table.live(session).ok_or_else(|| unknown(session))?;
    (entry.row, entry.touched) = (write.row, now());
    entry.applied.extend(id.map(|id| (id, now())));
    Ok(Outcome::Applied { change, retired })
}

#[async_trait::async_trait]
impl SessionStore for FileStore {
    fn name(&self) -> &str {
        "file"
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        let session = session.clone();
        self.step(move |table, _, _| {
            let new = || Entry::new(SessionRow::new(session.clone()));
            let entry = table
                .entries
                .entry(session.session_id.clone())
                .or_insert_with(new);
            if entry.row.session != session {
                return Err(StoreError::taken(&session));
            }
            if entry.is_deleted {
                entry.row = registered_again(entry.row.clone());
                entry.is_deleted = false;
            }
            entry.touched = now();
            Ok(entry.row.clone())
        })
        .await
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        let event = event.clone();
        self.step(move |table, _, options| apply(table, &event, options))
            .await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let id = id.clone();
        self.step(move |table, _, _| {
            let entry = table.entries.get(&id).filter(|entry| !entry.is_deleted);
            Ok(entry.map(|entry| entry.row.clone()))
        })
        .await
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let query = query.clone();
        let after = query.cursor().map(|cursor| SessionId::new(cursor.as_str()));
        let after = after.transpose()?.map_or(Bound::Unbounded, Bound::Excluded);
        self.step(move |table, _, _| {
            let entries = table.entries.range((after, Bound::Unbounded));
            let listed =
                entries.filter(|(_, entry)| !entry.is_deleted && query.matches(&entry.row));
            let rows = listed.map(|(_, entry)| entry.row.clone());
            let mut rows: Vec<_> = rows.take(query.max_rows() + 1).collect();
            let has_more = rows.len() > query.max_rows();
            rows.truncate(query.max_rows());
            let last = rows.last().filter(|_| has_more);
            let next = last.map(|last| last.session.session_id.as_str().parse());
            let next = next.transpose()?;
            Ok(SessionPage::new(rows, next))
        })
        .await
    }

    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        let session = session.clone();
        self.step(move |table, _, _| {
            let entry = table.live(&session).ok_or_else(|| unknown(&session))?;
            let row = given_up(entry.row.clone());
            let change = row.to_change();
            table.give_up(row);
            Ok(change)
        })
        .await
    }

    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError> {
        self.step(move |table, _, _| {
            let age = |since| Duration::from_secs(now().saturating_sub(since));
            let mut swept = Vec::new();
            for entry in table.entries.values_mut() {
                entry.applied.retain(|_, at| age(*at) <= APPLIED_IDS_KEPT);
                let is_waiting =
                    matches!(entry.row.status, Status::QrScanning | Status::Authenticated);
                if is_waiting && !entry.is_deleted && age(entry.touched) >= older_than {
                    entry.row = given_up(entry.row.clone());
                    entry.is_deleted = true;
                    swept.push(entry.row.to_change());
                }
            }
            Ok(swept)
        })
        .await
    }

    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        let id = id.clone();
        self.step(move |table, watchers, _| {
            let entry = table.entries.get(&id).filter(|entry| !entry.is_deleted);
            let now = entry.ok_or_else(|| unknown(&id))?.row.to_change();
            let sender = watchers
                .sessions
                .entry(id)
                .or_insert_with(|| watch::Sender::new(now));
            Ok(sender.subscribe().into())
        })
        .await
    }

    async fn watch_workspace(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceWatcher, StoreError> {
        let id = workspace.clone();
        self.step(move |_, watchers, _| {
            let (sender, watcher) = WorkspaceWatcher::channel();
            let known = HashMap::new();
            watchers.workspaces.push(Workspace { id, known, sender });
            Ok(watcher)
        })
        .await
    }
}

/// Each pair of stores in a directory of its own, as two processes would have it.
struct Directories(Mutex<Vec<tempfile::TempDir>>);

#[async_trait::async_trait]
impl StoreFixture for Directories {
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sessions.json");
        self.0.lock().unwrap().push(directory);
        let options = options.poll_every(Duration::from_millis(50));
        [0, 1].map(|_| Arc::new(FileStore::new(path.clone(), options.clone())) as _)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_users_keeps_the_contract() {
    contract::all(&Directories(Mutex::default())).await;
}
