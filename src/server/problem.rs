//! Errors as `application/problem+json` (RFC 9457): [`Problem`].

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::codes;
use crate::event::signature::SignatureError;
use crate::event::{EventError, SinkError};
use crate::store::StoreError;

/// The media type of a problem.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// The codes of errors that are not about one event or session: with them `Retry-After` is sent, for which a sender stops
/// all its deliveries.
const CONCERN_ALL: [&str; 3] = [
    codes::OVERLOADED,
    codes::TOO_MANY_REQUESTS,
    codes::QUEUE_FULL,
];

/// An error with its stable code. `detail` contains nothing of the request.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    pub(super) detail: Cow<'static, str>,
}

macro_rules! problems {
    ($($name:ident = $status:ident, $detail:literal;)*) => {$(
        pub(super) const $name: Problem = Problem {
            status: StatusCode::$status,
            code: Cow::Borrowed(codes::$name),
            detail: Cow::Borrowed($detail),
        };
    )*};
}

problems! {
    INVALID_REQUEST = BAD_REQUEST, "the request did not arrive whole";
    INVALID_JSON = BAD_REQUEST, "the body is not JSON";
    INVALID_SIGNATURE = UNAUTHORIZED, "webhook-id, webhook-timestamp and webhook-signature must be there, each once";
    INVALID_TOKEN = UNAUTHORIZED, "the header authorization must be there once, as `Bearer` and a token of a workspace";
    NOT_FOUND = NOT_FOUND, "no such path";
    UNKNOWN_SESSION = NOT_FOUND, "the workspace has no such session";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "the path has another method; the header allow names it";
    SLOW_REQUEST = REQUEST_TIMEOUT, "the body did not arrive within 10 s";
    NUMBER_ALREADY_CONNECTED = CONFLICT, "another session of the workspace holds the number";
    REBIND_REFUSED = CONFLICT, "the session is bound to another number";
    TOO_LARGE = PAYLOAD_TOO_LARGE, "the body has more than 65536 bytes";
    NOT_JSON = UNSUPPORTED_MEDIA_TYPE, "the content-type must be application/json";
    INVALID_EVENT = UNPROCESSABLE_ENTITY, "the JSON is not an event, or cannot be stored";
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS, "too many requests in this second; try again in the next one";
    TOO_MANY_STREAMS = TOO_MANY_REQUESTS, "too many streams are open; close one, or try again later";
    INTERNAL = INTERNAL_SERVER_ERROR, "the request failed by a bug of the service";
    OVERLOADED = SERVICE_UNAVAILABLE, "too many requests at the same time; try again later";
    STORAGE = SERVICE_UNAVAILABLE, "the store failed or gave no answer in time; try again later";
}

impl Problem {
    pub(super) fn with_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { detail, ..self }
    }
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        INVALID_SIGNATURE.with_detail(error.to_string())
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        let problem = match error {
            EventError::TooLarge { .. } => TOO_LARGE,
            EventError::NotJson { .. } => INVALID_JSON,
            EventError::Field { .. } | EventError::Phone(_) | EventError::LidAsNumber => {
                INVALID_EVENT
            }
        };
        problem.with_detail(error.to_string())
    }
}

impl From<SinkError> for Problem {
    /// Drops the message, which may name the session.
    fn from(error: SinkError) -> Self {
        let refusals = [
            UNKNOWN_SESSION,
            INVALID_EVENT,
            NUMBER_ALREADY_CONNECTED,
            REBIND_REFUSED,
        ];
        let refusal = refusals.into_iter().find(|one| one.code == error.code());
        let status = match (error.is_transient(), refusal) {
            (false, Some(refusal)) => return refusal,
            (true, _) => StatusCode::SERVICE_UNAVAILABLE,
            (false, None) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            code: error.code().to_owned().into(),
            detail: "the sink has not accepted the event".into(),
        }
    }
}

impl From<StoreError> for Problem {
    /// Drops the message, which may name the session.
    fn from(_: StoreError) -> Self {
        STORAGE
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::info!(status = self.status.as_u16(), code = %self.code, detail = %self.detail, "a request was refused");
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status != StatusCode::INTERNAL_SERVER_ERROR && CONCERN_ALL.contains(&&*self.code) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.code == codes::INVALID_TOKEN {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
