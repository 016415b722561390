//! [`Api`].

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::stream::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::feed::Feeds;
use super::health::{Readiness, alive, ready};
use super::limits::Limits;
use super::openapi;
use super::problem::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, STORAGE, UNKNOWN_SESSION};
use super::receiver::WebhookReceiver;
use super::tokens::AccessTokens;
use super::{EVENTS, HEALTH, OPENAPI, READY, STATUS, STORE_TIMEOUT, WEBHOOK};
use crate::event::{SessionId, WorkspaceId};
use crate::phone::PhoneNumber;
use crate::store::SessionStore;

/// How often a silent stream sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// All routes of the [module](super): the status of sessions, the stream of a workspace, health, the description,
/// and the receiver of webhooks.
///
/// ```
/// use futures_util::FutureExt;
/// use whatsapp_phone::event::{SessionKey, signature::SigningKeys};
/// use whatsapp_phone::server::{AccessTokens, Api, WebhookReceiver};
/// use whatsapp_phone::store::{SessionStore, StoreSink, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// store.register(&SessionKey::new(7, "session-1")?).await?;
///
/// let keys: SigningKeys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let receiver = WebhookReceiver::new(keys, StoreSink::new(store.clone()));
/// let tokens = AccessTokens::default().allow(7, "5f0e3c9a1d7b4286a94be1c07d3f5e82")?;
///
/// // Usually: async { tokio::signal::ctrl_c().await.ok(); }
/// let stop = async {}.shared();
/// let api = Api::new(store, tokens).receiver(receiver).max_streams(800).stop_when(stop.clone());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// whatsapp_phone::server::serve(listener, api.into_router(), 900, stop).await;
/// # Ok(())
/// # }
/// ```
#[must_use = "an API does nothing until `into_router`"]
pub struct Api {
    store: Arc<dyn SessionStore>,
    tokens: AccessTokens,
    receiver: Option<WebhookReceiver>,
    limits: Limits,
    max_streams: usize,
    stop: Shared<BoxFuture<'static, ()>>,
}

impl Api {
    /// Makes the routes over a store.
    pub fn new(store: impl SessionStore + 'static, tokens: AccessTokens) -> Self {
        Self {
            store: Arc::new(store),
            tokens,
            receiver: None,
            limits: Limits::default(),
            max_streams: 4_096,
            stop: pending().boxed().shared(),
        }
    }

    /// Takes webhooks at `/webhooks/whatsapp`, within the receiver's own limits. Default: none are taken.
    pub fn receiver(mut self, receiver: WebhookReceiver) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Sets the limits of the routes that need a token, for all of them together.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the most streams that are open at the same time, at least 1. One workspace has at most a quarter of
    /// them; further ones are answered 429 `too_many_streams`. Default: 4,096.
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams.clamp(1, usize::MAX >> 4);
        self
    }

    /// Ends every stream when this future ends, since a graceful shutdown of axum waits for them. Clients connect
    /// again by themselves. Default: streams end with their clients.
    pub fn stop_when(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = stop.boxed().shared();
        self
    }

    /// Returns the router, for use as it is or nested under a path. Needs a tokio runtime.
    pub fn into_router(self) -> Router {
        let readiness = Readiness {
            store: Arc::clone(&self.store),
            last: Mutex::default(),
        };
        let feeds = Feeds::new(Arc::clone(&self.store), self.max_streams);
        let (limits, receiver) = (self.limits, self.receiver);
        let state = Routes {
            store: self.store,
            tokens: self.tokens,
            feeds,
            stop: self.stop,
        };
        let no_store = HeaderValue::from_static("no-store");
        let read = Router::new()
            .route(STATUS, get(status))
            .route(EVENTS, get(events))
            .fallback(async || NOT_FOUND)
            .method_not_allowed_fallback(async || METHOD_NOT_ALLOWED)
            .with_state(Arc::new(state));
        let description = openapi::description(receiver.is_some());
        let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let router = Router::new()
            .route(HEALTH, get(alive))
            .route(READY, get(ready).with_state(Arc::new(readiness)))
            .route(OPENAPI, get(async || (json, description)))
            .method_not_allowed_fallback(async || METHOD_NOT_ALLOWED);
        let router = match receiver {
            Some(receiver) => router.nest(WEBHOOK, receiver.into_router()),
            None => router,
        };
        router
            .fallback_service(limits.apply(read))
            .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, no_store))
            .layer(CatchPanicLayer::custom(|panic| {
                // Drops the payload safely. The panic hook has printed the message.
                crate::text::panic_message(panic);
                INTERNAL.into_response()
            }))
    }
}

struct Routes {
    store: Arc<dyn SessionStore>,
    tokens: AccessTokens,
    feeds: Arc<Feeds>,
    stop: Shared<BoxFuture<'static, ()>>,
}

/// The workspace of a request's token.
struct Workspace(WorkspaceId);

impl FromRequestParts<Arc<Routes>> for Workspace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, routes: &Arc<Routes>) -> Result<Self, Problem> {
        let workspace = routes.tokens.workspace(&parts.headers)?;
        Ok(Self(workspace.clone()))
    }
}

async fn status(
    Workspace(workspace): Workspace,
    State(routes): State<Arc<Routes>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    // An id that cannot be one is unknown, like that of another workspace.
    let Path(id) = id.map_err(|_| UNKNOWN_SESSION)?;
    let id = SessionId::new(&id).map_err(|_| UNKNOWN_SESSION)?;
    let row = timeout(STORE_TIMEOUT, routes.store.session(&id)).await;
    let row = row.map_err(|_| STORAGE)??;
    let row = row.filter(|row| row.session.workspace_id == workspace);
    let now = row.ok_or(UNKNOWN_SESSION)?.to_change();
    Ok(Json(json!({
        "status": now.status.as_str(),
        "phone_number": now.phone.as_ref().map(PhoneNumber::reveal),
    })))
}

async fn events(
    Workspace(workspace): Workspace,
    State(routes): State<Arc<Routes>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let events = routes.feeds.read(&workspace, last).await?;
    let events = events
        .map(Ok::<_, Infallible>)
        .take_until(routes.stop.clone());
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // nginx would hold the events back.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, sse).into_response())
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("store", &self.store.name())
            .field("tokens", &self.tokens)
            .field("receiver", &self.receiver)
            .field("limits", &self.limits)
            .field("max_streams", &self.max_streams)
            .finish_non_exhaustive()
    }
}
