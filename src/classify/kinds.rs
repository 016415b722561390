//! The classes of failures, the phases of a session and the verdicts.

use std::fmt;

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The page's context was replaced; the session continues.
    Navigation,
    /// This tab or this session is gone.
    PageClosed,
    /// The browser or its driver is gone.
    BrowserGone,
    /// No answer came in time.
    Timeout,
    /// The page's own JavaScript threw.
    PageScript,
    /// A dialog is in the way, or the command is not allowed here.
    Blocked,
    /// The page's network failed.
    Network,
    /// The session could not be created, or was requested wrongly.
    Setup,
    /// Not an error of this stack, or not known.
    Unrelated,
}

impl ErrorClass {
    /// Returns the stable name, as in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Navigation => "navigation",
            Self::PageClosed => "page_closed",
            Self::BrowserGone => "browser_gone",
            Self::Timeout => "timeout",
            Self::PageScript => "page_script",
            Self::Blocked => "blocked",
            Self::Network => "network",
            Self::Setup => "setup",
            Self::Unrelated => "unrelated",
        }
    }

    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Navigation,
        Self::PageClosed,
        Self::BrowserGone,
        Self::Timeout,
        Self::PageScript,
        Self::Blocked,
        Self::Network,
        Self::Setup,
        Self::Unrelated,
    ];

    /// Returns the meaning in a line for a log.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Navigation => {
                "the page's context was replaced while it was being read; the session lives, look again"
            }
            Self::PageClosed => "the tab or its session is gone; nothing more will come from it",
            Self::BrowserGone => {
                "the browser or its driver is gone, and with it every session that it ran"
            }
            Self::Timeout => "no answer came in time; the page may be busy, look again",
            Self::PageScript => {
                "the page's own JavaScript threw, or the page lacks the requested element or function"
            }
            Self::Blocked => "a dialog or an element is in the way, or the command is not allowed",
            Self::Network => "the network of the page or of a sidecar failed; look again",
            Self::Setup => "the session could not be created, or was requested wrongly",
            Self::Unrelated => {
                "not an error of the browser or its driver, or not known; it is reported unchanged"
            }
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of the session that a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is meant to live, or its end is not known.
    Live,
    /// This session is being ended, or was ended, on purpose.
    Ending,
}

/// The action to take on a failure.
///
/// The enum is exhaustive: a new verdict must break the code that acts on verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Look again.
    Retry,
    /// End the session: no more answers will come from it.
    EndSession,
    /// End the browser and all its sessions: no more answers will come from it.
    EndBrowser,
    /// Report it: neither a retry nor silence is right.
    Surface,
    /// Count it and stay silent: it is expected after the end of this session.
    Suppress,
}

impl Verdict {
    /// Returns the stable name, as in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::EndSession => "end_session",
            Self::EndBrowser => "end_browser",
            Self::Surface => "surface",
            Self::Suppress => "suppress",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
