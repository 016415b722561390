//! [`Response`]: a bounded answer to an HTTP request, which errors can quote.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::failure::ProtocolFailure;
use crate::text::clean;

/// Longest time for an answer. It needs no page, but a busy machine may have many tabs.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The failure of an answer that did not come within this time.
pub(crate) const LATE: &str = "did not answer in time";

/// Longest answer that is read, in bytes: a list of many tabs.
pub(crate) const MAX_ANSWER_LEN: usize = 4 << 20;

/// Longest part of an answer that an error quotes, in bytes.
const MAX_QUOTED: usize = 200;

/// The reason for an answer that did not come, as `closed the connection`, and its cause.
pub(crate) type GetFailure = (&'static str, Option<ProtocolFailure>);

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Reads the body of a successful answer as JSON.
    pub(crate) fn json<T: for<'de> Deserialize<'de>>(&self) -> Option<T> {
        let body = self.status.is_success().then_some(&self.body)?;
        serde_json::from_slice(body).ok()
    }

    /// Returns whether the body has this text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(text)
    }

    /// Quotes status and body, cleaned and cut: `HTTP 404 Not Found: "no such path"`.
    pub(crate) fn quote(&self) -> String {
        let status = self.status;
        // Cleaning reads a little more than it keeps.
        let body = &self.body[..self.body.len().min(MAX_QUOTED * 4)];
        match clean(String::from_utf8_lossy(body).trim(), MAX_QUOTED) {
            body if body.is_empty() => format!("HTTP {status} without text"),
            body => format!("HTTP {status}: \"{body}\""),
        }
    }
}
