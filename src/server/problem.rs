//! Errors as `application/problem+json` (RFC 9457): [`Problem`].

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::event::signature::SignatureError;
use crate::event::{EventError, SinkError};

/// An error with its stable code. `detail` contains nothing of the request.
pub(super) struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
        }
    }

    pub(super) fn unsigned(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_signature", detail)
    }
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        Self::unsigned(&error.to_string())
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        let (status, code) = match error {
            EventError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            EventError::NotJson { .. } => (StatusCode::BAD_REQUEST, "invalid_json"),
            EventError::Field { .. } | EventError::Phone(_) | EventError::LidAsNumber => {
                (StatusCode::UNPROCESSABLE_ENTITY, error.code())
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<SinkError> for Problem {
    fn from(error: SinkError) -> Self {
        let status = match error.code() {
            _ if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            "unknown_session" => StatusCode::NOT_FOUND,
            "invalid_event" => StatusCode::UNPROCESSABLE_ENTITY,
            "number_already_connected" | "rebind_refused" => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // The message may name the session and its number, masked.
        Self::new(status, error.code(), "the sink has not accepted the event")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::info!(status = self.status.as_u16(), code = %self.code, detail = %self.detail, "a webhook was not accepted");
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, json);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
