//! Events of a session, [`SessionEvent`], and their receivers, [`EventSink`].
//!
//! In JSON an event is `{"event": NAME, "data": {...}}`:
//!
//! | event | in `data`, beside `workspace_id` and `session_id` |
//! |---|---|
//! | `qr_code_generated` | `qr`, or `qr_code` for a PNG as a data URL, as the Node service sends it; `expired` (`true`) if the page says that its code has expired |
//! | `session_authenticated` | |
//! | `session_ready` | `phone_number`, `status` (`connected`), `lid`, `assurance` |
//! | `session_error` | `error` (`phone_extraction_failed`), `message`, `code` |
//! | `session_reconnected` | `status` (`reconnected`) |
//! | `session_disconnected` | `reason`, unless it is empty |
//!
//! Beside `event` stand `id`, `occurred_at` (RFC 3339), `seq` (rising per session) and `version` (1).
//! Foreign events lack them. Foreign fields and events are kept and passed on. A QR code is dropped alone, after
//! 60 seconds. Only a foreign field that may be a copy of it goes with it: one that contains the code, a text
//! of the form `2@...`, a picture, a word of more than 72 bytes, or more than 512 bytes.
//!
//! | sink | delivers to | feature |
//! |---|---|---|
//! | [`channel::ChannelSink`] | a task of the same process | `events` |
//! | [`fan_out::FanOut`] | several sinks: the first one decides, the others get what it accepted | `events` |
//! | `webhook::WebhookSink` | an HTTP endpoint, by signed webhooks | `webhook` |
//! | `store::outbox::Outbox` | a queue in an SQL database, from which workers deliver to any sink | `sqlite`, `postgres` or `mysql` |
//! | [`StoreSink`](crate::store::StoreSink) | a store, inline: the row is written when `send` returns | `events` |

pub mod channel;
mod copies;
pub mod fan_out;
mod ids;
mod json;
mod kind;
#[cfg(any(feature = "webhook", feature = "server"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "webhook", feature = "server"))))]
pub mod signature;
mod sink;
#[cfg(test)]
mod tests;
#[cfg(feature = "webhook")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhook")))]
pub mod webhook;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

pub use self::ids::{EventId, SessionId, SessionKey, WorkspaceId};
pub use self::json::EventError;
pub(crate) use self::json::MAX_EVENT;
pub use self::kind::{EventKind, Failed, Foreign, Ready};
pub use self::sink::{Decision, EventSink, SinkError};
pub(crate) use self::sink::{REFUSALS, in_time};
use crate::failure::MAX_TEXT;
pub use crate::link::QrCode;
use crate::text::clean;

/// An event of one session.
///
/// Made by one of six constructors, or read from JSON by [`from_json`](Self::from_json). A
/// `session_ready` always carries a valid number. `Debug` and `Display` mask numbers and JIDs and never
/// show a QR code. Events are compared by their [`id`](Self::id): a QR code is dropped with time, so two
/// equal events would not stay equal.
///
/// ```
/// use whatsapp_phone::PhoneNumber;
/// use whatsapp_phone::event::{EventKind, SessionEvent, SessionKey};
///
/// let session = SessionKey::new(7, "session-1")?;
/// let phone: PhoneNumber = "628110000041".parse()?;
/// let event = SessionEvent::session_ready(session, phone).with_seq(3);
///
/// let json = event.to_json();
/// let same = SessionEvent::from_json(json.as_bytes())?;
/// assert_eq!(same.id(), event.id());
/// assert_eq!(same.to_string(), "session_ready of session-1 of workspace 7");
/// assert!(matches!(same.kind(), EventKind::SessionReady(ready) if ready.phone().reveal() == "628110000041"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SessionEvent {
    id: Option<EventId>,
    /// The id that an outbox gave to an event without an id. It is not written.
    outbox_id: Option<EventId>,
    occurred_at: Option<SystemTime>,
    seq: Option<u64>,
    version: Option<u64>,
    session: Option<SessionKey>,
    kind: EventKind,
    /// Foreign fields, beside `event` and in `data`.
    beside: Map<String, Value>,
    within: Map<String, Value>,
    /// The foreign fields of a `qr_code_generated` that may contain its code, as JSON.
    copies: Option<QrCode>,
    /// Whether the payload of a QR code is in `qr_code`, and not in `qr`.
    is_in_qr_code: bool,
}

impl SessionEvent {
    /// The version of the JSON that is written.
    pub const VERSION: u64 = 1;
    /// Longest JSON of an event, in bytes.
    pub const MAX_LEN: usize = MAX_EVENT;
    /// The greatest `seq`: what a double, and so JavaScript, counts exactly.
    pub const MAX_SEQ: u64 = (1 << 53) - 1;

    fn new(session: SessionKey, kind: EventKind) -> Self {
        Self {
            id: Some(EventId::generate()),
            outbox_id: None,
            occurred_at: Some(now()),
            seq: None,
            version: Some(Self::VERSION),
            session: Some(session),
            kind,
            beside: Map::new(),
            within: Map::new(),
            copies: None,
            is_in_qr_code: false,
        }
    }

    /// Makes a `qr_code_generated`: the session waits to be linked by this code, or the page's code
    /// has [expired](QrCode::expired).
    #[must_use]
    pub fn qr_code_generated(session: SessionKey, qr: QrCode) -> Self {
        let is_in_qr_code = qr.is_picture();
        Self {
            is_in_qr_code,
            ..Self::new(session, EventKind::QrCodeGenerated(qr))
        }
    }

    /// Makes a `session_authenticated`: the phone has accepted the code; the number is not known yet.
    #[must_use]
    pub fn session_authenticated(session: SessionKey) -> Self {
        Self::new(session, EventKind::SessionAuthenticated)
    }

    /// Makes a `session_ready`: the session is linked to this number. From a
    /// [`PhoneNumber`](crate::PhoneNumber), or from an [`Extraction`](crate::Extraction) with LID and
    /// assurance.
    #[must_use]
    pub fn session_ready(session: SessionKey, ready: impl Into<Ready>) -> Self {
        Self::new(session, EventKind::SessionReady(ready.into()))
    }

    /// Makes a `session_error`: no number was found, or it was refused. From an
    /// [`ExtractError`](crate::ExtractError), a [`StoreError`](crate::store::StoreError), or a
    /// [`Failed`].
    #[must_use]
    pub fn session_error(session: SessionKey, failed: impl Into<Failed>) -> Self {
        Self::new(session, EventKind::SessionError(failed.into()))
    }

    /// Makes a `session_reconnected`: the session is connected again after a disconnect. A store
    /// connects a disconnected session with the number of its row; any other session only counts as
    /// authenticated, since the number of its row may be a former account's.
    #[must_use]
    pub fn session_reconnected(session: SessionKey) -> Self {
        let mut event = Self::new(session, EventKind::SessionReconnected);
        event.within.insert("status".into(), "reconnected".into());
        event
    }

    /// Makes a `session_disconnected`: the session is no longer linked, for this reason. The reason is
    /// cleaned: numbers in it are masked.
    #[must_use]
    pub fn session_disconnected(session: SessionKey, reason: impl AsRef<str>) -> Self {
        let reason = clean(reason.as_ref(), MAX_TEXT);
        Self::new(session, EventKind::SessionDisconnected { reason })
    }

    /// Sets the place in the order of this session's events; see [`Sequence`]. At most
    /// [`MAX_SEQ`](Self::MAX_SEQ).
    #[must_use]
    pub fn with_seq(mut self, seq: u64) -> Self {
        self.seq = Some(seq.min(Self::MAX_SEQ));
        self
    }

    /// Sets the id, for instance from the `webhook-id` of an event that has none of its own.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// Returns the id by which receivers recognise a repetition: [`id`](Self::id), or the one of an outbox.
    pub(crate) fn delivery_id(&self) -> Option<&EventId> {
        self.id.as_ref().or(self.outbox_id.as_ref())
    }

    /// Sets the id of an outbox, which keeps the event's JSON as it is.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(crate) fn with_outbox_id(mut self, id: Option<EventId>) -> Self {
        self.outbox_id = id;
        self
    }

    /// Returns the event as it may be kept on a disk: without the payload of its QR code, and without fields that
    /// may be a copy of it.
    #[cfg(any(
        feature = "server",
        feature = "sqlite",
        feature = "postgres",
        feature = "mysql"
    ))]
    pub(crate) fn without_qr_payload(&self) -> Self {
        let mut event = self.clone();
        if let EventKind::QrCodeGenerated(qr) = &mut event.kind {
            if !qr.is_expired() {
                *qr = QrCode::unknown();
            }
            event.copies = None;
        }
        event
    }

    /// Returns the kind of the event, with its data.
    #[must_use]
    pub fn kind(&self) -> &EventKind {
        &self.kind
    }

    /// Returns the name in JSON: `session_ready`, ...
    #[must_use]
    pub fn name(&self) -> &str {
        self.kind.as_str()
    }

    /// Returns the session. `None` only for a foreign event that names none.
    #[must_use]
    pub fn session(&self) -> Option<&SessionKey> {
        self.session.as_ref()
    }

    /// Returns the id. `None`: its sender set none, so a repetition is recognised by its effect alone.
    #[must_use]
    pub fn id(&self) -> Option<&EventId> {
        self.id.as_ref()
    }

    /// Returns when it happened, by its sender's clock. No decision about a session depends on it.
    #[must_use]
    pub fn occurred_at(&self) -> Option<SystemTime> {
        self.occurred_at
    }

    /// Returns the place in the order of this session's events. `None`: the order is that of arrival.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }
}

/// Returns the time in whole milliseconds, which every reader of RFC 3339 takes.
fn now() -> SystemTime {
    let now = SystemTime::now();
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let more = Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000));
    now.checked_sub(more).unwrap_or(now)
}

impl fmt::Display for SessionEvent {
    /// Writes the name and the session: `session_ready of session-1 of workspace 7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.session {
            Some(session) => write!(f, "{} of {session}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Debug for SessionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEvent")
            .field("session", &self.session)
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// Numbers the events of one session, each greater than the one before. Cheap to clone; clones share
/// their count.
///
/// A process that resumes a session continues after
/// [`SessionRow::last_seq`](crate::store::SessionRow::last_seq).
///
/// ```
/// use whatsapp_phone::event::Sequence;
///
/// let sequence = Sequence::after(None);
/// assert_eq!((sequence.next(), sequence.clone().next(), sequence.next()), (1, 2, 3));
/// assert_eq!(Sequence::after(Some(41)).next(), 42);
/// ```
#[derive(Clone, Debug)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// Continues after the last number that was used.
    #[must_use]
    pub fn after(last: Option<u64>) -> Self {
        Self(Arc::new(AtomicU64::new(last.unwrap_or(0))))
    }

    /// Goes on after this number, unless the count is there already.
    pub(crate) fn raise(&self, last: u64) {
        self.0.fetch_max(last, Ordering::Relaxed);
    }

    /// Returns the last number that was used.
    pub(crate) fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the next number.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // it does not end, and takes `&self`
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
