//! Posts one attempt: [`Transport`].

use std::error::Error;
use std::time::SystemTime;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use url::Url;

use super::address::{LookUp, NotPublic, PublicResolver};
use super::answer::{Answer, refusal};
use super::builder::WebhookConfigError;
use super::{PRIVATE_ADDRESS, origin};
use crate::codes;
use crate::event::SinkError;
use crate::event::signature::SignatureHeaders;
use crate::failure::{ProtocolFailure, Site};

/// Longest part of a body that is read, in bytes.
const MAX_PROBLEM: usize = 8 << 10;

/// The clock and the network, which tests replace.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    fn now(&self) -> SystemTime;

    /// Posts the body. An error is one of the connection.
    async fn post(
        &self,
        headers: Option<SignatureHeaders>,
        body: String,
    ) -> Result<Answer, SinkError>;
}

/// Posts by HTTP/1.1. It follows no redirect, and uses no proxy.
pub(super) struct Http {
    client: reqwest::Client,
    url: Url,
}

impl Http {
    /// `look_up`: resolves host names if only public addresses are allowed.
    pub(super) fn new(url: Url, look_up: Option<LookUp>) -> Result<Self, WebhookConfigError> {
        let failed = |error: &(dyn Error + 'static)| {
            WebhookConfigError::Client(ProtocolFailure::from_error(Site::Unknown, error))
        };
        let tls = crate::tls::config(url.scheme() == "https").map_err(|error| failed(&error))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("whatsapp-phone/", env!("CARGO_PKG_VERSION")));
        if let Some(look_up) = look_up {
            builder = builder.dns_resolver(PublicResolver(look_up));
        }
        let client = builder.build().map_err(|error| failed(&error))?;
        Ok(Self { client, url })
    }
}

#[async_trait]
impl Transport for Http {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn post(
        &self,
        headers: Option<SignatureHeaders>,
        body: String,
    ) -> Result<Answer, SinkError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(headers) = headers {
            request = request
                .header("webhook-id", headers.id.as_str())
                .header("webhook-timestamp", headers.timestamp)
                .header("webhook-signature", headers.signature);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.failure(&error.without_url()))?;
        let text = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (retry_after, kind) = (text(RETRY_AFTER), text(CONTENT_TYPE));
        let status = answer.status().as_u16();
        let is_problem = kind.is_some_and(|kind| kind.starts_with("application/problem+json"));
        let refusal = match status {
            404 | 409 | 422 if is_problem => refusal(&read(answer).await),
            _ => None,
        };
        Ok(Answer {
            status,
            retry_after,
            refusal,
        })
    }
}

/// Reads at most [`MAX_PROBLEM`] of a body.
async fn read(mut answer: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = MAX_PROBLEM - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_PROBLEM {
            break;
        }
    }
    body
}

impl Http {
    fn failure(&self, error: &(dyn Error + 'static)) -> SinkError {
        let at = origin(&self.url);
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<NotPublic>() {
                let text = format!("the webhook receiver at {at} {PRIVATE_ADDRESS}");
                return SinkError::permanent(codes::WEBHOOK_PRIVATE_ADDRESS, text);
            }
            cause = error.source();
        }
        let text = format!("the webhook receiver at {at} gave no answer; check that it runs");
        let cause = ProtocolFailure::from_error(Site::Unknown, error);
        SinkError::transient(codes::WEBHOOK_UNREACHABLE, text).caused_by(cause)
    }
}
