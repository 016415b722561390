//! Decides what an answer means: [`Answer::result`].

use std::time::{Duration, SystemTime};

use crate::codes;
use crate::event::{REFUSALS, SinkError};

/// The longest time that a receiver can stop the deliveries for by `Retry-After`.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

pub(super) const GONE: &str = codes::WEBHOOK_GONE;

/// An answer, its body read only for the code of a refusal.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// The code of a store that refuses the event, by [`refusal`].
    pub(super) refusal: Option<&'static str>,
}

/// Returns the code in the body of a `WebhookReceiver`, if it is one with which a store refuses events.
pub(super) fn refusal(problem: &[u8]) -> Option<&'static str> {
    let problem: serde_json::Value = serde_json::from_slice(problem).ok()?;
    let code = problem.get("code")?.as_str()?;
    REFUSALS.into_iter().find(|known| *known == code)
}

impl Answer {
    /// `at`: the receiver, for the message.
    pub(super) fn result(&self, at: &str) -> Result<(), SinkError> {
        let status = self.status;
        let text =
            |advice: &str| format!("the webhook receiver at {at} answered {status}; {advice}");
        if let Some(code) = self.refusal {
            return Err(SinkError::permanent(
                code,
                text("its store refuses the event"),
            ));
        }
        Err(match status {
            200..=299 => return Ok(()),
            300..=399 => SinkError::permanent(
                codes::WEBHOOK_REDIRECTED,
                text("no redirect is followed: configure the final URL"),
            ),
            410 => SinkError::permanent(GONE, text("it gets no further events from this sink")),
            400 | 405 | 413 | 414 | 415 | 422 | 431 | 501 => SinkError::permanent(
                codes::WEBHOOK_REFUSED,
                text("it does not take this event: check its logs"),
            ),
            401 | 403 => SinkError::transient(
                codes::WEBHOOK_FAILED,
                text("check that it has one of the secrets of this sink"),
            ),
            404 => SinkError::transient(codes::WEBHOOK_FAILED, text("check the path of the URL")),
            _ => SinkError::transient(codes::WEBHOOK_FAILED, text("it gets the event again later")),
        })
    }

    /// Returns how long the receiver asks to wait: at most [`MAX_RETRY_AFTER`]. `None` if it asks for
    /// nothing that can be read.
    pub(super) fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let text = self.retry_after.as_deref()?.trim();
        let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than a number has are more than the most.
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).unwrap_or_default()
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn every_status_has_its_result() {
        for (status, code, is_transient) in [
            (300, "webhook_redirected", false),
            (302, "webhook_redirected", false),
            (308, "webhook_redirected", false),
            (400, "webhook_refused", false),
            (401, "webhook_failed", true),
            (403, "webhook_failed", true),
            (404, "webhook_failed", true),
            (405, "webhook_refused", false),
            (408, "webhook_failed", true),
            (409, "webhook_failed", true),
            (410, "webhook_gone", false),
            (413, "webhook_refused", false),
            (415, "webhook_refused", false),
            (422, "webhook_refused", false),
            (425, "webhook_failed", true),
            (429, "webhook_failed", true),
            (500, "webhook_failed", true),
            (501, "webhook_refused", false),
            (503, "webhook_failed", true),
            (599, "webhook_failed", true),
        ] {
            let answer = Answer {
                status,
                ..Answer::default()
            };
            let error = answer.result("https://receiver.example").unwrap_err();
            assert_eq!(
                (error.code(), error.is_transient()),
                (code, is_transient),
                "{status}"
            );
            let text = error.to_string();
            assert!(
                text.contains(&format!("receiver.example answered {status}; ")),
                "{text}"
            );
        }
        for status in [200, 201, 202, 204, 299] {
            let answer = Answer {
                status,
                ..Answer::default()
            };
            assert!(answer.result("").is_ok(), "{status}");
        }
    }

    #[test]
    fn only_the_codes_of_refusals_are_taken_from_a_body() {
        for (body, code) in [
            (
                r#"{"code":"rebind_refused","status":409}"#,
                Some("rebind_refused"),
            ),
            (r#"{"code":"unknown_session"}"#, Some("unknown_session")),
            (r#"{"code":"webhook_gone"}"#, None),
            (r#"{"code":7}"#, None),
            ("[]", None),
            ("rebind_refused", None),
            ("", None),
        ] {
            assert_eq!(refusal(body.as_bytes()), code, "{body}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_limit() {
        let secs = Duration::from_secs;
        for (text, wait) in [
            ("0", Some(secs(0))),
            (" 120 ", Some(secs(120))),
            ("3600", Some(secs(3600))),
            ("3601", Some(MAX_RETRY_AFTER)),
            ("99999999999999999999999999", Some(MAX_RETRY_AFTER)),
            // Now is 08:49:37. The three forms of RFC 9110.
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(secs(30))),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(secs(30))),
            ("Sun Nov  6 08:50:07 1994", Some(secs(30))),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(secs(0))),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(MAX_RETRY_AFTER)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let answer = Answer {
                status: 503,
                retry_after: Some(text.into()),
                refusal: None,
            };
            assert_eq!(answer.retry_after(at()), wait, "{text:?}");
        }
    }
}
