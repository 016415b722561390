//! [`QrCode`]: a login credential with a short life.

use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::EventError;

/// A QR code with its payload. Anyone who has the payload can link a device to the account, so all
/// copies lose it 60 seconds after [`new`](Self::new), and its bytes are overwritten.
///
/// `Debug` never shows the payload.
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
    is_expired: bool,
}

impl QrCode {
    /// How long the payload is kept.
    pub const LIFE: Duration = Duration::from_secs(60);
    /// Longest payload, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// Makes a code with this payload. In a tokio runtime a task removes the payload in time; elsewhere
    /// the next call of [`reveal`](Self::reveal), or the drop, does.
    ///
    /// # Errors
    ///
    /// If it is empty or longer than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new(payload: impl Into<String>) -> Result<Self, EventError> {
        let payload = Payload(payload.into().into_bytes());
        if !(1..=Self::MAX_LEN).contains(&payload.0.len()) {
            return Err(EventError::Field {
                field: "qr",
                rule: "a string of 1 to 4096 bytes, or null without a payload",
            });
        }
        let until = Instant::now() + Self::LIFE;
        let held = Arc::new(Held {
            payload: Mutex::new(payload),
            until,
            is_expired: false,
        });
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(forget_at(until, Arc::downgrade(&held)));
        }
        Ok(Self(held))
    }

    /// Makes a code without its payload: the page shows a code, but its sender does not know the
    /// payload, or the event was passed on too late.
    #[must_use]
    pub fn unknown() -> Self {
        Self::without_payload(false)
    }

    /// Makes the code of a page whose QR code has expired, without a payload: nobody can scan it, and
    /// the page shows a new one only after a click or a reload. In JSON it is `"expired": true`.
    #[must_use]
    pub fn expired() -> Self {
        Self::without_payload(true)
    }

    fn without_payload(is_expired: bool) -> Self {
        Self(Arc::new(Held {
            payload: Mutex::new(Payload(Vec::new())),
            until: Instant::now(),
            is_expired,
        }))
    }

    /// Returns whether the page itself says that the code has expired; see [`expired`](Self::expired).
    /// Of a code that was valid when it was sent it stays false.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.0.is_expired
    }

    /// Returns the payload; `None` if there is none or its 60 seconds are over. Keep it as safe as a
    /// password.
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

/// Bytes that are overwritten on drop.
struct Payload(Vec<u8>);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from removing the write.
        black_box(&self.0);
    }
}

impl fmt::Debug for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = match (self.is_expired(), self.0.lock().0.is_empty()) {
            (true, _) => "expired",
            (false, true) => "forgotten",
            (false, false) => "held",
        };
        write!(f, "QrCode({payload})")
    }
}
