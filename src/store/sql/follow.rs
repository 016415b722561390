//! Watchers hear what other programs write.

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError, Weak};

use super::rows::Loaded;
use super::{Database, Shared};
use crate::event::SessionId;
use crate::store::StoreError;
use crate::store::watch::Watched;

/// Reads what is watched, as often as there may be news, for as long as anything is.
pub(super) async fn follow<D: Database>(store: Weak<Shared<D>>) {
    let mut told = None;
    let mut ear = D::Ear::default();
    let mut odd = HashSet::new();
    loop {
        let Some(store) = store.upgrade() else { return };
        let mut watched = store.hub.watched();
        if watched.is_empty() {
            let mut is_followed = store.lock_followed();
            if store.hub.watched().is_empty() {
                *is_followed = false;
                return;
            }
        }
        if let Some(told) = told.take() {
            let told: Vec<SessionId> = told;
            watched.retain(|watched| told.contains(watched.session()));
        }
        if !watched.is_empty()
            && let Err(error) = store.look(watched, &mut odd).await
        {
            tracing::warn!(store = D::NAME, code = error.code(), %error, "watched sessions were not read");
        }
        let (database, every) = (store.database.clone(), store.options.poll_every);
        // Meanwhile the store may be dropped, which ends its watchers.
        drop(store);
        told = database.hear(&mut ear, every).await;
    }
}

impl<D> Shared<D> {
    pub(super) fn lock_followed(&self) -> MutexGuard<'_, bool> {
        self.is_followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Database> Shared<D> {
    /// Reads these and tells their watchers, also of those whose rows are there no more. Rows that
    /// are none of ours are passed over; `odd` are those that were named already.
    pub(super) async fn look(
        &self,
        watched: Vec<Watched>,
        odd: &mut HashSet<i64>,
    ) -> Result<(), StoreError> {
        let sessions: Vec<_> = watched.iter().map(|one| one.session().clone()).collect();
        let mut there = HashSet::new();
        for columns in self.read(&sessions).await? {
            let account = columns.0;
            there.extend(columns.2.clone());
            match Loaded::read(columns) {
                Ok(found) => self.hub.publish(account, &found.to_change()),
                Err(error) if odd.insert(account) => {
                    tracing::warn!(store = D::NAME, %error, "a row was passed over");
                }
                Err(_) => {}
            }
        }
        for one in watched {
            if !there.contains(one.session().as_str()) {
                self.hub.end(&one);
            }
        }
        Ok(())
    }
}
