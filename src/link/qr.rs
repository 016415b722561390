//! [`QrCode`]: the QR code of a page, a login credential with a short life.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

/// The beginning of every picture: the media type, and the base64 form of the eight bytes with which a
/// PNG starts.
const PICTURE: &str = "data:image/png;base64,iVBORw0KGgo";

/// A QR code with its payload: the text to draw as a QR code, or a [picture](Self::is_picture) of the
/// code. Anyone who has the payload can link a device to the account, so all copies lose it 60 seconds
/// after [`new`](Self::new), and its bytes are overwritten.
///
/// `Debug` never shows the payload.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::link::{QrCode, QrCodeError};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), QrCodeError> {
/// let qr = QrCode::new("2@AbC...")?;
/// assert_eq!(qr.reveal().as_deref(), Some("2@AbC..."));
/// assert_eq!(qr.time_left(), Duration::from_secs(60));
/// tokio::time::sleep(qr.time_left()).await;
/// assert_eq!(qr.reveal(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QrCode(Arc<Held>);

/// Overwritten when it is dropped.
type Payload = Zeroizing<Vec<u8>>;

struct Held {
    payload: Mutex<Payload>,
    until: Instant,
    is_picture: bool,
    is_expired: bool,
}

/// The error of [`QrCode::new`]. Never contains the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload of a QR code has {bytes} bytes; it must have 1 to 49152")]
pub struct QrCodeError {
    bytes: usize,
}

impl QrCode {
    /// How long the payload is kept.
    pub const LIFE: Duration = Duration::from_secs(60);
    /// Longest payload, in bytes: a picture fits into an event.
    pub const MAX_LEN: usize = 48 << 10;

    /// Makes a code with this payload. In a tokio runtime a task removes the payload in time; elsewhere
    /// the next call of [`reveal`](Self::reveal), or the drop, does.
    ///
    /// # Errors
    ///
    /// If it is empty or longer than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new(payload: impl Into<String>) -> Result<Self, QrCodeError> {
        let payload = payload.into();
        let is_picture = Self::is_png_url(&payload);
        let payload = Payload::new(payload.into_bytes());
        let bytes = payload.len();
        if !(1..=Self::MAX_LEN).contains(&bytes) {
            return Err(QrCodeError { bytes });
        }
        Ok(Self::held(payload, Instant::now() + Self::LIFE, is_picture))
    }

    fn held(payload: Payload, until: Instant, is_picture: bool) -> Self {
        let held = Arc::new(Held {
            payload: Mutex::new(payload),
            until,
            is_picture,
            is_expired: false,
        });
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(forget_at(until, Arc::downgrade(&held)));
        }
        Self(held)
    }

    /// Keeps a text that may contain this code for as long as the payload: not at all if there is none.
    #[cfg(feature = "events")]
    pub(crate) fn keep_beside(&self, text: String) -> Self {
        let payload = Payload::new(text.into_bytes());
        match self.reveal() {
            Some(_) => Self::held(payload, self.0.until, false),
            None => Self::without_payload(false),
        }
    }

    /// Returns the same code, whose payload is kept for this time at most.
    #[cfg(feature = "server")]
    pub(crate) fn kept_for(&self, time: Duration) -> Self {
        let until = self.0.until.min(Instant::now() + time);
        match self.reveal() {
            Some(payload) => Self::held(payload.into_bytes().into(), until, self.is_picture()),
            None => self.clone(),
        }
    }

    /// Makes a code without its payload: the page shows a code, but its sender does not know the
    /// payload, or the event was passed on too late.
    #[must_use]
    pub fn unknown() -> Self {
        Self::without_payload(false)
    }

    /// Makes the code of a page whose QR code has expired, without a payload: it cannot be scanned, and
    /// the page shows a new one only after a click or a reload. In JSON it is `"expired": true`.
    #[must_use]
    pub fn expired() -> Self {
        Self::without_payload(true)
    }

    /// Returns whether a payload is a PNG as a data URL. The check is strict, so that it can be put into
    /// markup.
    pub(crate) fn is_png_url(payload: &str) -> bool {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let rest = payload.strip_prefix(PICTURE);
        rest.is_some_and(|rest| rest.bytes().all(is_base64))
    }

    fn without_payload(is_expired: bool) -> Self {
        Self(Arc::new(Held {
            payload: Mutex::new(Payload::default()),
            until: Instant::now(),
            is_picture: false,
            is_expired,
        }))
    }

    /// Returns whether the page itself says that the code has expired; see [`expired`](Self::expired).
    /// Of a code that was valid when it was sent it stays false.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.0.is_expired
    }

    /// Returns whether the payload is a picture of the code and not its text: a PNG as a data URL
    /// (`data:image/png;base64,...`), which goes into the `src` of an `<img>` as it is.
    #[must_use]
    pub fn is_picture(&self) -> bool {
        self.0.is_picture
    }

    /// Returns how long the payload is kept from now on; zero if there is none. WhatsApp Web renews a
    /// code 20 to 60 seconds after it was first shown, so it is hardly valid for longer.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.0.until.saturating_duration_since(Instant::now())
    }

    /// Returns whether both are the same code at this moment: equal payloads, or both without one, and
    /// both expired or neither.
    #[must_use]
    pub fn is_same_code(&self, other: &Self) -> bool {
        self.is_expired() == other.is_expired() && self.reveal() == other.reveal()
    }

    /// Returns the payload; `None` if there is none or its 60 seconds are over. Keep it as safe as a
    /// password.
    #[must_use]
    pub fn reveal(&self) -> Option<String> {
        if Instant::now() >= self.0.until {
            self.0.forget();
        }
        let payload = self.0.lock();
        let text = String::from_utf8(payload.to_vec()).ok()?;
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
        *self.lock() = Payload::default();
    }
}

impl fmt::Debug for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = match (self.is_expired(), self.0.lock().is_empty()) {
            (true, _) => "expired",
            (false, true) => "forgotten",
            (false, false) => "held",
        };
        write!(f, "QrCode({payload})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_forgotten_after_a_minute_even_without_a_read() {
        let qr = QrCode::new("2@secret").unwrap();
        assert_eq!(format!("{qr:?}"), "QrCode(held)");
        tokio::time::sleep(QrCode::LIFE + Duration::from_millis(1)).await;
        assert_eq!(format!("{qr:?}"), "QrCode(forgotten)");
        assert_eq!(qr.time_left(), Duration::ZERO);
    }

    #[test]
    fn its_size_is_bounded_and_an_error_does_not_repeat_it() {
        let longest = "q".repeat(QrCode::MAX_LEN);
        assert!(QrCode::new(longest.clone()).is_ok());
        for wrong in [String::new(), longest + "q"] {
            let error = QrCode::new(wrong).unwrap_err().to_string();
            assert!(!error.contains("qq"), "{error}");
        }
    }

    #[test]
    fn only_a_png_as_a_data_url_is_a_picture() {
        let is_picture = |payload: &str| QrCode::new(payload).unwrap().is_picture();
        assert!(is_picture("data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="));
        for text in [
            "2@AbC,def==",
            "data:image/png;base64,R0lGODdh",
            "data:image/svg+xml;base64,iVBORw0KGgo",
            "data:image/png;base64,iVBORw0KGgo\"><script>",
        ] {
            assert!(!is_picture(text), "{text}");
        }
        assert!(!QrCode::unknown().is_picture());
    }

    #[tokio::test(start_paused = true)]
    async fn codes_are_the_same_by_payload_and_expiry() {
        let (one, same) = (QrCode::new("2@a").unwrap(), QrCode::new("2@a").unwrap());
        let other = QrCode::new("2@b").unwrap();
        assert!(one.is_same_code(&same) && !one.is_same_code(&other));
        assert!(!one.is_same_code(&QrCode::unknown()));
        assert!(QrCode::unknown().is_same_code(&QrCode::unknown()));
        assert!(!QrCode::unknown().is_same_code(&QrCode::expired()));
        tokio::time::advance(QrCode::LIFE).await;
        assert!(!one.is_same_code(&QrCode::new("2@a").unwrap()));
    }
}
