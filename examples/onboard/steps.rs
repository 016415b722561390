//! Prints what happens, with the time since the start. Numbers come masked.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};
use whatsapp_phone::event::{EventKind, EventSink, SessionEvent, SinkError};
use whatsapp_phone::server::QrCodes;
use whatsapp_phone::store::StatusChange;

#[derive(Clone, Debug)]
pub(crate) struct Steps {
    start: Instant,
    received: Option<QrCodes>,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            received: None,
        }
    }

    /// Prints for how long a QR code is held that was received.
    pub(crate) fn with_qr_codes(self, codes: QrCodes) -> Self {
        Self {
            received: Some(codes),
            ..self
        }
    }

    pub(crate) fn print(&self, what: &str, more: impl AsRef<str>) {
        let at = self.start.elapsed().as_secs_f64();
        println!("{at:7.3} s  {what:<9} {}", more.as_ref());
    }

    pub(crate) fn print_status(&self, change: &StatusChange) {
        let phone = change.phone.as_ref().map(ToString::to_string);
        let phone = phone.unwrap_or("no number".to_owned());
        self.print("status", format!("{}, {phone}", change.status));
    }

    /// Says whether the code of a QR code's event has arrived too. The receiver holds it from its answer on, which
    /// may come after the event was applied.
    async fn qr_code(&self, event: &SessionEvent) -> String {
        let Some((codes, session)) = self.received.as_ref().zip(event.session()) else {
            return String::new();
        };
        let held = async {
            loop {
                match codes.get(session) {
                    Some(code) => return code.time_left().as_secs(),
                    None => sleep(Duration::from_millis(10)).await,
                }
            }
        };
        match timeout(Duration::from_secs(5), held).await {
            Ok(seconds) => format!(", its code is held for {seconds} s"),
            Err(_) => ", without its code".to_owned(),
        }
    }
}

#[async_trait]
impl EventSink for Steps {
    fn name(&self) -> &str {
        "screen"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let more = match event.kind() {
            EventKind::QrCodeGenerated(_) => self.qr_code(event).await,
            EventKind::SessionReady(ready) => format!(" {}", ready.phone()),
            EventKind::SessionError(failed) => format!(
                " {}: {}",
                failed.code().unwrap_or_default(),
                failed.message()
            ),
            EventKind::SessionDisconnected { reason, .. } => format!(" {reason}"),
            _ => String::new(),
        };
        self.print("event", format!("{}{more}", event.name()));
        Ok(())
    }
}
