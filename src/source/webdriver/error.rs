//! From the errors of WebDriver commands to failures.
//!
//! `failure::webdriver` maps fantoccini's own errors; the classifier uses it too.

use fantoccini::error::CmdError;

use crate::codes::MISCONFIGURED;
use crate::failure::webdriver::CONNECTION_LOST;
pub(super) use crate::failure::webdriver::command;
use crate::failure::{ProtocolFailure, Site};
use crate::source::page::error::{LookError, LookErrorKind};

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
