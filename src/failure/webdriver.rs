//! From fantoccini's errors to [`ProtocolFailure`].
//!
//! They implement the old `cause()` and not `source()`, so the variants are matched.

use std::error::Error;

use fantoccini::error::{CmdError, ErrorStatus, NewSessionError, WebDriver};
use serde_json::Value;

use super::{ProtocolFailure, Site};
use crate::codes::MISCONFIGURED;

/// The code if the connection to the driver is lost.
pub(crate) const CONNECTION_LOST: &str = "connection lost";

/// Returns the failure that an error of fantoccini's stands for, by its variant; `None` for other errors.
pub(crate) fn known(error: &(dyn Error + 'static)) -> Option<ProtocolFailure> {
    if let Some(error) = error.downcast_ref::<CmdError>() {
        return Some(command(error));
    }
    let error = error.downcast_ref::<NewSessionError>()?;
    let failure = ProtocolFailure::new(Site::WebDriverCommand, error.to_string());
    Some(
        failure
            .with_code("session not created")
            .caused_by(session_cause(error)),
    )
}

/// Returns the failure of a command.
#[must_use]
pub(crate) fn command(error: &CmdError) -> ProtocolFailure {
    let said = |text: String| ProtocolFailure::new(Site::WebDriverCommand, text);
    match error {
        CmdError::Standard(error) => standard(error),
        CmdError::NotW3C(answer) => not_w3c(answer),
        CmdError::Failed(error) => lost(error),
        CmdError::FailedC(error) => lost(error),
        CmdError::Lost(error) => lost(error),
        CmdError::BadUrl(error) => {
            said(format!("the WebDriver URL cannot be used: {error}")).with_code(MISCONFIGURED)
        }
        CmdError::NotJson(answer) => said(format!(
            "the WebDriver server's answer is not JSON: {answer}"
        )),
        CmdError::Json(error) => said(format!(
            "the WebDriver server's answer is invalid JSON: {error}"
        )),
        other => said(other.to_string()),
    }
}

fn standard(error: &WebDriver) -> ProtocolFailure {
    // The page may have written the text of a script error.
    let site = match error.error {
        ErrorStatus::JavascriptError => Site::Script,
        _ => Site::WebDriverCommand,
    };
    ProtocolFailure::new(site, &error.message).with_code(error.error.description())
}

/// Returns the failure for an answer without a W3C error code. Of a WebDriver error only the code is left,
/// as a string.
fn not_w3c(answer: &Value) -> ProtocolFailure {
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    match (answer.as_str(), text("error"), text("message")) {
        (Some(code), ..) => {
            ProtocolFailure::new(Site::WebDriverCommand, code).with_code(code.to_owned())
        }
        (None, Some(code), Some(message)) => {
            ProtocolFailure::new(Site::WebDriverCommand, message).with_code(code.to_owned())
        }
        _ => ProtocolFailure::new(
            Site::WebDriverCommand,
            "the server's answer is not a WebDriver answer; is the URL that of a WebDriver server?",
        ),
    }
}

/// Returns why a session could not be made.
#[must_use]
pub(crate) fn session_cause(error: &NewSessionError) -> ProtocolFailure {
    match error {
        NewSessionError::SessionNotCreated(error) => standard(error),
        // Not JSON: a body arrives like a code.
        NewSessionError::NotW3C(Value::String(body)) if !is_code(body) => {
            command(&CmdError::NotJson(body.clone()))
        }
        NewSessionError::NotW3C(answer) => not_w3c(answer),
        NewSessionError::UnexpectedError(error) => command(error),
        NewSessionError::Failed(error) => {
            ProtocolFailure::from_error(Site::WebDriverCommand, error)
        }
        NewSessionError::FailedC(error) => {
            ProtocolFailure::from_error(Site::WebDriverCommand, error)
        }
        other => ProtocolFailure::new(Site::WebDriverCommand, other.to_string()),
    }
}

/// Returns whether a text can be an error code, such as `no such window`.
fn is_code(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b' ';
    (1..=64).contains(&text.len()) && text.bytes().all(is_word)
}

/// Returns the failure of a transport: an answer beyond our limit, or else a driver that is gone.
fn lost(error: &(dyn Error + 'static)) -> ProtocolFailure {
    let mut is_too_long = false;
    let mut link = Some(error);
    while let Some(error) = link {
        let io = error.downcast_ref::<std::io::Error>();
        is_too_long |= io.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData);
        link = error.source();
    }
    let code = if is_too_long {
        "answer too long"
    } else {
        CONNECTION_LOST
    };
    ProtocolFailure::from_error(Site::WebDriverCommand, error).with_code(code)
}
