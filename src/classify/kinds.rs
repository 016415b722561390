//! The classes of failures, the phases of a session and the verdicts.

use crate::text::stable_names;

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

stable_names!(ErrorClass, "a class of failures", as_str {
    Navigation = "navigation",
    PageClosed = "page_closed",
    BrowserGone = "browser_gone",
    Timeout = "timeout",
    PageScript = "page_script",
    Blocked = "blocked",
    Network = "network",
    Setup = "setup",
    Unrelated = "unrelated",
});

/// The state of the session that a failure belongs to. The enum is exhaustive, since its user writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It is meant to live, or its end is not known.
    Live,
    /// This session is being ended, or was ended, on purpose.
    Ending,
}

stable_names!(Phase, "a phase", as_str {
    Live = "live",
    Ending = "ending",
});

/// The action to take on a failure.
///
/// The enum is exhaustive: a new verdict must break the code that acts on verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

stable_names!(Verdict, "a verdict", as_str {
    Retry = "retry",
    EndSession = "end_session",
    EndBrowser = "end_browser",
    Surface = "surface",
    Suppress = "suppress",
});
