//! [`WebhookSinkBuilder`].

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};
use zeroize::Zeroizing;

use super::address::{LookUp, is_public, system};
use super::transport::Http;
use super::{PRIVATE_ADDRESS, WebhookSink, origin};
use crate::event::signature::{SecretError, SigningKeys};
use crate::failure::ProtocolFailure;
use crate::retry::Backoff;

pub(super) const URL: &str = "WHATSAPP_PHONE_WEBHOOK_URL";
pub(super) const SECRET: &str = "WHATSAPP_PHONE_WEBHOOK_SECRET";

/// Why a sink cannot be made. Never contains a secret, nor more of the URL than its scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookConfigError {
    /// A variable is not set, or not Unicode.
    #[error("{name} {problem}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// The fault.
        problem: &'static str,
    },
    /// The secret is invalid.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The URL is invalid.
    #[error("the webhook URL must be like https://HOST/PATH")]
    Url,
    /// The URL is http, which anyone on the way can read and change.
    #[error("the webhook URL {0} is not https; allow it by `allow_http`")]
    Http(String),
    /// The URL's host is an address that is not public.
    #[error("the webhook receiver at {0} {PRIVATE_ADDRESS}")]
    PrivateAddress(String),
    /// The backoff has neither a number of attempts nor a deadline.
    #[error(
        "the backoff of a webhook must have a number of attempts or a deadline, since a send must end"
    )]
    Endless,
    /// The HTTP client cannot be made, for instance without certificates of the system.
    #[error("the HTTP client of the webhook cannot be made")]
    Client(#[source] ProtocolFailure),
}

/// Builds a [`WebhookSink`]. `Debug` masks the URL and the secrets.
#[must_use = "a builder does nothing until `build`"]
pub struct WebhookSinkBuilder {
    url: String,
    keys: Option<SigningKeys>,
    backoff: Backoff,
    attempt_timeout: Duration,
    allows_http: bool,
    allows_private: bool,
    look_up: LookUp,
}

impl WebhookSinkBuilder {
    pub(super) fn new(url: String, keys: Option<SigningKeys>) -> Self {
        Self {
            url,
            keys,
            backoff: Backoff::WEBHOOK,
            attempt_timeout: Duration::from_secs(5),
            allows_http: false,
            allows_private: false,
            look_up: system(),
        }
    }

    pub(super) fn from_vars<V: Into<OsString>>(
        lookup: impl Fn(&str) -> Option<V>,
    ) -> Result<Self, WebhookConfigError> {
        let read = |name| {
            let wrong = |problem| WebhookConfigError::Variable { name, problem };
            let value = lookup(name).map(Into::into).unwrap_or_default();
            let value = value
                .into_string()
                .map_err(|_| wrong("is not Unicode text"))?;
            match value.trim().is_empty() {
                true => Err(wrong("is not set")),
                false => Ok(Zeroizing::new(value)),
            }
        };
        let (url, secret) = (read(URL)?, read(SECRET)?);
        Ok(Self::new(url.trim().into(), Some(secret.parse()?)))
    }

    /// Sets when a failed attempt is repeated. An attempt waits for what `Retry-After` asks for, but no
    /// attempt starts after the deadline. Default: interval 500 ms, growth 2, jitter 0.2, deadline 4 s, so
    /// that with the default timeout a send ends within 9 s: the callers in this crate wait for 10 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long one attempt may take, connecting included. Default: 5 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Allows an http URL: anyone on the way can read the numbers, and QR codes by which a device can be
    /// linked.
    pub fn allow_http(mut self) -> Self {
        self.allows_http = true;
        self
    }

    /// Allows addresses that are not public: private, loopback, link-local and other special ones, among
    /// them the metadata services of clouds. Do so only for a URL that no customer can set.
    pub fn allow_private_addresses(mut self) -> Self {
        self.allows_private = true;
        self
    }

    #[cfg(test)]
    pub(super) fn look_up(mut self, look_up: LookUp) -> Self {
        self.look_up = look_up;
        self
    }

    /// Builds the sink. It connects when the first event is sent.
    ///
    /// # Errors
    ///
    /// If the URL is invalid or not allowed, the backoff is endless, or the system's certificates cannot be
    /// read.
    pub fn build(self) -> Result<WebhookSink, WebhookConfigError> {
        if self.backoff.attempts().is_none() && self.backoff.deadline().is_none() {
            return Err(WebhookConfigError::Endless);
        }
        let url = Url::parse(&self.url).map_err(|_| WebhookConfigError::Url)?;
        match url.scheme() {
            "https" => {}
            "http" if self.allows_http => {}
            "http" => return Err(WebhookConfigError::Http(origin(&url))),
            _ => return Err(WebhookConfigError::Url),
        }
        // The resolver is not asked about an address.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if !self.allows_private && address.is_some_and(|address| !is_public(address)) {
            return Err(WebhookConfigError::PrivateAddress(origin(&url)));
        }
        let at = origin(&url);
        let look_up = (!self.allows_private).then_some(self.look_up);
        let transport = Http::new(url, look_up)?;
        Ok(WebhookSink::over(
            transport,
            at,
            self.keys,
            self.backoff,
            self.attempt_timeout,
        ))
    }
}

impl fmt::Debug for WebhookSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSinkBuilder")
            .field("keys", &self.keys)
            .field("backoff", &self.backoff)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("allows_http", &self.allows_http)
            .field("allows_private", &self.allows_private)
            .finish_non_exhaustive()
    }
}
