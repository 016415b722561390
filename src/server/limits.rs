//! [`Limits`] of requests by the layers of tower, and [`limit_connections`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::serve::IncomingStream;
use axum::{Extension, Router};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::{BoxError, Service, ServiceBuilder, service_fn};

use super::problem::{OVERLOADED, TOO_MANY_REQUESTS};

/// The most requests that a router accepts. Further ones are refused at once, with `Retry-After`.
///
/// The limits hold for all clients together: they bound memory and load, and one client can use them up. A proxy
/// in front, which knows the clients' addresses, can limit each client. Connections and open streams are not
/// requests: [`limit_connections`] and [`Api::max_streams`](super::Api::max_streams) bound them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    at_once: usize,
    per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            at_once: 256,
            per_second: 5_000,
        }
    }
}

impl Limits {
    /// Sets the most requests that are handled at the same time, at least 1; further ones are answered 503
    /// `overloaded`. A request counts from its last header until its answer begins, so a body that arrives slowly
    /// counts, and an open stream does not. Default: 256.
    #[must_use]
    pub fn at_once(mut self, requests: usize) -> Self {
        self.at_once = requests.max(1);
        self
    }

    /// Sets the most requests in a second, at least 1. Of the further ones, up to [`at_once`](Self::at_once) wait for
    /// the next second; the others are answered 429 `too_many_requests`. Default: 5,000.
    #[must_use]
    pub fn per_second(mut self, requests: u64) -> Self {
        self.per_second = requests.max(1);
        self
    }

    /// Returns the router with these limits, which its routes share.
    pub(super) fn apply(self, router: Router) -> Router {
        let limited = ServiceBuilder::new()
            .layer(HandleErrorLayer::new(async |_: BoxError| TOO_MANY_REQUESTS))
            .load_shed()
            .buffer(self.at_once)
            .rate_limit(self.per_second, Duration::from_secs(1))
            .layer(HandleErrorLayer::new(async |_: BoxError| OVERLOADED))
            .load_shed()
            .concurrency_limit(self.at_once)
            .service(router);
        Router::new().fallback_service(limited)
    }
}

/// Returns a service for `axum::serve` that gives the router to this many connections at the same time, at least 1.
/// A further client waits, without an answer, until a connection ends. A connection with an open stream counts, and
/// so does one without requests: choose a number above [`Api::max_streams`](super::Api::max_streams), and below the
/// process's limit of open files.
///
/// ```no_run
/// # async fn serve(router: axum::Router) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let service = whatsapp_phone::server::limit_connections(router, 8_192);
/// whatsapp_phone::axum::serve(listener, service).await
/// # }
/// ```
#[must_use]
pub fn limit_connections(
    router: Router,
    connections: usize,
) -> impl for<'a> Service<
    IncomingStream<'a, TcpListener>,
    Response = Router,
    Error = Infallible,
    Future = BoxFuture<'static, Result<Router, Infallible>>,
> + Clone
+ Send
+ 'static {
    let permits = Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS));
    let permits = Arc::new(permits);
    service_fn(move |_: IncomingStream<'_, TcpListener>| {
        let (router, permits) = (router.clone(), Arc::clone(&permits));
        async move {
            // The connection owns its router, and so the permit.
            let permit = permits.acquire_owned().await.ok().map(Arc::new);
            let router = Router::new().fallback_service(router);
            Ok(router.layer(Extension(permit)))
        }
        .boxed()
    })
}
