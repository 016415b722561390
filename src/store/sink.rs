//! [`StoreSink`]: events into a store, inline.

use async_trait::async_trait;

use super::session_store::{Ignored, Outcome, SessionStore};
use crate::event::{EventSink, SessionEvent, SinkError};

/// Applies every event to a store before `send` returns, so that no front end reads a null number
/// while a ready event waits in a queue. What the store ignores is accepted.
///
/// ```
/// use std::sync::Arc;
/// use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey};
/// use whatsapp_phone::store::{SessionStore, StoreSink, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::default());
/// let sink = StoreSink::new(store.clone());
/// let event = SessionEvent::session_authenticated(SessionKey::new(7, "session-1")?);
/// assert_eq!(sink.send(&event).await.unwrap_err().code(), "unknown_session");
///
/// store.register(event.session().unwrap()).await?;
/// sink.send(&event).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreSink<S>(S);

impl<S: SessionStore> StoreSink<S> {
    /// A sink into this store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self(store)
    }
}

#[async_trait]
impl<S: SessionStore> EventSink for StoreSink<S> {
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The codes are those of [`StoreError`](super::StoreError).
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        match self.0.apply(event).await {
            Ok(Outcome::Ignored(Ignored::OutOfOrder)) => {
                // Of an old event it is right; of a new one it says that its producer counts anew.
                tracing::warn!(event = ?event.kind(), seq = event.seq(), "an event came too late and was ignored");
                Ok(())
            }
            Ok(Outcome::Ignored(why)) => {
                tracing::debug!(event = ?event.kind(), ?why, "an event was ignored");
                Ok(())
            }
            Ok(Outcome::Applied { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
