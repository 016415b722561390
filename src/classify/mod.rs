//! What a failure means: [`ProtocolErrorClassifier`].
//!
//! The stacks between us and the page say the same thing in many words, and different things in the
//! same words. All knowledge of that kind stands in one table, [`RULES`]: each row with a class, a
//! real sample and where it was seen. What no row matches is [`ErrorClass::Unrelated`] and neither
//! retried nor suppressed: a process-wide handler must never swallow the errors of the host's own
//! database or mail server.
//!
//! How a failure is read:
//!
//! 1. **The code goes before the text.** A page can throw any words, and drivers pass them on.
//!    Only under a code that says little (`unknown error`, `timeout`) is the text asked as well.
//! 2. **Text from the page is not read at all** ([`Site::Script`]): there only the code counts.
//! 3. **Case counts, and so do brackets.** `session closed` is SFTP, `Protocol error, got` is Redis.
//! 4. **The stack is not searched**, only what stands before it.
//! 5. If nothing matches, the cause of the failure is read the same way.
//!
//! The same text after a session was ended on purpose is an expected orphan, and in a living session
//! a lost page. The text cannot tell: the caller says which, by [`Phase`].

mod rules;
mod text;

use std::error::Error;
use std::fmt;

pub use rules::{Pattern, RULES, Rule};
use text::Text;

use crate::failure::{ProtocolFailure, Site};

/// Longest part of a plain text that is read, in bytes.
pub const MAX_READ: usize = 64 * 1024;

/// Longest chain of causes that is followed.
const MAX_CAUSES: usize = 8;

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

/// What the classifier found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Classification {
    /// What happened.
    pub class: ErrorClass,
    /// The name of the row of [`RULES`] that matched; `unlisted` if none did.
    pub rule: &'static str,
    /// Whether this is to be expected once its session was ended on purpose.
    pub orphan: bool,
}

impl Classification {
    const UNLISTED: Self = Self {
        class: ErrorClass::Unrelated,
        rule: "unlisted",
        orphan: false,
    };

    /// What to do about it, in a session of this phase.
    ///
    /// | class | verdict |
    /// |---|---|
    /// | any, if an orphan in a session that is [`Phase::Ending`] | suppress |
    /// | navigation, timeout, network, blocked | retry |
    /// | page_closed | end_session |
    /// | browser_gone | end_browser |
    /// | page_script, setup, unrelated | surface |
    #[must_use]
    pub const fn verdict(self, phase: Phase) -> Verdict {
        if self.orphan && matches!(phase, Phase::Ending) {
            return Verdict::Suppress;
        }
        match self.class {
            ErrorClass::Navigation
            | ErrorClass::Timeout
            | ErrorClass::Network
            | ErrorClass::Blocked => Verdict::Retry,
            ErrorClass::PageClosed => Verdict::EndSession,
            ErrorClass::BrowserGone => Verdict::EndBrowser,
            ErrorClass::PageScript | ErrorClass::Setup | ErrorClass::Unrelated => Verdict::Surface,
        }
    }
}

impl From<&Rule> for Classification {
    fn from(rule: &Rule) -> Self {
        Self {
            class: rule.class,
            rule: rule.name,
            orphan: rule.orphan,
        }
    }
}

/// Reads failures by the rows of [`RULES`]. Neither allocates nor blocks.
///
/// ```
/// use whatsapp_phone::classify::{ErrorClass, Phase, ProtocolErrorClassifier, Verdict};
///
/// let classifier = ProtocolErrorClassifier::new();
/// let found = classifier.classify_text("Error: Protocol error (Runtime.callFunctionOn): Target closed.");
/// assert_eq!(found.class, ErrorClass::PageClosed);
/// assert_eq!(found.verdict(Phase::Live), Verdict::EndSession);
/// assert_eq!(found.verdict(Phase::Ending), Verdict::Suppress);
///
/// let redis = classifier.classify_text("Error: Protocol error, got \"H\" as reply type byte");
/// assert_eq!(redis.verdict(Phase::Ending), Verdict::Surface);
/// ```
#[derive(Clone, Debug)]
pub struct ProtocolErrorClassifier {
    rules: &'static [Rule],
}

impl ProtocolErrorClassifier {
    /// The classifier by the rows of [`RULES`].
    #[must_use]
    pub const fn new() -> Self {
        Self { rules: RULES }
    }

    /// What a driver's failure means. If neither its code nor its text is known, its causes are read,
    /// at most eight.
    ///
    /// ```
    /// use whatsapp_phone::classify::{ErrorClass, ProtocolErrorClassifier};
    /// use whatsapp_phone::failure::{ProtocolFailure, Site};
    ///
    /// let said_by_the_page = ProtocolFailure::new(Site::WebDriverCommand, "javascript error: Session closed")
    ///     .with_code("javascript error");
    /// let found = ProtocolErrorClassifier::new().classify(&said_by_the_page);
    /// assert_eq!(found.class, ErrorClass::PageScript);
    /// assert_eq!(found.rule, "javascript_error");
    /// ```
    #[must_use]
    pub fn classify(&self, failure: &ProtocolFailure) -> Classification {
        let mut next = Some(failure);
        for _ in 0..=MAX_CAUSES {
            let Some(failure) = next else { break };
            let text = match failure.site() {
                Site::Script => None,
                _ => Some(Text::new(failure.message())),
            };
            let found = match failure.code() {
                Some(code) => self.by_code(code, text.as_ref()),
                None => text.as_ref().and_then(|text| self.by_plain_text(text)),
            };
            if let Some(rule) = found.or_else(|| self.by_site(failure.site())) {
                return rule.into();
            }
            next = failure.source().and_then(|cause| cause.downcast_ref());
        }
        Classification::UNLISTED
    }

    /// What a plain text means, for instance a line of a log, of which nothing else is known. The
    /// first 64 KiB count.
    ///
    /// Where the text shows that it comes from a WebDriver client and begins with an error code, the
    /// code goes first here too.
    #[must_use]
    pub fn classify_text(&self, text: &str) -> Classification {
        let text = Text::new(&text[..text.floor_char_boundary(MAX_READ)]);
        self.by_plain_text(&text)
            .map_or(Classification::UNLISTED, Into::into)
    }

    fn by_plain_text(&self, text: &Text<'_>) -> Option<&'static Rule> {
        match text.leading_code(self.codes()) {
            Some(code) => self.by_code(code, Some(text)),
            None => self.by_text(text),
        }
    }

    fn by_code(&self, code: &str, text: Option<&Text<'_>>) -> Option<&'static Rule> {
        for rule in self.rules {
            match rule.pattern {
                Pattern::Code(known) if known == code => return Some(rule),
                Pattern::CodeAndText(known, part)
                    if known == code && text.is_some_and(|text| text.has(part)) =>
                {
                    return Some(rule);
                }
                Pattern::VagueCode(known) if known == code => {
                    return text.and_then(|text| self.by_text(text)).or(Some(rule));
                }
                _ => {}
            }
        }
        // A code that is not listed says nothing, but the text may.
        text.and_then(|text| self.by_text(text))
    }

    fn by_text(&self, text: &Text<'_>) -> Option<&'static Rule> {
        self.rules.iter().find(|rule| match rule.pattern {
            Pattern::Text(part) => text.has(part),
            Pattern::AllOf(parts) => parts.iter().all(|part| text.has(part)),
            _ => false,
        })
    }

    fn by_site(&self, site: Site) -> Option<&'static Rule> {
        self.rules
            .iter()
            .find(|rule| rule.pattern == Pattern::Site(site))
    }

    fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.rules.iter().filter_map(|rule| match rule.pattern {
            Pattern::Code(code) | Pattern::VagueCode(code) => Some(code),
            _ => None,
        })
    }
}

impl Default for ProtocolErrorClassifier {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
