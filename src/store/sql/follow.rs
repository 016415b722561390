//! [`Follower`]: a task that reads watched sessions, to notice the writes of other programs.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::account::Account;
use super::database::Database;
use super::driver::Driver;
use super::row::Row;
use crate::event::{SessionId, WorkspaceId};
use crate::store::error::StoreError;
use crate::store::query::SessionQuery;
use crate::store::watch::{CHECK_EVERY, Watched};

/// The task, if it runs.
#[derive(Debug, Default)]
pub(super) struct Follower(Mutex<Option<JoinHandle<()>>>);

impl Follower {
    fn lock(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task, unless it runs. It ends when nothing is watched.
    pub(super) fn start<D: Driver>(self: &Arc<Self>, database: &Weak<Database<D>>) {
        let mut task = self.lock();
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let (follower, database) = (self.clone(), database.clone());
            *task = Some(tokio::spawn(async move {
                while AssertUnwindSafe(follower.follow(&database))
                    .catch_unwind()
                    .await
                    .is_err()
                {
                    tracing::error!(
                        store = D::NAME,
                        "reading watched sessions has panicked; it starts again"
                    );
                    sleep(CHECK_EVERY).await;
                }
            }));
        }
    }

    /// Reads all watched sessions on a timer that no notification delays, and at once those that another
    /// process has changed.
    async fn follow<D: Driver>(&self, database: &Weak<Database<D>>) {
        let mut listener = D::Listener::default();
        let mut unrecognised = HashSet::new();
        let mut noticed = Vec::new();
        let mut next_poll = Instant::now();
        let mut listing: Option<JoinHandle<()>> = None;
        loop {
            let Some(database) = database.upgrade() else {
                return;
            };
            let mut watched = database.hub.watched();
            let has_workspaces = !database.hub.watched_workspaces().is_empty();
            if watched.is_empty() && !has_workspaces {
                let mut task = self.lock();
                let hub = &database.hub;
                if hub.watched().is_empty() && hub.watched_workspaces().is_empty() {
                    *task = None;
                    return;
                }
            }
            if Instant::now() >= next_poll {
                next_poll = Instant::now() + database.options.poll_every;
                // In a task of its own, since a large workspace takes long.
                let is_listing = listing.as_ref().is_some_and(|task| !task.is_finished());
                if has_workspaces && !is_listing {
                    listing = Some(tokio::spawn(follow_workspaces(Arc::downgrade(&database))));
                }
            } else {
                watched.retain(|watched| noticed.contains(watched.session()));
                if has_workspaces {
                    log::<D>(look_at_changed(&database, &noticed).await);
                }
            }
            log::<D>(look(&database, &watched, &mut unrecognised).await);
            let driver = database.driver.clone();
            // Meanwhile the store may be dropped, which ends its watchers.
            drop(database);
            let received = timeout_at(next_poll, driver.listen(&mut listener)).await;
            noticed = match received {
                Ok(Some(sessions)) => sessions,
                Ok(None) | Err(_) => {
                    next_poll = Instant::now();
                    Vec::new()
                }
            };
        }
    }
}

fn log<D: Driver>(looked: Result<(), StoreError>) {
    if let Err(error) = looked {
        tracing::warn!(store = D::NAME, code = error.code(), %error, "watched sessions were not read");
    }
}

/// Reads the sessions of watched workspaces repeatedly, for a fifth of the time at most.
async fn follow_workspaces<D: Driver>(database: Weak<Database<D>>) {
    let mut unrecognised = HashSet::new();
    while let Some(database) = database.upgrade() {
        let workspaces = database.hub.watched_workspaces();
        if workspaces.is_empty() {
            return;
        }
        let began = Instant::now();
        for workspace in &workspaces {
            log::<D>(look_at_workspace(&database, workspace, &mut unrecognised).await);
        }
        let pause = database.options.poll_every.max(4 * began.elapsed());
        drop(database);
        sleep(pause).await;
    }
}

/// Reads all sessions of a workspace and publishes them, also those that are gone.
pub(super) async fn look_at_workspace<D: Driver>(
    database: &Database<D>,
    workspace: &WorkspaceId,
    unrecognised: &mut HashSet<String>,
) -> Result<(), StoreError> {
    let hub = &database.hub;
    let query = SessionQuery::default().workspace(workspace.clone());
    let query = query.limit(SessionQuery::MAX_LIMIT);
    let (mut known, since) = (hub.known_of(workspace), hub.changes());
    let (mut listed, mut after) = (HashSet::new(), None);
    loop {
        let (accounts, next) = database.page(&query, after.as_deref()).await?;
        for (id, change) in accounts.iter().filter_map(Account::notice) {
            hub.publish_read(since, &id, &change);
            listed.insert(change.session.session_id);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    known.retain(|known| !listed.contains(known.session()));
    let (over, gone): (Vec<_>, Vec<_>) = known.into_iter().partition(Watched::is_given_up);
    for known in &over {
        hub.forget(known);
    }
    look(database, &gone, unrecognised).await
}

/// Reads sessions that other processes have changed, and publishes them.
async fn look_at_changed<D: Driver>(
    database: &Database<D>,
    sessions: &[SessionId],
) -> Result<(), StoreError> {
    let since = database.hub.changes();
    for account in find(database, sessions.iter()).await? {
        if let Some((id, change)) = account.notice() {
            database.hub.publish_read(since, &id, &change);
        }
    }
    Ok(())
}

/// Reads sessions.
pub(super) async fn find<D: Driver>(
    database: &Database<D>,
    sessions: impl Iterator<Item = &SessionId>,
) -> Result<Vec<Account>, StoreError> {
    let sessions = sessions.map(|session| json!({"session": session.as_str()}));
    let sessions = Value::from_iter(sessions).to_string();
    let find = &database.statements.find;
    let rows: Vec<Row> = database.connections.read(find, &[&sessions]).await?;
    let lacks_error = database.layout.lacks_error;
    let rows = rows.into_iter().map(|row| Account::new(row, lacks_error));
    Ok(rows.collect())
}

/// Reads watched sessions and publishes them, also if a row is gone. Unrecognised rows are skipped, and
/// logged once.
pub(super) async fn look<D: Driver>(
    database: &Database<D>,
    watched: &[Watched],
    unrecognised: &mut HashSet<String>,
) -> Result<(), StoreError> {
    if watched.is_empty() {
        return Ok(());
    }
    let found = find(database, watched.iter().map(Watched::session)).await?;
    for one in watched {
        let is_it = |account: &&Account| account.session() == Some(one.session().as_str());
        let Some(account) = found.iter().find(is_it) else {
            database.hub.publish_gone(one);
            continue;
        };
        match (account.notice(), &account.row) {
            (Some((life, change)), _) => database.hub.publish_read(one.since, &life, &change),
            (None, Err(error)) if unrecognised.insert(account.id().to_owned()) => {
                tracing::warn!(store = D::NAME, %error, "a row was skipped");
            }
            _ => {}
        }
    }
    Ok(())
}
