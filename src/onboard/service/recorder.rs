//! [`Recorder`]: passes events on, and keeps [`Latest`], the latest QR code and number that the sink has accepted.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::event::{Decision, EventKind, EventSink, QrCode, SessionEvent, SinkError};
use crate::phone::PhoneNumber;
use crate::store::{SessionRow, Status};

#[derive(Clone, Debug, Default)]
pub(super) struct Latest {
    pub(super) qr_code: Option<QrCode>,
    pub(super) number: Option<PhoneNumber>,
}

impl From<&SessionRow> for Latest {
    fn from(row: &SessionRow) -> Self {
        let number = row.phone.clone();
        Self {
            qr_code: None,
            number: number.filter(|_| row.status == Status::Connected),
        }
    }
}

impl Latest {
    /// Returns what there is to see after this event.
    fn after(event: &SessionEvent) -> Self {
        let (qr_code, number) = match event.kind() {
            EventKind::QrCodeGenerated(code) => (Some(code.clone()), None),
            EventKind::SessionReady(ready) => (None, Some(ready.phone().clone())),
            _ => (None, None),
        };
        Self { qr_code, number }
    }
}

/// Remembers what it has passed on to the sink of the service.
pub(super) struct Recorder {
    pub(super) sink: Arc<dyn EventSink>,
    pub(super) latest: Arc<Mutex<Latest>>,
}

#[async_trait]
impl EventSink for Recorder {
    fn name(&self) -> &str {
        self.sink.name()
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        self.decide(event).await.map(drop)
    }

    async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        let decision = self.sink.decide(event).await?;
        if decision == Decision::PassOn {
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Latest::after(event);
        }
        Ok(decision)
    }
}
