//! [`StoreSink`]: applies events to a store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::error::StoreError;
use super::options::RowValues;
use super::session_store::{Ignored, Outcome, SessionStore};
use crate::event::{Decision, EventKind, EventSink, SessionEvent, SinkError};
use crate::metrics;

/// Applies every event to a store before `send` returns, so no front end reads a null number while a
/// `session_ready` waits in a queue. An event that the store [ignores](Ignored) is accepted;
/// an [outdated](Ignored::OutOfOrder) one is [withheld](Decision::Withhold) from other sinks.
///
/// ```
/// use std::sync::Arc;
/// use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey};
/// use whatsapp_phone::store::{RowValues, SessionStore, StoreSink, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::default());
/// let sink = StoreSink::new(store.clone());
/// let event = SessionEvent::session_authenticated(SessionKey::new(7, "session-1")?);
/// assert_eq!(sink.send(&event).await.unwrap_err().code(), "unknown_session");
///
/// let sink = sink.register_unknown(RowValues::default());
/// sink.send(&event).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StoreSink {
    store: Arc<dyn SessionStore>,
    register: Option<RowValues>,
}

impl StoreSink {
    /// Makes a sink into this store.
    #[must_use]
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            register: None,
        }
    }

    /// Registers the session of an event that the store refuses as `unknown_session`, by
    /// [`register_with`](SessionStore::register_with), and applies the event again. Default: the event is
    /// refused.
    ///
    /// Only an event of a live session registers it: a QR code that has not expired,
    /// `session_authenticated`, `session_ready` or `session_reconnected`. A session whose row was given up
    /// comes back only if the event's `seq` is above the row's last one; any other event may be a late one
    /// of a session that was [deleted](SessionStore::delete).
    #[must_use]
    pub fn register_unknown(mut self, values: RowValues) -> Self {
        self.register = Some(values);
        self
    }

    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        let start = Instant::now();
        let result = self.apply_or_register(event).await;
        if let EventKind::SessionReady(_) = event.kind() {
            let outcome = match &result {
                Ok(Outcome::Applied { .. }) => "applied",
                Ok(Outcome::Ignored(_)) => "ignored",
                Err(error) => error.code(),
            };
            metrics::session_ready(outcome, start.elapsed());
        }
        result
    }

    async fn apply_or_register(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
        match (
            self.store.apply(event).await,
            &self.register,
            event.session(),
        ) {
            (Err(error), Some(values), Some(session))
                if is_live(event) && error.allows_registration(event) =>
            {
                tracing::info!(%session, "registering the session again");
                self.store.register_with(session, values).await?;
                self.store.apply(event).await
            }
            (result, ..) => result,
        }
    }
}

/// Returns whether the session is live that has sent this event.
fn is_live(event: &SessionEvent) -> bool {
    match event.kind() {
        EventKind::QrCodeGenerated(qr) => !qr.is_expired(),
        EventKind::SessionAuthenticated
        | EventKind::SessionReady(_)
        | EventKind::SessionReconnected => true,
        EventKind::SessionError(_)
        | EventKind::SessionDisconnected { .. }
        | EventKind::Foreign(_) => false,
    }
}

#[async_trait]
impl EventSink for StoreSink {
    fn name(&self) -> &str {
        self.store.name()
    }

    /// Fails with the codes of [`StoreError`].
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.decide(event).await.map(drop)
    }

    async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        match self.apply(event).await? {
            Outcome::Ignored(Ignored::OutOfOrder) => {
                // An old event, or a new one whose sender has started its count again.
                tracing::warn!(event = ?event.kind(), seq = event.seq(), "an event was ignored: a later one was applied before");
                Ok(Decision::Withhold)
            }
            Outcome::Ignored(why) => {
                tracing::debug!(event = ?event.kind(), ?why, "an event was ignored");
                Ok(Decision::PassOn)
            }
            Outcome::Applied { .. } => Ok(Decision::PassOn),
        }
    }
}

impl fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSink")
            .field("store", &self.store.name())
            .field("register", &self.register)
            .finish()
    }
}

#[cfg(test)]
mod tests;
