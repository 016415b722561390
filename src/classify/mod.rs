//! What a failure means: [`ProtocolErrorClassifier`].
//!
//! The stacks between us and the page say the same thing in many words, and different things in the
//! same words. All knowledge of that kind stands in one table, [`rows`]: each row with a class, a
//! real sample and where it was seen. What no row matches is [`ErrorClass::Unrelated`] and neither
//! retried nor suppressed: a process-wide handler must never swallow the errors of the host's own
//! database or mail server.
//!
//! How a failure is read:
//!
//! 1. **The code goes before the text.** A page can throw any words, and drivers pass them on.
//!    Only under a code that says little (`unknown error`, `timeout`) is the text asked as well.
//! 2. **Text from the page is not read at all** ([`Site::Script`](crate::failure::Site::Script)): there only the code counts.
//! 3. **Case counts, and so do brackets.** `session closed` is SFTP, `Protocol error, got` is Redis.
//! 4. **The stack is not searched**, only what stands before it, and causes that are told behind it.
//! 5. **What any program says counts only where it was heard.** `Connection refused` is a lost driver
//!    in a WebDriver command ([`Site::WebDriverCommand`](crate::failure::Site::WebDriverCommand)), a network failure of a sidecar, and nothing
//!    known otherwise, unless its text shows a driver's address.
//! 6. If nothing matches, or only a code that says little, the cause of the failure is read the same
//!    way.
//!
//! White space, line breaks and colours within a sentence do not count, nor does what logs put before
//! it. Rules of your own go [before or after](ProtocolErrorClassifier::builder) the table.
//!
//! The same text after a session was ended on purpose is an expected orphan, and in a living session
//! a lost page. The text cannot tell: the caller says which, by [`Phase`].
//!
//! Reading never blocks and, errors of fantoccini aside, allocates nothing after the first time; its
//! time grows with the text, up to [`MAX_READ`].

mod classifier;
mod code;
mod index;
mod kinds;
mod rule;
mod rules;
mod text;

use std::fmt;

pub use classifier::{ClassifierBuilder, ProtocolErrorClassifier};
pub use kinds::{ErrorClass, Phase, Verdict};
pub use rule::Rule;
pub use rules::{Pattern, Row, Sites, rows};

/// Longest part of a plain text that is read, in bytes. What stands behind it is not looked at: the
/// words that count stand at the beginning.
pub const MAX_READ: usize = 64 * 1024;

/// Longest chain of causes that is followed.
const MAX_CAUSES: usize = 8;

/// What the classifier found. `Display` is a line for a log.
///
/// ```
/// use whatsapp_phone::ProtocolErrorClassifier;
///
/// let classifier = ProtocolErrorClassifier::new();
/// let found = classifier.classify_text("Error: Page crashed!");
/// assert_eq!(
///     found.to_string(),
///     "page_closed by page_crashed: the tab or its session is gone; nothing more will come from it"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Classification<'a> {
    /// What happened.
    pub class: ErrorClass,
    /// The name of the rule that matched, a row of [`rows`] or one of yours; `unlisted` if none did.
    pub rule: &'a str,
    /// Whether this is to be expected once its session was ended on purpose.
    pub orphan: bool,
    explanation: Option<&'a str>,
}

impl<'a> Classification<'a> {
    const UNLISTED: Self = Self {
        class: ErrorClass::Unrelated,
        rule: "unlisted",
        orphan: false,
        explanation: None,
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
    ///
    /// ```
    /// use whatsapp_phone::ProtocolErrorClassifier;
    /// use whatsapp_phone::classify::{Phase, Verdict};
    ///
    /// let classifier = ProtocolErrorClassifier::new();
    /// let found = classifier.classify_text("Error: Attempted to use detached Frame 'D7E3'.");
    /// assert_eq!(found.verdict(Phase::Live), Verdict::EndSession);
    /// assert_eq!(found.verdict(Phase::Ending), Verdict::Suppress);
    /// ```
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

    /// What happened and what it means, in a line for a log: the words of your rule if it has some,
    /// else those of the class. Never a word of the failure itself.
    #[must_use]
    pub const fn explanation(self) -> &'a str {
        match self.explanation {
            Some(explanation) => explanation,
            None => self.class.explanation(),
        }
    }
}

impl fmt::Display for Classification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.class, self.rule, self.explanation())
    }
}

impl From<&'static Row> for Classification<'_> {
    fn from(row: &'static Row) -> Self {
        Self {
            class: row.class,
            rule: row.name,
            orphan: row.orphan,
            explanation: None,
        }
    }
}

impl<'a> From<&'a Rule> for Classification<'a> {
    fn from(rule: &'a Rule) -> Self {
        Self {
            class: rule.class,
            rule: &rule.name,
            orphan: rule.orphan,
            explanation: rule.explanation.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests;
