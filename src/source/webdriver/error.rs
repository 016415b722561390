//! From the errors of WebDriver commands to failures.
//!
//! `failure::webdriver` maps fantoccini's own errors; the classifier uses it too.

use fantoccini::error::CmdError;

use crate::codes::MISCONFIGURED;
use crate::failure::webdriver::CONNECTION_LOST;
pub(super) use crate::failure::webdriver::command;
use crate::failure::{ProtocolFailure, Site};
use crate::source::PageState;

/// The reason for which a look failed.
#[derive(Clone, Debug)]
pub(super) struct LookError {
    pub(super) kind: LookErrorKind,
    /// The same for the caller.
    pub(super) failure: ProtocolFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookErrorKind {
    /// ChromeDriver answered `null`: the page was closed or replaced during the look.
    NoAnswer,
    /// The page is at another origin.
    WrongOrigin,
    /// The browser shows its own error page.
    ErrorPage,
    TabClosed,
    SessionGone,
    ConnectionLost,
    Other,
}

impl LookError {
    pub(super) fn no_answer() -> Self {
        let text = "the page gave no answer; it was closed or replaced during the look";
        Self::new(LookErrorKind::NoAnswer, text, "no answer")
    }

    pub(super) fn wrong_origin(origin: &str) -> Self {
        let text = format!("the page is not at {origin} now; it may be loading, or has moved");
        let failure = ProtocolFailure::new(Site::Script, text).with_code("wrong origin");
        Self {
            kind: LookErrorKind::WrongOrigin,
            failure,
        }
    }

    pub(super) fn error_page(origin: &str) -> Self {
        let text = format!("the browser could not load {origin} and shows an error page");
        Self::new(LookErrorKind::ErrorPage, &text, "wrong origin")
    }

    /// Returns the state of the page, as far as the error says.
    pub(super) const fn page_state(&self) -> Option<PageState> {
        match self.kind {
            LookErrorKind::WrongOrigin => Some(PageState::NotLoaded),
            LookErrorKind::ErrorPage => Some(PageState::Network),
            _ => None,
        }
    }

    /// Returns the failure of a page that its owner has closed.
    pub(super) fn closed() -> Self {
        let text = "the page was closed by its owner";
        Self::new(LookErrorKind::TabClosed, text, "no such window")
    }

    pub(super) fn timeout() -> Self {
        let text = "the page or its driver took too long to answer a look";
        Self::new(LookErrorKind::Other, text, "timeout")
    }

    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        let text = format!("the page's answer does not have the form of a look: {error}");
        let failure = ProtocolFailure::new(Site::Script, text).with_code("javascript error");
        failure.into()
    }

    fn new(kind: LookErrorKind, text: &str, code: &'static str) -> Self {
        let failure = ProtocolFailure::new(Site::WebDriverCommand, text).with_code(code);
        Self { kind, failure }
    }
}

impl From<ProtocolFailure> for LookError {
    fn from(failure: ProtocolFailure) -> Self {
        Self {
            kind: LookErrorKind::Other,
            failure,
        }
    }
}

impl From<&CmdError> for LookError {
    fn from(error: &CmdError) -> Self {
        let failure = command(error);
        let kind = if error.is_no_such_window() {
            LookErrorKind::TabClosed
        } else if error.is_invalid_session_id() {
            LookErrorKind::SessionGone
        } else if failure.code() == Some(CONNECTION_LOST) {
            LookErrorKind::ConnectionLost
        } else {
            LookErrorKind::Other
        };
        Self { kind, failure }
    }
}

/// Returns a failure of the set-up.
pub(super) fn misconfigured(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text).with_code(MISCONFIGURED)
}
