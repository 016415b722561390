//! A task that reads watched sessions, to notice the writes of other programs.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::account::Account;
use super::database::Database;
use super::driver::Driver;
use crate::event::{SessionId, WorkspaceId};
use crate::store::error::StoreError;
use crate::store::query::SessionQuery;
use crate::store::watch::CHECK_EVERY;

/// Starts the task that reads watched sessions, unless it runs. It ends when nothing is watched.
pub(super) fn start<D: Driver>(database: &Weak<Database<D>>) {
    let Some(upgraded) = database.upgrade() else {
        return;
    };
    let mut task = lock(&upgraded.follower);
    if task.as_ref().is_none_or(JoinHandle::is_finished) {
        let database = database.clone();
        *task = Some(tokio::spawn(async move {
            while AssertUnwindSafe(follow(&database))
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads all watched sessions on a timer that no notification delays, and at once those that another
/// process has changed.
async fn follow<D: Driver>(database: &Weak<Database<D>>) {
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
            let mut task = lock(&database.follower);
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
        } else if has_workspaces {
            watched = noticed;
        } else {
            watched.retain(|session| noticed.contains(session));
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
    let (mut missing, since) = (hub.known_of(workspace), hub.changes());
    let (mut listed, mut after) = (HashSet::new(), None);
    loop {
        let (accounts, next) = database.page(&query, after.as_deref()).await?;
        for change in accounts.iter().filter_map(Account::change) {
            hub.publish_read(since, &change);
            listed.insert(change.session.session_id);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    missing.retain(|session| !listed.contains(session));
    look(database, &missing, unrecognised).await?;
    hub.forget_given_up(since, workspace);
    Ok(())
}

/// Reads sessions and publishes them, also if a row is gone. Unrecognised rows are skipped, and logged once.
pub(super) async fn look<D: Driver>(
    database: &Database<D>,
    sessions: &[SessionId],
    unrecognised: &mut HashSet<String>,
) -> Result<(), StoreError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let hub = &database.hub;
    let since = hub.changes();
    let found = database.find(sessions).await?;
    for session in sessions {
        let is_it = |account: &&Account| account.session() == Some(session.as_str());
        let Some(account) = found.iter().find(is_it) else {
            hub.publish_gone(since, session);
            continue;
        };
        match (account.change(), &account.row) {
            (Some(change), _) => hub.publish_read(since, &change),
            (None, Err(error)) if unrecognised.insert(account.id().to_owned()) => {
                tracing::warn!(store = D::NAME, %error, "a row was skipped");
            }
            _ => {}
        }
    }
    Ok(())
}
