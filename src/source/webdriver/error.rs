//! From fantoccini's errors to [`ProtocolFailure`].
//!
//! They implement the old `cause()` and not `source()`, so the variants are matched.

use std::error::Error;

use fantoccini::error::{CmdError, ErrorStatus, NewSessionError, WebDriver};
use serde_json::Value;

use crate::failure::{ProtocolFailure, Site};

/// Code of failures of our own set-up.
pub(super) const MISCONFIGURED: &str = "misconfigured";
/// Code for a driver that has gone in the middle of things.
pub(super) const CONNECTION_LOST: &str = "connection lost";

/// Code for a page that is not where it should be.
pub(super) const WRONG_ORIGIN: &str = "wrong origin";

/// A failed command.
#[must_use]
pub(super) fn command(error: &CmdError) -> ProtocolFailure {
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
            "the WebDriver server's answer is no JSON: {answer}"
        )),
        CmdError::Json(error) => said(format!(
            "the WebDriver server's answer is broken JSON: {error}"
        )),
        other => said(other.to_string()),
    }
}

fn standard(error: &WebDriver) -> ProtocolFailure {
    // The words of a script error may be the page's own.
    let site = match error.error {
        ErrorStatus::JavascriptError => Site::Script,
        _ => Site::WebDriverCommand,
    };
    ProtocolFailure::new(site, &error.message).with_code(error.error.description())
}

/// A code outside the W3C list arrives as a bare string, its message lost.
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

/// A session that could not be made. Whatever the reason, it is a matter of set-up.
#[must_use]
pub(super) fn new_session(error: &NewSessionError, webdriver: &str) -> ProtocolFailure {
    let webdriver = shown(webdriver);
    let cause = match error {
        NewSessionError::SessionNotCreated(error) => standard(error),
        NewSessionError::NotW3C(answer) => not_w3c(answer),
        NewSessionError::UnexpectedError(error) => command(error),
        NewSessionError::Failed(error) => {
            ProtocolFailure::from_error(Site::WebDriverCommand, error)
        }
        NewSessionError::FailedC(error) => {
            ProtocolFailure::from_error(Site::WebDriverCommand, error)
        }
        other => ProtocolFailure::new(Site::WebDriverCommand, other.to_string()),
    };
    let text = match error {
        NewSessionError::BadWebdriverUrl(_) => {
            format!("{webdriver} is no WebDriver URL; write http://HOST:PORT")
        }
        NewSessionError::Failed(_) | NewSessionError::FailedC(_) | NewSessionError::Lost(_) => {
            format!(
                "no WebDriver server answers at {webdriver}: {}; start ChromeDriver or check the URL, with https also the certificate",
                root(error)
            )
        }
        _ => format!(
            "the WebDriver server at {webdriver} could not start a browser session: {cause}"
        ),
    };
    ProtocolFailure::new(Site::WebDriverCommand, text)
        .with_code(MISCONFIGURED)
        .caused_by(cause)
}

/// What a failed connection failed of: the end of the chain of causes.
fn root(error: &NewSessionError) -> String {
    let mut root: &(dyn Error + 'static) = match error {
        NewSessionError::Failed(error) => error,
        NewSessionError::FailedC(error) => error,
        NewSessionError::Lost(error) => error,
        other => other,
    };
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

/// A URL as it may be printed: those of grids carry user and key.
fn shown(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else {
        return "what was given".into();
    };
    let is_bare = url.set_username("").is_ok() && url.set_password(None).is_ok();
    url.set_query(None);
    if is_bare {
        url.into()
    } else {
        "the WebDriver URL".into()
    }
}

/// A transport that failed: mostly the driver has gone, but not where we have had enough of it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_user_and_key() {
        assert_eq!(
            shown("https://user:hunter2@grid.example/wd?key=1"),
            "https://grid.example/wd"
        );
        assert_eq!(shown("user:hunter2@grid"), "the WebDriver URL");
        assert_eq!(shown("chromedriver"), "what was given");
    }
}
