//! Posts one attempt: [`Transport`].

use std::error::Error;
use std::time::SystemTime;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use url::Url;

use super::address::{LookUp, NotPublic, PublicResolver};
use super::answer::Answer;
use super::builder::WebhookConfigError;
use super::{PRIVATE_ADDRESS, origin};
use crate::codes;
use crate::event::SinkError;
use crate::event::signature::SignatureHeaders;
use crate::failure::{ProtocolFailure, Site};

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

/// Posts by HTTP/1.1. It follows no redirect, uses no proxy, and reads no body of an answer.
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
        let retry_after = answer.headers().get(RETRY_AFTER);
        Ok(Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        })
    }
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
