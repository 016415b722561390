//! [`EventSink`]: where events go.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::SessionEvent;
use crate::failure::{MAX_TEXT, ProtocolFailure, clean};

/// Something that takes events and carries them on.
///
/// # Contract
///
/// - `Ok` means accepted: the sink answers for the event from then on. What it cannot answer for it
///   refuses with an error.
/// - It takes events of every kind, those of others too, and changes nothing in them.
/// - Events that are sent one after another arrive in that order. Several may be sent at once.
/// - The same event may be sent again, with the same id, after an error or a crash.
/// - Every `send` ends: what it calls has a deadline of its own. It is cancel-safe: dropped, the
///   event has arrived or has not, and the sink is ready for the next.
/// - It does not send again on its own unless that is what it is for. An error says whether sending
///   again may help.
///
/// `testkit::contract::sink` holds any sink to these rules (feature `testkit`).
///
/// ```
/// use whatsapp_phone::event::{EventSink, SessionEvent, SinkError};
///
/// struct Print;
///
/// #[async_trait::async_trait]
/// impl EventSink for Print {
///     fn name(&self) -> &str {
///         "print"
///     }
///
///     async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
///         println!("{event:?}"); // masked
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait EventSink: Send + Sync {
    /// A short name for logs and errors: `channel`, `webhook`, ...
    fn name(&self) -> &str;

    /// Hands over one event.
    ///
    /// # Errors
    ///
    /// When the event was not accepted; [`SinkError::is_transient`] says whether it may be later.
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError>;
}

macro_rules! forward {
    ($($owner:ty),*) => {$(
        #[async_trait]
        impl<S: EventSink + ?Sized> EventSink for $owner {
            fn name(&self) -> &str {
                (**self).name()
            }

            async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
                (**self).send(event).await
            }
        }
    )*};
}

forward!(Arc<S>, Box<S>, &S);

/// Why an event was not accepted. Cheap to clone; its text is cleaned, numbers in it are masked.
///
/// ```
/// use whatsapp_phone::event::SinkError;
///
/// let error = SinkError::transient("queue_full", "the queue is full; try again");
/// assert!(error.is_transient());
/// assert_eq!(error.code(), "queue_full");
/// ```
#[derive(Clone, Debug)]
pub struct SinkError(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    code: Cow<'static, str>,
    message: String,
    is_transient: bool,
    source: Option<ProtocolFailure>,
}

impl SinkError {
    /// The event may be accepted later: it is worth sending again.
    #[must_use]
    pub fn transient(code: impl Into<Cow<'static, str>>, message: impl AsRef<str>) -> Self {
        Self::new(code.into(), message.as_ref(), true)
    }

    /// The event will not be accepted however often it is sent.
    #[must_use]
    pub fn permanent(code: impl Into<Cow<'static, str>>, message: impl AsRef<str>) -> Self {
        Self::new(code.into(), message.as_ref(), false)
    }

    fn new(code: Cow<'static, str>, message: &str, is_transient: bool) -> Self {
        Self(Arc::new(Inner {
            code,
            message: clean(message, MAX_TEXT),
            is_transient,
            source: None,
        }))
    }

    /// Adds what caused it, for instance by
    /// [`ProtocolFailure::from_error`](crate::failure::ProtocolFailure::from_error).
    #[must_use]
    pub fn caused_by(self, cause: ProtocolFailure) -> Self {
        Self(Arc::new(Inner {
            code: self.0.code.clone(),
            message: self.0.message.clone(),
            is_transient: self.0.is_transient,
            source: Some(cause),
        }))
    }

    /// The stable code, for instance `number_already_connected` from a store.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Whether the same event may be accepted later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.is_transient
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for SinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|cause| cause as _)
    }
}

const _: fn(&dyn EventSink) = |sink| {
    fn is_send_and_sync<T: Send + Sync + ?Sized>(_: &T) {}
    is_send_and_sync(sink);
};
