//! The reason for which a WebDriver server gave no session, in the words of its answers.

use std::error::Error;

use fantoccini::error::{CmdError, NewSessionError};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::connection::connector;
use super::driver::Recording;
use super::error::misconfigured;
use super::http;
use crate::failure::ProtocolFailure;
use crate::failure::webdriver::session_cause;
use crate::source::page::http::Response;
use crate::source::process::start_failure::{self, Printed};
use crate::text::clean;

/// Longest part of a server's text that a message has, in bytes.
const MAX_QUOTED: usize = 200;

/// Returns the failure for a session that was not created. The cause is always the set-up.
pub(super) async fn new_session(
    error: &NewSessionError,
    webdriver: &str,
    recording: Option<&Recording>,
) -> ProtocolFailure {
    let url = shown(webdriver);
    let cause = session_cause(error);
    let text = match error {
        NewSessionError::BadWebdriverUrl(_) => {
            format!("{url} is not a WebDriver URL; write http://HOST:PORT")
        }
        NewSessionError::Failed(_) | NewSessionError::FailedC(_) | NewSessionError::Lost(_) => {
            format!(
                "no WebDriver server answers at {url}: {}; start ChromeDriver or check the URL, with https also the certificate",
                clean(&root(error), MAX_QUOTED)
            )
        }
        _ if is_webdriver_error(error) => {
            let output = recording.map(Recording::text);
            let printed = recording
                .zip(output.as_deref())
                .map(|(recording, text)| Printed {
                    text,
                    has_overlapped: recording.has_overlapped(),
                });
            format!(
                "the WebDriver server at {url} could not start a browser session: {}",
                start_failure::describe(cause.message(), printed)
            )
        }
        _ => match wrong_server(webdriver).await {
            Some(is) => format!("{url} is not a WebDriver server: {is}"),
            None => format!(
                "the WebDriver server at {url} gave no session: {}; check the URL's path",
                clean(cause.message(), MAX_QUOTED)
            ),
        },
    };
    misconfigured(text).caused_by(cause)
}

/// Returns whether a WebDriver server wrote this error.
fn is_webdriver_error(error: &NewSessionError) -> bool {
    match error {
        NewSessionError::SessionNotCreated(_)
        | NewSessionError::UnexpectedError(CmdError::Standard(_)) => true,
        NewSessionError::NotW3C(answer) => answer.get("error").is_some_and(Value::is_string),
        _ => false,
    }
}

/// Asks what listens there. `None` if it is a WebDriver server, or cannot be asked.
async fn wrong_server(webdriver: &str) -> Option<String> {
    const PORT_OF_CHROME: &str =
        "give it to `Page::attach` as the debugging address, and here the URL of a ChromeDriver";

    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "Browser")]
        browser: String,
    }
    let status = ask(webdriver, "status").await?;
    if status.contains("Host header is specified and is not an IP") {
        let quoted = status.quote();
        return Some(format!(
            "it is the debugging port of a Chrome ({quoted}); {PORT_OF_CHROME}"
        ));
    }
    // Some servers answer with an error while they have no free session.
    if status.contains("\"ready\"") && status.contains("\"value\"") {
        return None;
    }
    if let Some(version) = ask(webdriver, "json/version").await
        && let Some(Version { browser }) = version.json()
    {
        let browser = clean(&browser, 64);
        return Some(format!(
            "it is the debugging port of {browser}; {PORT_OF_CHROME}"
        ));
    }
    Some(format!(
        "it answers `status` with {}; check host, port and path of the URL",
        status.quote()
    ))
}

/// Asks a server for a path. `None` if it does not answer, or wants a password, which is sent only by the
/// WebDriver client.
async fn ask(webdriver: &str, path: &str) -> Option<Response> {
    let mut url = Url::parse(webdriver).ok()?;
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(path.split('/'));
    url.set_query(None);
    let (connector, _guard) = connector(webdriver).ok()?;
    http::get(connector, url.as_str().parse().ok()?).await.ok()
}

/// Returns the end of the chain of causes of a failed connection.
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

/// Returns a URL without its user, password and query, which may hold a key.
fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "the given text".into();
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
        assert_eq!(shown("chromedriver"), "the given text");
    }
}
