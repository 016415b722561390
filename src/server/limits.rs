//! [`Limits`] of requests, by the layers of tower.

use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use tower::{BoxError, ServiceBuilder};

use super::problem::{OVERLOADED, TOO_MANY_REQUESTS};

/// The most requests that a router accepts. Further ones are refused, with `Retry-After`.
///
/// The limits hold for all clients together: they bound memory and load, and one client can use them up. A proxy
/// in front, which knows the clients' addresses, can limit each client. Connections and open streams are not
/// requests: [`serve`](super::serve) and [`Api::max_streams`](super::Api::max_streams) bound them.
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
