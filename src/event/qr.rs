//! [`QrCode`]: a login credential with a short life.

use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::EventError;

/// What a QR code says. Whoever reads it can link a device to the account, so it is forgotten 60
/// seconds after it was made here, wherever its copies are by then, and its bytes are overwritten.
///
/// `Debug` never shows it.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::event::QrCode;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), whatsapp_phone::event::EventError> {
/// let qr = QrCode::new("2@AbC...")?;
/// assert_eq!(qr.reveal().as_deref(), Some("2@AbC..."));
/// tokio::time::sleep(Duration::from_secs(60)).await;
/// assert_eq!(qr.reveal(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QrCode(Arc<Held>);

struct Held {
    payload: Mutex<Payload>,
    until: Instant,
}

impl QrCode {
    /// How long one is kept.
    pub const LIFE: Duration = Duration::from_secs(60);
    /// Longest payload, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// Takes a payload. Within a tokio runtime it is forgotten in time by itself, elsewhere when it
    /// is next asked for or dropped.
    ///
    /// # Errors
    ///
    /// When it is empty or longer than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new(payload: impl Into<String>) -> Result<Self, EventError> {
        let payload = Payload(payload.into().into_bytes());
        if !(1..=Self::MAX_LEN).contains(&payload.0.len()) {
            return Err(EventError::Field {
                field: "qr",
                rule: "a string of 1 to 4096 bytes, or null where it is forgotten",
            });
        }
        let until = Instant::now() + Self::LIFE;
        let held = Arc::new(Held {
            payload: Mutex::new(payload),
            until,
        });
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(forget_at(until, Arc::downgrade(&held)));
        }
        Ok(Self(held))
    }

    /// A code whose payload is not there: it was passed on too late, or whoever tells of it has only
    /// seen that the page shows one.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Arc::new(Held {
            payload: Mutex::new(Payload(Vec::new())),
            until: Instant::now(),
        }))
    }

    /// The payload; `None` when it is forgotten. Mind where it goes: it is as good as a password.
    #[must_use]
    pub fn reveal(&self) -> Option<String> {
        if Instant::now() >= self.0.until {
            self.0.forget();
        }
        let payload = self.0.lock();
        let text = String::from_utf8(payload.0.clone()).ok()?;
        (!text.is_empty()).then_some(text)
    }
}

async fn forget_at(until: Instant, held: Weak<Held>) {
    sleep_until(until).await;
    if let Some(held) = held.upgrade() {
        held.forget();
    }
}

impl Held {
    fn lock(&self) -> std::sync::MutexGuard<'_, Payload> {
        self.payload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.lock() = Payload(Vec::new());
    }
}

/// Bytes that are overwritten when they are let go.
struct Payload(Vec<u8>);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.fill(0);
        // The compiler must believe that the zeros are looked at.
        black_box(&self.0);
    }
}

impl fmt::Debug for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_held = !self.0.lock().0.is_empty();
        write!(f, "QrCode({})", if is_held { "held" } else { "forgotten" })
    }
}
