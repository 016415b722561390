//! [`LookError`]: the reason for which a look failed.

use crate::failure::{ProtocolFailure, Site};
use crate::source::PageState;

/// The reason for which a look failed.
#[derive(Clone, Debug)]
pub(crate) struct LookError {
    pub(crate) kind: LookErrorKind,
    /// The same for the caller.
    pub(crate) failure: ProtocolFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookErrorKind {
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
    pub(crate) fn no_answer() -> Self {
        let text = "the page gave no answer; it was closed or replaced during the look";
        Self::new(
            Site::WebDriverCommand,
            LookErrorKind::NoAnswer,
            text,
            "no answer",
        )
    }

    pub(crate) fn wrong_origin(origin: &str) -> Self {
        let text = format!("the page is not at {origin} now; it may be loading, or has moved");
        let failure = ProtocolFailure::new(Site::Script, text).with_code("wrong origin");
        Self {
            kind: LookErrorKind::WrongOrigin,
            failure,
        }
    }

    pub(crate) fn error_page(origin: &str) -> Self {
        let text = format!("the browser could not load {origin} and shows an error page");
        Self::new(
            Site::Script,
            LookErrorKind::ErrorPage,
            &text,
            "wrong origin",
        )
    }

    /// Returns the state of the page, as far as the error says.
    pub(crate) const fn page_state(&self) -> Option<PageState> {
        match self.kind {
            LookErrorKind::WrongOrigin => Some(PageState::NotLoaded),
            LookErrorKind::ErrorPage => Some(PageState::Network),
            _ => None,
        }
    }

    /// Returns the failure of a page that its owner has closed.
    pub(crate) fn closed(site: Site) -> Self {
        let text = "the page was closed by its owner";
        Self::new(site, LookErrorKind::TabClosed, text, "no such window")
    }

    pub(crate) fn timeout(site: Site) -> Self {
        let text = "the page or its driver took too long to answer a look";
        Self::new(site, LookErrorKind::Other, text, "timeout")
    }

    pub(crate) fn malformed(error: &serde_json::Error) -> Self {
        let text = format!("the page's answer does not have the form of a look: {error}");
        let failure = ProtocolFailure::new(Site::Script, text).with_code("javascript error");
        failure.into()
    }

    pub(crate) fn new(site: Site, kind: LookErrorKind, text: &str, code: &'static str) -> Self {
        let failure = ProtocolFailure::new(site, text).with_code(code);
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
