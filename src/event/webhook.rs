//! Events to an HTTP endpoint, by signed webhooks: [`WebhookSink`].
//!
//! Each event is one POST of its JSON. [Standard Webhooks](https://www.standardwebhooks.com) gives the
//! headers, so any library for them verifies it:
//!
//! | header | value |
//! |---|---|
//! | `webhook-id` | the event's id, the same for every attempt; a receiver recognises a repetition by it |
//! | `webhook-timestamp` | the time of the attempt, in seconds since 1970 |
//! | `webhook-signature` | `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, for each key |
//!
//! An event without an id gets a new one for each `send`; if an outbox delivers it, the same one for all. The body
//! differs between attempts only by a QR code that has been forgotten in between.
//!
//! | answer | meaning | code |
//! |---|---|---|
//! | 2xx | accepted | |
//! | 400, 405, 413, 414, 415, 422, 431, 501 | the event is refused: permanent | `webhook_refused` |
//! | 404, 409, 422 with the code of a store's refusal in `application/problem+json`, as `server::WebhookReceiver` answers | permanent | that code, for example `rebind_refused` |
//! | 410 | permanent, also for all further events, which this sink does not send | `webhook_gone` |
//! | 3xx | permanent: no redirect is followed | `webhook_redirected` |
//! | any other status, also 401, 403 and 404, which a receiver answers while it is being set up | transient | `webhook_failed` |
//! | none in time | transient: the receiver may have accepted the event | `webhook_timeout` |
//! | no connection, or one that ended before the answer | transient: as before | `webhook_unreachable` |
//! | none, because the host has only addresses that are not public | permanent | `webhook_private_address` |
//! | none, because `Retry-After` asked for more time than the backoff leaves | transient | `webhook_paused` |
//!
//! A transient failure is repeated by the sink's [`Backoff`], then `send` fails. `Retry-After`, in seconds or as
//! a date, stops all attempts of the sink for that time, at most an hour. The body of an answer is read only
//! for the code of a refusal, at most 8 KiB.
//! Variables for a proxy are ignored: the sink checks the address that it connects to.

mod address;
mod answer;
mod builder;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

use std::ffi::OsString;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use url::Url;

use self::answer::GONE;
pub use self::builder::{WebhookConfigError, WebhookSinkBuilder};
use self::transport::Transport;
use super::signature::SigningKeys;
use super::{EventId, EventSink, SessionEvent, SinkError};
use crate::codes;
use crate::retry::Backoff;
use crate::span::fail;

const PRIVATE_ADDRESS: &str = "is not at a public address; if no customer can set the URL, allow it by `allow_private_addresses`";

/// Posts each event to a URL, signed. See the [module](self) for headers, answers and error codes.
///
/// Connections are kept for further events. If the order matters, await each `send` before the next one.
/// `Debug` shows the URL without user, password, path and query.
///
/// ```
/// use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey};
/// use whatsapp_phone::event::webhook::WebhookSink;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use axum::{http::StatusCode, routing::post};
/// # let app = axum::Router::new().route("/whatsapp", post(|| async { StatusCode::NO_CONTENT }));
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let url = format!("http://{}/whatsapp", listener.local_addr()?);
/// # tokio::spawn(async { axum::serve(listener, app).await });
/// let keys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let sink = WebhookSink::builder(url, keys)
///     .allow_http() // for a receiver on the same machine
///     .allow_private_addresses()
///     .build()?;
/// let event = SessionEvent::session_authenticated(SessionKey::new(7, "session-1")?);
/// sink.send(&event).await?;
/// # Ok(())
/// # }
/// ```
pub struct WebhookSink {
    transport: Box<dyn Transport>,
    /// Scheme, host and port of the URL.
    at: String,
    keys: Option<SigningKeys>,
    backoff: Backoff,
    attempt_timeout: Duration,
    /// No attempt starts before this time, by `Retry-After`.
    paused_until: Mutex<Option<Instant>>,
    is_gone: AtomicBool,
}

impl WebhookSink {
    /// Returns a builder. `url`: an https URL with a public host, unless options allow others. It may have
    /// a user and a password.
    pub fn builder(url: impl Into<String>, keys: SigningKeys) -> WebhookSinkBuilder {
        WebhookSinkBuilder::new(url.into(), Some(keys))
    }

    /// Returns a builder of a sink without signatures, as the Node service sends events: its receiver cannot
    /// verify their sender.
    pub fn unsigned(url: impl Into<String>) -> WebhookSinkBuilder {
        WebhookSinkBuilder::new(url.into(), None)
    }

    /// Reads the URL and the secrets from the environment.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `WHATSAPP_PHONE_WEBHOOK_URL` | the URL |
    /// | `WHATSAPP_PHONE_WEBHOOK_SECRET` | a secret, or several, separated by spaces; see [`SigningKeys`] |
    ///
    /// # Errors
    ///
    /// If one of them is not set or empty, or the secret is invalid.
    pub fn from_env() -> Result<WebhookSinkBuilder, WebhookConfigError> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// Reads the same as [`from_env`](Self::from_env) from any map: `lookup` is called for each name.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_vars<V: Into<OsString>>(
        lookup: impl Fn(&str) -> Option<V>,
    ) -> Result<WebhookSinkBuilder, WebhookConfigError> {
        WebhookSinkBuilder::from_vars(lookup)
    }

    fn over(
        transport: impl Transport + 'static,
        at: String,
        keys: Option<SigningKeys>,
        backoff: Backoff,
        attempt_timeout: Duration,
    ) -> Self {
        Self {
            transport: Box::new(transport),
            at,
            keys,
            backoff,
            attempt_timeout,
            paused_until: Mutex::new(None),
            is_gone: AtomicBool::new(false),
        }
    }

    /// Makes the span of one attempt.
    fn span(&self, resends: u32) -> Span {
        let url = Url::parse(&self.at).ok();
        let url = url.as_ref();
        tracing::info_span!(
            "POST",
            otel.kind = "client",
            otel.status_code = Empty,
            "error.type" = Empty,
            http.request.method = "POST",
            http.request.resend_count = (resends > 0).then_some(resends),
            http.response.status_code = Empty,
            server.address = url.and_then(Url::host_str),
            server.port = url.and_then(Url::port_or_known_default),
        )
    }

    async fn attempt(&self, id: &EventId, event: &SessionEvent) -> Result<(), SinkError> {
        let now = self.transport.now();
        let body = event.to_json();
        let keys = self.keys.as_ref();
        let headers = keys.map(|keys| keys.sign(id, now, body.as_bytes()));
        let posted = timeout(self.attempt_timeout, self.transport.post(headers, body)).await;
        let Ok(answer) = posted else {
            let text = format!(
                "the webhook receiver at {} did not answer in {:?}; it may have accepted the event",
                self.at, self.attempt_timeout
            );
            return Err(SinkError::transient(codes::WEBHOOK_TIMEOUT, text));
        };
        let answer = answer?;
        Span::current().record("http.response.status_code", answer.status);
        let result = answer.result(&self.at);
        if let Err(error) = &result {
            if error.code() == GONE {
                self.is_gone.store(true, Ordering::Relaxed);
            }
            if let Some(wait) = answer.retry_after(self.transport.now()) {
                let until = Some(Instant::now() + wait);
                let mut paused_until = self.pause();
                *paused_until = until.max(*paused_until);
            }
        }
        result
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scheme, host and port: user, password, path and query may be secret.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[async_trait]
impl EventSink for WebhookSink {
    fn name(&self) -> &str {
        "webhook"
    }

    /// Fails with the codes of the [module](self).
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let id = event
            .delivery_id()
            .cloned()
            .unwrap_or_else(EventId::generate);
        let start = Instant::now();
        let mut delays = self.backoff.delays();
        let mut delay = delays.next().unwrap_or_default();
        let (mut last, mut resends) = (None, 0);
        loop {
            if self.is_gone.load(Ordering::Relaxed) {
                let text = format!(
                    "the webhook receiver at {} has answered 410 before",
                    self.at
                );
                return Err(SinkError::permanent(GONE, text));
            }
            let next = Instant::now() + delay;
            let next = self.pause().map_or(next, |until| until.max(next));
            if self
                .backoff
                .deadline()
                .is_some_and(|deadline| next - start > deadline)
            {
                let text = format!("the webhook receiver at {} asked to wait", self.at);
                let error =
                    last.unwrap_or_else(|| SinkError::transient(codes::WEBHOOK_PAUSED, text));
                return Err(error.with_retry_after(next - Instant::now()));
            }
            sleep_until(next).await;
            // Meanwhile another delivery may have had an answer that concerns this one too.
            let is_paused = self.pause().is_some_and(|until| until > Instant::now());
            if is_paused || self.is_gone.load(Ordering::Relaxed) {
                delay = Duration::ZERO;
                continue;
            }
            let span = self.span(resends);
            let Err(error) = self.attempt(&id, event).instrument(span.clone()).await else {
                return Ok(());
            };
            fail(&span, error.code());
            resends += 1;
            tracing::debug!(parent: &span, code = error.code(), %error, "an attempt of a webhook failed");
            match delays.next_within(start.elapsed()) {
                Some(next) if error.is_transient() => delay = next,
                _ => return Err(error),
            }
            last = Some(error);
        }
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink")
            .field("at", &self.at)
            .field("keys", &self.keys)
            .field("backoff", &self.backoff)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}
