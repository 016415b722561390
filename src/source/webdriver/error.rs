//! Failures of sessions that could not be made. What fantoccini's errors stand for is told by
//! `failure::webdriver`, which the classifier reads them by too.

use std::error::Error;

use fantoccini::error::NewSessionError;

pub(super) use crate::failure::webdriver::{CONNECTION_LOST, MISCONFIGURED, command};
use crate::failure::{ProtocolFailure, Site};

/// Code for a page that is not where it should be.
pub(super) const WRONG_ORIGIN: &str = "wrong origin";

/// A session that could not be made. Whatever the reason, it is a matter of set-up.
#[must_use]
pub(super) fn new_session(error: &NewSessionError, webdriver: &str) -> ProtocolFailure {
    let webdriver = shown(webdriver);
    let cause = crate::failure::webdriver::session_cause(error);
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
