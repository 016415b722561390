//! What a failure can be, and what can be done about it.

use std::fmt;

/// What happened, as far as a failure tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The page's context was replaced; the session lives.
    Navigation,
    /// This tab or this session is gone.
    PageClosed,
    /// The browser or its driver is gone.
    BrowserGone,
    /// No answer in time.
    Timeout,
    /// The page's own JavaScript threw.
    PageScript,
    /// A dialog is in the way, or the command is not allowed here.
    Blocked,
    /// The page's network failed.
    Network,
    /// The session could not be made, or was asked for wrongly.
    Setup,
    /// Not of this stack, or not known.
    Unrelated,
}

impl ErrorClass {
    /// The stable name, as in JSON and logs.
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
}

impl ErrorClass {
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

    /// What it means, in a line for a log.
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
            Self::PageScript => "the page's own JavaScript threw, or has not what was asked for",
            Self::Blocked => "a dialog or an element is in the way, or the command is not allowed",
            Self::Network => "the network of the page or of a sidecar failed; look again",
            Self::Setup => "the session could not be made, or was asked for wrongly",
            Self::Unrelated => {
                "nothing of the browser's, or nothing known; it is reported as it is"
            }
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known about the session that the failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is meant to live, or nothing is known of its end.
    Live,
    /// This very session is being ended, or was, on purpose.
    Ending,
}

/// What to do about a failure.
///
/// Exhaustive: whoever acts on verdicts should hear from the compiler about a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Look again.
    Retry,
    /// Nothing more will come from this session: end it.
    EndSession,
    /// Nothing more will come from this browser: end it and all its sessions.
    EndBrowser,
    /// Report it: neither looking again nor silence is right.
    Surface,
    /// Expected after this session's end: count it and be silent.
    Suppress,
}

impl Verdict {
    /// The stable name, as in JSON and logs.
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
