//! [`WebhookReceiver`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::time::timeout;

use super::problem::Problem;
use crate::event::signature::{SignatureHeaders, SigningKeys};
use crate::event::{EventId, EventSink, MAX_EVENT, SessionEvent, in_time};

/// How long a body may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the sink may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Verifies signed webhooks and sends their events to a sink. A request is answered when the sink has accepted
/// or refused the event: with a [`StoreSink`](crate::store::StoreSink), nothing is answered 2xx that is not in
/// the store. See the [module](super) for the answers.
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
/// whatsapp_phone::axum::serve(listener, app).await?;
/// # }
/// # Ok(())
/// # }
/// ```
pub struct WebhookReceiver {
    keys: SigningKeys,
    sink: Box<dyn EventSink>,
}

impl WebhookReceiver {
    /// Makes a receiver. A signature by any of the keys is accepted.
    #[must_use]
    pub fn new(keys: SigningKeys, sink: impl EventSink + 'static) -> Self {
        Self {
            keys,
            sink: Box::new(sink),
        }
    }

    /// Returns a router that takes events at its root, by POST.
    pub fn into_router(self) -> Router {
        let not_found = async || Problem::new(StatusCode::NOT_FOUND, "not_found", "no such path");
        let only_post = async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, "method_not_allowed", "events are sent by POST")
        };
        Router::new()
            .route("/", post(receive))
            .fallback(not_found)
            .method_not_allowed_fallback(only_post)
            .layer(DefaultBodyLimit::max(MAX_EVENT))
            .with_state(Arc::new(self))
    }
}

async fn receive(
    State(receiver): State<Arc<WebhookReceiver>>,
    request: Request,
) -> Result<Response, Problem> {
    if !is_json(request.headers()) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let detail = "the content-type must be application/json";
        return Err(Problem::new(status, "not_json", detail));
    }
    let headers = signature_headers(request.headers()).ok_or_else(|| {
        Problem::unsigned(
            "webhook-id, webhook-timestamp and webhook-signature must be there, each once",
        )
    })?;
    let body = read(request).await?;
    receiver.keys.verify(&headers, &body, SystemTime::now())?;
    let mut event = SessionEvent::from_json(&body)?;
    if event.id().is_none() {
        event = event.with_id(headers.id);
    }
    let sink = &*receiver.sink;
    in_time(sink, &event, SEND_TIMEOUT, || sink.send(&event)).await?;
    let json = [(CONTENT_TYPE, "application/json")];
    Ok((json, r#"{"status":"processed_inline"}"#).into_response())
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
    let too_large = || {
        let detail = format!("the body has more than {MAX_EVENT} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    };
    // By its content-length, before it arrives.
    if request.body().size_hint().lower() > MAX_EVENT as u64 {
        return Err(too_large());
    }
    match timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(too_large())
        }
        Ok(Err(_)) => {
            let detail = "the body did not arrive";
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                detail,
            ))
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {READ_TIMEOUT:?}");
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow_request",
                detail,
            ))
        }
    }
}

impl fmt::Debug for WebhookReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReceiver")
            .field("keys", &self.keys)
            .field("sink", &self.sink.name())
            .finish()
    }
}
