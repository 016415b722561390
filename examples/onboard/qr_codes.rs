//! Takes the QR codes past the outbox, which must not write them to a disk: [`KeepQrCode`] keeps the latest one in
//! memory, and [`AddQrCode`] puts it back into its event. If the process ends in between, the event arrives without it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use whatsapp_phone::event::{Decision, EventKind, EventSink, SessionEvent, SessionKey, SinkError};

/// The event with the latest code of the one session; the code is forgotten after 60 s.
type Latest = Arc<Mutex<Option<SessionEvent>>>;

/// Comes before the store.
pub(crate) struct KeepQrCode<S> {
    sink: S,
    latest: Latest,
}

/// Comes before the webhook.
pub(crate) struct AddQrCode<S> {
    sink: S,
    latest: Latest,
}

pub(crate) fn around<S, W>(store: S, webhook: W) -> (KeepQrCode<S>, AddQrCode<W>) {
    let latest = Latest::default();
    let keep = KeepQrCode {
        sink: store,
        latest: Arc::clone(&latest),
    };
    let add = AddQrCode {
        sink: webhook,
        latest,
    };
    (keep, add)
}

fn lock(latest: &Latest) -> MutexGuard<'_, Option<SessionEvent>> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl<S: EventSink> EventSink for KeepQrCode<S> {
    fn name(&self) -> &str {
        self.sink.name()
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.decide(event).await.map(drop)
    }

    async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        if let EventKind::QrCodeGenerated(_) = event.kind() {
            *lock(&self.latest) = Some(event.clone());
        }
        self.sink.decide(event).await
    }

    async fn holds(&self, session: &SessionKey) -> Result<bool, SinkError> {
        self.sink.holds(session).await
    }
}

#[async_trait]
impl<S: EventSink> EventSink for AddQrCode<S> {
    fn name(&self) -> &str {
        self.sink.name()
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let latest = lock(&self.latest).clone();
        let whole = latest.filter(|latest| latest.id() == event.id());
        self.sink.send(whole.as_ref().unwrap_or(event)).await
    }

    async fn holds(&self, session: &SessionKey) -> Result<bool, SinkError> {
        self.sink.holds(session).await
    }
}
