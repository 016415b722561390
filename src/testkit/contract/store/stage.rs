//! Two stores under test: asks them, never waits for ever, and says which rule is broken.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::StoreFixture;
use crate::event::{SessionEvent, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::{
    Outcome, SessionRow, SessionStore, Status, StatusChange, StatusWatcher, StoreError,
    StoreErrorKind, StoreOptions,
};

pub(super) const WORKSPACE: u64 = 7;

pub(super) fn key(session: &str) -> SessionKey {
    key_in(WORKSPACE, session)
}

pub(super) fn key_in(workspace: u64, session: &str) -> SessionKey {
    match SessionKey::new(workspace, session) {
        Ok(key) => key,
        Err(error) => panic!("{session}: {error}"),
    }
}

/// Returns the n-th number.
pub(super) fn phone(n: u32) -> PhoneNumber {
    match format!("62811000{n:04}").parse() {
        Ok(phone) => phone,
        Err(error) => panic!("{n}: {error}"),
    }
}

pub(super) fn ready(session: &str, n: u32) -> SessionEvent {
    SessionEvent::session_ready(key(session), phone(n))
}

pub(super) fn authenticated(session: &str) -> SessionEvent {
    SessionEvent::session_authenticated(key(session))
}

pub(super) fn disconnected(session: &str) -> SessionEvent {
    SessionEvent::session_disconnected(key(session), "LOGOUT")
}

pub(super) fn reconnected(session: &str) -> SessionEvent {
    SessionEvent::session_reconnected(key(session))
}

pub(super) struct Stage {
    pub(super) stores: [Arc<dyn SessionStore>; 2],
    call_timeout: Duration,
}

impl Stage {
    pub(super) async fn new(fixture: &dyn StoreFixture, options: StoreOptions) -> Self {
        Self {
            stores: fixture.stores(options).await,
            call_timeout: fixture.call_timeout(),
        }
    }

    pub(super) fn rule(&self, holds: bool, rule: &str, saw: &dyn Debug) {
        assert!(
            holds,
            "the contract of SessionStore: {rule}; `{}` gave {saw:?}",
            self.stores[0].name()
        );
    }

    pub(super) async fn ends<T>(&self, future: impl Future<Output = T>) -> T {
        match timeout(self.call_timeout, future).await {
            Ok(output) => output,
            Err(_) => panic!(
                "the contract of SessionStore: every call ends, and every change is seen; `{}` did neither in {:?}",
                self.stores[0].name(),
                self.call_timeout
            ),
        }
    }

    /// Returns the result of a call that must succeed.
    pub(super) async fn works<T>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> T {
        match self.ends(future).await {
            Ok(output) => output,
            Err(error) => {
                let said = (&error, std::error::Error::source(&error));
                self.rule(false, &format!("{what} works"), &said);
                unreachable!("the rule is broken")
            }
        }
    }

    pub(super) async fn register(&self, session: &str) -> SessionRow {
        let key = key(session);
        self.works("`register`", self.stores[0].register(&key))
            .await
    }

    pub(super) async fn apply(&self, event: &SessionEvent) -> Outcome {
        let applied = self.stores[0].apply(event);
        self.works(&format!("`apply` of {event:?}"), applied).await
    }

    /// Applies what must have effect; the sessions that were given up for it.
    pub(super) async fn applies(&self, event: &SessionEvent) -> (StatusChange, Vec<StatusChange>) {
        match self.apply(event).await {
            Outcome::Applied { change, retired } => (change, retired),
            ignored => {
                self.rule(false, "an event that is new is applied", &(event, ignored));
                unreachable!("the rule is broken")
            }
        }
    }

    /// Applies what must be refused with this kind.
    pub(super) async fn refuses(&self, event: &SessionEvent, kind: StoreErrorKind) {
        let before = self.find(event).await;
        for store in &self.stores {
            let refused = self.ends(store.apply(event)).await;
            let is_right =
                matches!(&refused, Err(error) if error.kind() == kind && !error.is_transient());
            self.rule(
                is_right,
                &format!("this is refused with `{}`", kind.code()),
                &(event, refused),
            );
        }
        let after = self.find(event).await;
        self.rule(
            before == after,
            "a refused event changes nothing",
            &(before, after),
        );
    }

    async fn find(&self, event: &SessionEvent) -> Option<SessionRow> {
        let id = &event.session()?.session_id;
        self.works("`session`", self.stores[0].session(id)).await
    }

    /// Returns the row as the other store sees it.
    pub(super) async fn row(&self, session: &str) -> Option<SessionRow> {
        let key = key(session);
        let row = self.stores[1].session(&key.session_id);
        let row = self.works("`session`", row).await;
        if let Some(row) = &row {
            let is_whole = row.status != Status::Connected || row.phone.is_some();
            self.rule(is_whole, "a connected session has a number", row);
        }
        row
    }

    /// Checks that the row is there, in this state.
    pub(super) async fn stands(&self, session: &str, status: Status, number: Option<u32>) {
        let row = self.row(session).await;
        let is_so = row.as_ref().is_some_and(|row| {
            row.status == status && row.phone == number.map(phone) && row.session == key(session)
        });
        let rule = format!("the session `{session}` is now {status}, its number kept or set");
        self.rule(is_so, &rule, &row);
    }

    pub(super) async fn end(&self, at: usize, session: &str) -> StatusChange {
        let key = key(session);
        self.works("`end`", self.stores[at].end(&key)).await
    }

    pub(super) async fn delete(&self, at: usize, session: &str) -> StatusChange {
        let key = key(session);
        self.works("`delete`", self.stores[at].delete(&key)).await
    }

    pub(super) async fn watch(&self, at: usize, session: &str) -> StatusWatcher {
        let key = key(session);
        let watch = self.stores[at].watch(&key.session_id);
        self.works("`watch`", watch).await
    }
}
