//! [`WebhookReceiver`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::post;
use tokio::time::timeout;

use super::limits::Limits;
use super::problem::{
    INVALID_REQUEST, INVALID_SIGNATURE, METHOD_NOT_ALLOWED, NOT_FOUND, NOT_JSON, Problem,
    SLOW_REQUEST, TOO_LARGE,
};
use super::qr::QrCodes;
use crate::codes;
use crate::event::signature::{SignatureHeaders, SigningKeys};
use crate::event::{EventId, EventKind, EventSink, MAX_EVENT, SessionEvent, SinkError, in_time};

/// How long a body may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the sink may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Verifies signed webhooks and sends their events to a sink. A request is answered when the sink has accepted
/// or refused the event: with a [`StoreSink`](crate::store::StoreSink), nothing is answered 2xx that is not in
/// the store. See the [module](super) for the answers.
///
/// [`Api::receiver`](super::Api::receiver) mounts it beside the other routes. On its own:
///
/// ```
/// use whatsapp_phone::axum::Router;
/// use whatsapp_phone::event::{SessionKey, signature::SigningKeys};
/// use whatsapp_phone::server::WebhookReceiver;
/// use whatsapp_phone::store::{SessionStore, StoreSink, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// store.register(&SessionKey::new(7, "session-1")?).await?;
///
/// let keys: SigningKeys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let receiver = WebhookReceiver::new(keys, StoreSink::new(store));
/// let app: Router = Router::new().nest("/webhooks/whatsapp", receiver.into_router());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # if false {
/// whatsapp_phone::server::serve(listener, app, 1_024, std::future::pending()).await;
/// # }
/// # Ok(())
/// # }
/// ```
#[must_use = "a receiver does nothing until `into_router`"]
pub struct WebhookReceiver {
    keys: SigningKeys,
    sink: Box<dyn EventSink>,
    queue: Option<Box<dyn EventSink>>,
    limits: Limits,
    qr_codes: QrCodes,
}

impl WebhookReceiver {
    /// Makes a receiver. A signature by any of the keys is accepted.
    pub fn new(keys: SigningKeys, sink: impl EventSink + 'static) -> Self {
        Self {
            keys,
            sink: Box::new(sink),
            queue: None,
            limits: Limits::default(),
            qr_codes: QrCodes::default(),
        }
    }

    /// Sends every event but `session_ready` and `session_error` to this sink instead, which delivers them later.
    /// Its `Ok` must mean that the event is durable. It gets no payloads of QR codes, which must not be written to
    /// a disk: they are in [`qr_codes`](Self::qr_codes). Default: every event is processed inline.
    ///
    /// An event that is processed inline overtakes the events of its session that wait. A store ignores an overtaken
    /// event because of its smaller `seq`. A `session_ready` or `session_error` without `seq` overtakes none: if
    /// the sink [holds](EventSink::holds) events of its session, it goes behind them and is answered `queued`. If the store
    /// refuses it later, it is a dead letter, and its sender gets no answer that says so.
    ///
    /// A `session_ready` also overtakes queued events of other sessions. If one of those would free its number, the store
    /// refuses the `session_ready` with `number_already_connected`, and the sender's outbox retries it.
    ///
    /// If two senders send events of one session, and only one of them sets `seq`, its events that wait are applied
    /// after those of the other one that arrived later. Let all senders of a session set `seq`, or none.
    pub fn queue(mut self, queue: impl EventSink + 'static) -> Self {
        self.queue = Some(Box::new(queue));
        self
    }

    /// Sets the limits of the receiver. Default: those of [`Limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the QR codes that arrive, for a page that shows them.
    #[must_use]
    pub fn qr_codes(&self) -> QrCodes {
        self.qr_codes.clone()
    }

    /// Returns a router that takes events at its root, by POST. Needs a tokio runtime.
    pub fn into_router(self) -> Router {
        let limits = self.limits;
        let router = Router::new()
            .route("/", post(receive))
            .fallback(async || NOT_FOUND)
            .method_not_allowed_fallback(async || METHOD_NOT_ALLOWED)
            .layer(DefaultBodyLimit::max(MAX_EVENT))
            .with_state(Arc::new(self));
        limits.apply(router)
    }
}

async fn receive(
    State(receiver): State<Arc<WebhookReceiver>>,
    request: Request,
) -> Result<([(HeaderName, HeaderValue); 1], &'static str), Problem> {
    if !is_json(request.headers()) {
        return Err(NOT_JSON);
    }
    let headers = signature_headers(request.headers()).ok_or(INVALID_SIGNATURE)?;
    let body = read(request).await?;
    receiver.keys.verify(&headers, &body, SystemTime::now())?;
    let mut event = SessionEvent::from_json(&body)?;
    if event.id().is_none() {
        event = event.with_id(headers.id);
    }
    if event.to_json().len() > MAX_EVENT {
        return Err(TOO_LARGE.with_detail("the event with its id has more than 65536 bytes"));
    }
    let answer = receiver.accept(&event).await?;
    receiver.qr_codes.observe(&event, SystemTime::now());
    Ok((
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        answer,
    ))
}

impl WebhookReceiver {
    /// Sends an event where it belongs, and returns the answer to its sender.
    async fn accept(&self, event: &SessionEvent) -> Result<&'static str, Problem> {
        if let Some(queue) = &self.queue
            && is_queued(queue, event).await?
        {
            let event = event.without_qr_payload();
            in_time(queue, &event, SEND_TIMEOUT, || queue.send(&event)).await?;
            return Ok(r#"{"status":"queued"}"#);
        }
        in_time(&self.sink, event, SEND_TIMEOUT, || self.sink.send(event)).await?;
        Ok(r#"{"status":"processed_inline"}"#)
    }
}

/// Returns whether an event has to go into the queue.
async fn is_queued(queue: &dyn EventSink, event: &SessionEvent) -> Result<bool, SinkError> {
    match (event.kind(), event.seq(), event.session()) {
        // By its `seq`, the store recognises the events that it overtakes.
        (EventKind::SessionReady(_) | EventKind::SessionError(_), None, Some(session)) => {
            let holds = timeout(SEND_TIMEOUT, queue.holds(session)).await;
            holds.unwrap_or_else(|_| {
                Err(SinkError::transient(
                    codes::SINK_TIMEOUT,
                    "the queue was not read in time",
                ))
            })
        }
        (EventKind::SessionReady(_) | EventKind::SessionError(_), ..) => Ok(false),
        _ => Ok(true),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = text.and_then(|text| text.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn signature_headers(headers: &HeaderMap) -> Option<SignatureHeaders> {
    let text = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let text = values.next()?.to_str().ok()?;
        values.next().is_none().then(|| text.to_owned())
    };
    Some(SignatureHeaders {
        id: EventId::new(&text("webhook-id")?).ok()?,
        timestamp: text("webhook-timestamp")?,
        signature: text("webhook-signature")?,
    })
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    // By its content-length, before it arrives.
    if request.body().size_hint().lower() > MAX_EVENT as u64 {
        return Err(TOO_LARGE);
    }
    match timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(TOO_LARGE),
        Ok(Err(_)) => Err(INVALID_REQUEST),
        Err(_) => Err(SLOW_REQUEST),
    }
}

impl fmt::Debug for WebhookReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReceiver")
            .field("keys", &self.keys)
            .field("sink", &self.sink.name())
            .field("queue", &self.queue.as_ref().map(EventSink::name))
            .field("limits", &self.limits)
            .field("qr_codes", &self.qr_codes)
            .finish()
    }
}
