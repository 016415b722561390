//! The suite on the store of the core, and on stores of which each breaks one rule.

use super::*;
use crate::event::{EventKind, QrCode, SessionEvent, SessionId, SessionKey, WorkspaceId};
use crate::store::memory::MemoryStore;
use crate::store::{
    Ignored, Outcome, SessionPage, SessionQuery, SessionRow, StatusChange, StatusWatcher,
    StoreError, StoreErrorKind, WorkspaceWatcher,
};

struct Memory;

#[async_trait]
impl StoreFixture for Memory {
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
        let store = MemoryStore::new(options);
        [Arc::new(store.clone()), Arc::new(store)]
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_store_keeps_the_contract() {
    all(&Memory).await; // MemoryStore
}

/// The rule that a store breaks.
#[derive(Clone, Copy, Debug)]
enum Fault {
    ForgetsIds,
    ForgetsSeq,
    IgnoresPolicies,
    TakesExpiredCodes,
    HidesNumbers,
    Hangs,
    IgnoresCursors,
    IgnoresWorkspaces,
    ForgetsErrors,
    EndsOnly,
    SeesNoSession,
    CallsOutdatedRepeated,
    ForgetsDeletedRows,
}

struct Faulty(MemoryStore, Fault);

#[async_trait]
impl SessionStore for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        self.0.register(session).await
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        let session = event.session().cloned();
        let again = match (event.kind(), session, self.1) {
            (EventKind::SessionReady(ready), Some(session), Fault::ForgetsIds) => {
                let again = SessionEvent::session_ready(session, ready.clone());
                event.seq().map_or(again.clone(), |seq| again.with_seq(seq))
            }
            (EventKind::SessionReady(ready), Some(session), Fault::ForgetsSeq) => {
                SessionEvent::session_ready(session, ready.clone())
            }
            (EventKind::QrCodeGenerated(qr), Some(session), Fault::TakesExpiredCodes)
                if qr.is_expired() =>
            {
                SessionEvent::qr_code_generated(session, QrCode::unknown())
            }
            (_, _, Fault::Hangs) => std::future::pending().await,
            _ => event.clone(),
        };
        match (self.0.apply(&again).await, self.1) {
            (Ok(Outcome::Ignored(Ignored::OutOfOrder)), Fault::CallsOutdatedRepeated)
                if matches!(event.kind(), EventKind::SessionDisconnected { .. }) =>
            {
                Ok(Outcome::Ignored(Ignored::Repeated))
            }
            (Err(error), Fault::ForgetsDeletedRows)
                if error.kind() == StoreErrorKind::UnknownSession =>
            {
                Err(StoreError::unknown("that was given up"))
            }
            (result, _) => result,
        }
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let mut row = self.0.session(id).await?;
        if let (Some(row), Fault::HidesNumbers) = (&mut row, self.1) {
            row.phone = None;
        }
        if let (Some(row), Fault::ForgetsErrors) = (&mut row, self.1) {
            row.error = None;
        }
        Ok(row)
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let everything = SessionQuery::default().limit(query.max_rows());
        let everything = match (self.1, query.cursor()) {
            (Fault::IgnoresCursors, _) | (Fault::IgnoresWorkspaces, None) => everything,
            (Fault::IgnoresWorkspaces, Some(cursor)) => everything.after(cursor.clone()),
            _ => query.clone(),
        };
        self.0.sessions(&everything).await
    }

    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        match self.1 {
            Fault::EndsOnly => self.0.end(session).await,
            _ => self.0.delete(session).await,
        }
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
        match self.1 {
            Fault::SeesNoSession => MemoryStore::default().watch_workspace(workspace).await,
            _ => self.0.watch_workspace(workspace).await,
        }
    }
}

#[async_trait]
impl StoreFixture for Fault {
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
        let options = match self {
            Self::IgnoresPolicies => options.duplicates(DuplicatePolicy::Companions),
            _ => options,
        };
        let store = MemoryStore::new(options);
        [0, 1].map(|_| Arc::new(Faulty(store.clone(), *self)) as _)
    }
}

async fn breaks(fault: Fault, rule: &str) {
    let run = tokio::spawn(async move { all(&fault).await });
    let panic = run.await.unwrap_err().into_panic();
    let said = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(said.contains(rule), "{fault:?}: {said}");
}

#[tokio::test(start_paused = true)]
async fn each_broken_rule_is_named() {
    breaks(
        Fault::ForgetsIds,
        "an event that was just applied is a repetition",
    )
    .await;
    breaks(Fault::ForgetsSeq, "a row keeps the LID and the last `seq`").await;
    breaks(Fault::IgnoresPolicies, "number_already_connected").await;
    breaks(Fault::TakesExpiredCodes, "an expired QR code is ignored").await;
    breaks(Fault::HidesNumbers, "a connected session has a number").await;
    breaks(Fault::Hangs, "every call ends").await;
    breaks(Fault::IgnoresCursors, "page by page ends").await;
    breaks(Fault::IgnoresWorkspaces, "asked for and no others").await;
    breaks(Fault::ForgetsErrors, "a listed row is that of `session`").await;
    breaks(
        Fault::EndsOnly,
        "begins with the sessions that are not given up",
    )
    .await;
    breaks(Fault::CallsOutdatedRepeated, "is out of order if its `seq`").await;
    breaks(Fault::ForgetsDeletedRows, "an event that may be late").await;
    breaks(Fault::SeesNoSession, "a watch lasts as long as the store").await;
}
