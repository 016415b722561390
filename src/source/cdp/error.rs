//! The failures of a DevTools socket.

use tokio_tungstenite::tungstenite;

use crate::failure::{ProtocolFailure, Site};
use crate::source::page::error::{LookError, LookErrorKind};

/// Returns the failure of a command that Chrome refused.
pub(super) fn refused(method: &str, text: &str) -> LookError {
    ProtocolFailure::new(Site::Cdp, format!("{method}: {text}")).into()
}

/// Returns the failure of a script that threw.
pub(super) fn threw(text: &str) -> LookError {
    let failure = ProtocolFailure::new(Site::Script, text).with_code("javascript error");
    failure.into()
}

/// Returns the failure of a tab that its owner has closed.
pub(super) fn closed() -> LookError {
    LookError::closed(Site::Cdp)
}

pub(super) fn crashed() -> LookError {
    let text = "the tab has crashed; its owner has to reload it";
    LookError::new(Site::Cdp, LookErrorKind::Other, text, "tab crashed")
}

pub(super) fn timeout() -> LookError {
    LookError::timeout(Site::Cdp)
}

/// Returns the failure of a page that does not answer although its browser does.
pub(super) fn unresponsive() -> LookError {
    let text = "the page does not answer although its tab exists: a dialog is open, a script keeps it busy, or it has crashed";
    LookError::new(Site::Cdp, LookErrorKind::Other, text, "page unresponsive")
}

/// Returns the failure of a browser that has ended, or in whose place another one runs.
pub(super) fn browser_gone() -> LookError {
    let text = "the browser has ended";
    LookError::new(
        Site::Cdp,
        LookErrorKind::Other,
        text,
        "chrome not reachable",
    )
}

/// Returns the failure of a lost socket; the browser may still run.
pub(super) fn lost(what: &str) -> LookError {
    let text = format!("the page's DevTools socket was lost: {what}");
    LookError::new(
        Site::Cdp,
        LookErrorKind::ConnectionLost,
        &text,
        "socket lost",
    )
}

/// Returns the failure of a lost socket whose browser cannot be asked for the tab. It may be stopped, or a tunnel to it
/// may have failed.
pub(super) fn unreachable(cause: ProtocolFailure) -> LookError {
    let text = "the page's DevTools socket was lost, and its browser cannot be asked for the tab";
    let failure = ProtocolFailure::new(Site::Cdp, text).with_code("socket lost");
    failure.caused_by(cause).into()
}

/// Returns the failure of a socket.
pub(super) fn socket(error: &tungstenite::Error) -> LookError {
    match error {
        tungstenite::Error::Capacity(_) => {
            let text = format!("a message of Chrome's is too long: {error}");
            let kind = LookErrorKind::ConnectionLost;
            LookError::new(Site::Cdp, kind, &text, "answer too long")
        }
        _ => lost(&error.to_string()),
    }
}
