//! Classifies failures: [`ProtocolErrorClassifier`].
//!
//! The programs between this crate and the page report one thing in many words, and different things in
//! the same words. The built-in rules are one table; each rule has a class, a real message and its
//! source. A failure that no rule matches is [`ErrorClass::Unrelated`], and it is neither retried nor
//! suppressed: a process-wide handler must never swallow the errors of a database or mail server.
//!
//! The classifier reads a failure in this order:
//!
//! 1. **The code decides before the text.** A page can throw any words, and drivers pass them on. The
//!    text decides first only if the code says little (`unknown error`, `timeout`, `invalid session id`).
//! 2. **Text from the page is not read** ([`Site::Script`](crate::failure::Site::Script)); only its code
//!    counts.
//! 3. **Case and brackets count.** `session closed` is SFTP, `Protocol error, got` is Redis.
//! 4. **Stacks are not searched**, only the text in front of them and the causes behind them.
//! 5. **Words that any program uses count only at a known call site.** `Connection refused` is a lost
//!    driver in a WebDriver command ([`Site::WebDriverCommand`](crate::failure::Site::WebDriverCommand)),
//!    a network failure of a sidecar, and otherwise unrelated unless the text names a driver's address.
//! 6. If nothing matches, or only a code that says little, the cause of the failure is read the same way.
//!
//! White space, line breaks and colours within a sentence do not matter, nor do the prefixes that logs
//! add. Your own rules are tried [before or after](ProtocolErrorClassifier::builder) the built-in ones.
//!
//! The same text is an expected orphan if its session was ended on purpose, and a lost page in a live
//! session. The text does not show the difference; the caller passes it as [`Phase`].
//!
//! Classifying never blocks and allocates nothing after the first call, except for errors of fantoccini.
//! Its time grows linearly with the text, up to [`MAX_READ`].

mod classifier;
mod code;
mod kinds;
mod matcher;
mod rule;
mod rules;
mod text;

use std::fmt;

use rules::Row;

pub use classifier::{ClassifierBuilder, ProtocolErrorClassifier};
pub use kinds::{ErrorClass, Phase, Verdict};
pub use rule::Rule;

/// Longest part of a plain text that is read, in bytes. The rest is ignored.
pub const MAX_READ: usize = 64 * 1024;

/// Longest chain of causes that is followed.
const MAX_CAUSES: usize = 8;

/// The class of a failure and the rule that matched. `Display` is a line for a log.
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
    /// The class of the failure.
    pub class: ErrorClass,
    /// The stable name of the rule that matched, built-in or your own; `unlisted` if none did.
    pub rule: &'a str,
    /// Whether such a failure is expected once its session was ended on purpose.
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

    const fn of_row(row: &'static Row) -> Self {
        Self {
            class: row.class,
            rule: row.name,
            orphan: row.orphan,
            explanation: None,
        }
    }

    fn of_rule(rule: &'a Rule) -> Self {
        Self {
            class: rule.class,
            rule: &rule.name,
            orphan: rule.orphan,
            explanation: rule.explanation.as_deref(),
        }
    }

    /// Returns the action to take in a session of this phase.
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

    /// Returns the meaning in a line for a log: the explanation of your rule if it has one, else that of
    /// the class. It never quotes the failure.
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

/// A [`Classification`] that outlives its classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedClassification {
    class: ErrorClass,
    rule: Box<str>,
    orphan: bool,
    explanation: Option<Box<str>>,
}

impl OwnedClassification {
    pub(crate) fn get(&self) -> Classification<'_> {
        Classification {
            class: self.class,
            rule: &self.rule,
            orphan: self.orphan,
            explanation: self.explanation.as_deref(),
        }
    }
}

impl From<Classification<'_>> for OwnedClassification {
    fn from(found: Classification<'_>) -> Self {
        Self {
            class: found.class,
            rule: found.rule.into(),
            orphan: found.orphan,
            explanation: found.explanation.map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests;
