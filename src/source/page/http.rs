//! [`get`]: one HTTP request, with a bounded answer that errors can quote.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::time::timeout;

use crate::failure::{ProtocolFailure, Site};
use crate::text::clean;

/// Longest time for an answer. It needs no page, but a busy machine may have many tabs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that is read, in bytes: a list of many tabs.
const MAX_ANSWER_LEN: usize = 4 << 20;

/// Longest part of an answer that an error quotes, in bytes.
const MAX_QUOTED: usize = 200;

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    body: Vec<u8>,
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

/// Asks for this URL. The `Host` header is the URL's.
///
/// # Errors
///
/// A text such as `closed the connection`, and the cause.
pub(crate) async fn get<C>(
    connector: C,
    url: Uri,
) -> Result<Response, (&'static str, Option<ProtocolFailure>)>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);
    let ask = async {
        let answer = client.get(url).await.map_err(|error| {
            let cause = ProtocolFailure::from_error(Site::Unknown, &error);
            ("closed the connection", Some(cause))
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_LEN);
        match body.collect().await {
            Ok(body) => Ok(Response {
                status,
                body: body.to_bytes().into(),
            }),
            Err(_) => Err(("broke off, or its answer is too long", None)),
        }
    };
    let answer = timeout(ANSWER_TIMEOUT, ask).await;
    answer.unwrap_or(Err(("did not answer in time", None)))
}
