//! [`Limits`], by the layers of tower.

use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use tower::{BoxError, ServiceBuilder};

use super::problem::{OVERLOADED, TOO_MANY_REQUESTS};

/// How many requests a router takes. The others are refused at once, with `Retry-After`.
///
/// The limits hold for all clients together: they bound memory and load, and one client can use them up. Limits
/// for each client belong into the proxy in front, which knows its address.
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
    /// `overloaded`. A request that arrives slowly counts, a live stream does not. Default: 256.
    #[must_use]
    pub fn at_once(mut self, requests: usize) -> Self {
        self.at_once = requests.max(1);
        self
    }

    /// Sets the most requests of a second, at least 1. As many as may be handled at the same time wait for the next
    /// second; further ones are answered 429 `too_many_requests`. Default: 5,000.
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
