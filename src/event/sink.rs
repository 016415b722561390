//! [`EventSink`]: accepts events.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::time::timeout;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::{EventKind, SessionEvent, SessionKey};
use crate::codes;
use crate::failure::{MAX_TEXT, ProtocolFailure, disclose_code};
use crate::span::fail;
use crate::text::{clean, panic_message};

/// The codes of a sink that refuses an event; after any other error it may have accepted the event.
pub(crate) const REFUSALS: [&str; 5] = [
    codes::NUMBER_ALREADY_CONNECTED,
    codes::REBIND_REFUSED,
    codes::UNKNOWN_SESSION,
    codes::INVALID_EVENT,
    codes::WEBHOOK_REFUSED,
];

/// Accepts events and delivers them.
///
/// # Contract
///
/// - `Ok` means accepted: the sink is responsible for the event from then on. Otherwise it returns an error.
/// - It accepts events of every kind, foreign ones too, and does not change them.
/// - Events of one session of which each is sent after the one before was accepted arrive in that order.
///   Several may be sent at once, and then arrive in any order.
/// - The same event may be sent again, with the same id, after an error or a crash.
/// - Every `send` ends: its own calls have deadlines. It is cancel-safe: if the future is dropped, the
///   event has arrived or has not, and the sink is ready for the next one.
/// - It does not retry unless that is its purpose. An error says whether a retry may help.
///
/// `testkit::contract::sink` tests any sink against these rules (feature `testkit`).
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
    /// Returns a short name for logs and errors: `channel`, `webhook`, ...
    fn name(&self) -> &str;

    /// Sends one event.
    ///
    /// # Errors
    ///
    /// If the event was not accepted; [`SinkError::is_transient`] says whether it may be later.
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError>;

    /// Sends one event, and returns whether other sinks should get it too.
    /// [`FanOut`](super::fan_out::FanOut) calls it on its deciding sink.
    ///
    /// Default: [`send`](Self::send); every accepted event is passed on.
    ///
    /// # Errors
    ///
    /// As `send`.
    async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
        self.send(event).await.map(|()| Decision::PassOn)
    }

    /// Returns whether events of this session wait in the sink, so that a later one has to go behind them.
    ///
    /// Default: false; the sink passes events on at once. A sink that wraps another one has to forward the call.
    ///
    /// # Errors
    ///
    /// If the sink cannot find out.
    async fn holds(&self, _session: &SessionKey) -> Result<bool, SinkError> {
        Ok(false)
    }
}

/// Whether other sinks should get an event that a deciding sink has accepted.
///
/// The enum is exhaustive, since there is no third answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// They should: it is new, or a repetition, which they recognise by its id.
    PassOn,
    /// They should not: it is outdated.
    Withhold,
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

            async fn decide(&self, event: &SessionEvent) -> Result<Decision, SinkError> {
                (**self).decide(event).await
            }

            async fn holds(&self, session: &SessionKey) -> Result<bool, SinkError> {
                (**self).holds(session).await
            }
        }
    )*};
}

forward!(Arc<S>, Box<S>, &S);

/// The reason for which an event was not accepted. Cheap to clone; its text is cleaned, numbers in it are
/// masked.
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

#[derive(Clone, Debug)]
struct Inner {
    code: Cow<'static, str>,
    message: String,
    is_transient: bool,
    retry_after: Option<Duration>,
    source: Option<ProtocolFailure>,
}

impl SinkError {
    /// Makes an error of an event that may be accepted later.
    #[must_use]
    pub fn transient(code: impl Into<Cow<'static, str>>, message: impl AsRef<str>) -> Self {
        Self::new(code.into(), message.as_ref(), true)
    }

    /// Makes an error of an event that will not be accepted, however often it is sent.
    #[must_use]
    pub fn permanent(code: impl Into<Cow<'static, str>>, message: impl AsRef<str>) -> Self {
        Self::new(code.into(), message.as_ref(), false)
    }

    fn new(code: Cow<'static, str>, message: &str, is_transient: bool) -> Self {
        Self(Arc::new(Inner {
            code,
            message: clean(message, MAX_TEXT),
            is_transient,
            retry_after: None,
            source: None,
        }))
    }

    /// Adds the cause, for instance by
    /// [`ProtocolFailure::from_error`](crate::failure::ProtocolFailure::from_error).
    #[must_use]
    pub fn caused_by(self, cause: ProtocolFailure) -> Self {
        self.with(|inner| inner.source = Some(cause))
    }

    /// Adds how long the receiver asks to wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.with(|inner| inner.retry_after = Some(wait))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Makes the error known to a classifier that prints it, or prints what wraps it.
    pub(crate) fn disclose(&self) {
        disclose_code(&self.0.code, self.0.is_transient);
    }

    /// Returns the stable code, for instance `number_already_connected` from a store.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Returns whether the same event may be accepted later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.is_transient
    }

    /// Returns how long the receiver asks to wait before the next attempt, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disclose();
        f.write_str(&self.0.message)
    }
}

impl Error for SinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|cause| cause as _)
    }
}

/// Calls `send` or `decide` of this sink for an event and waits for the result, in a span of its own. A panic, also
/// one before the future is returned, or no answer in time, is a transient error.
pub(crate) async fn in_time<T, F>(
    sink: &dyn EventSink,
    event: &SessionEvent,
    limit: Duration,
    call: impl FnOnce() -> F,
) -> Result<T, SinkError>
where
    F: Future<Output = Result<T, SinkError>>,
{
    let name = sink.name();
    let kind = match event.kind() {
        // Its name is the sender's text.
        EventKind::Foreign(_) => "foreign",
        _ => event.name(),
    };
    let span = tracing::info_span!(
        "deliver",
        otel.kind = "producer",
        otel.status_code = Empty,
        "error.type" = Empty,
        messaging.system = "whatsapp_phone",
        messaging.operation.name = "deliver",
        "messaging.operation.type" = "send",
        messaging.destination.name = name,
        messaging.message.id = event.delivery_id().map(tracing::field::display),
        whatsapp_phone.event = kind,
    );
    let call = async { call().await }.instrument(span.clone());
    let result = match timeout(limit, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            // Drops the payload safely. The panic hook has printed the message.
            panic_message(panic);
            let text = format!("the sink `{name}` panicked; this is a bug in the sink");
            Err(SinkError::transient(codes::SINK_PANICKED, text))
        }
        Err(_) => {
            let text =
                format!("the sink `{name}` did not answer in {limit:?}; check what it waits for");
            Err(SinkError::transient(codes::SINK_TIMEOUT, text))
        }
    };
    if let Err(error) = &result {
        fail(&span, error.code());
    }
    result
}

const _: fn(&dyn EventSink) = |sink| {
    fn is_send_and_sync<T: Send + Sync + ?Sized>(_: &T) {}
    is_send_and_sync(sink);
};
