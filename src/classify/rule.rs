//! [`Rule`]: a rule of the user.

use std::borrow::Cow;

use super::ErrorClass;
use crate::failure::Site;

/// Your own rule, tried [before or after](super::ProtocolErrorClassifier::builder) the built-in ones.
/// Its parts may come from a configuration at run time.
///
/// A rule matches if the failure has its code and its call site, and if the text in front of the stack
/// contains all its phrases, case included; a part that the rule does not set does not matter. Only
/// rules for [`Site::Script`] read text from the page.
///
/// ```
/// use whatsapp_phone::ProtocolErrorClassifier;
/// use whatsapp_phone::classify::{ErrorClass, Phase, Rule, Verdict};
///
/// let pool = Rule::text("pool_drained", ErrorClass::BrowserGone, "our pool has no browser left")
///     .and("worker")
///     .orphan()
///     .explained("the browser pool is empty; the pool's own log says why");
/// let classifier = ProtocolErrorClassifier::builder().before(pool).build();
///
/// let found = classifier.classify_text("worker 3: our pool has no browser left");
/// assert_eq!(found.rule, "pool_drained");
/// assert_eq!(found.verdict(Phase::Ending), Verdict::Suppress);
/// assert_eq!(found.explanation(), "the browser pool is empty; the pool's own log says why");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rule {
    pub(super) name: Cow<'static, str>,
    pub(super) class: ErrorClass,
    pub(super) orphan: bool,
    pub(super) explanation: Option<Cow<'static, str>>,
    code: Option<Cow<'static, str>>,
    phrases: Vec<Cow<'static, str>>,
    site: Option<Site>,
}

impl Rule {
    /// Creates a rule on a phrase. Every text contains an empty phrase.
    pub fn text(
        name: impl Into<Cow<'static, str>>,
        class: ErrorClass,
        phrase: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(name.into(), class).and(phrase)
    }

    /// Creates a rule on the code of a failure.
    ///
    /// ```
    /// use whatsapp_phone::classify::{ErrorClass, Rule};
    /// use whatsapp_phone::failure::{ProtocolFailure, Site};
    /// use whatsapp_phone::ProtocolErrorClassifier;
    ///
    /// let rule = Rule::code("grid_full", ErrorClass::Network, "session not created").and("queue");
    /// let classifier = ProtocolErrorClassifier::builder().before(rule).build();
    /// let failure = ProtocolFailure::new(Site::WebDriverCommand, "the queue is full")
    ///     .with_code("session not created");
    /// assert_eq!(classifier.classify(&failure).rule, "grid_full");
    /// ```
    pub fn code(
        name: impl Into<Cow<'static, str>>,
        class: ErrorClass,
        code: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code: Some(code.into()),
            ..Self::new(name.into(), class)
        }
    }

    const fn new(name: Cow<'static, str>, class: ErrorClass) -> Self {
        Self {
            name,
            class,
            orphan: false,
            explanation: None,
            code: None,
            phrases: Vec::new(),
            site: None,
        }
    }

    /// Requires that the text also contains this phrase.
    pub fn and(mut self, phrase: impl Into<Cow<'static, str>>) -> Self {
        self.phrases.push(phrase.into());
        self
    }

    /// Limits the rule to this call site.
    pub fn at(mut self, site: Site) -> Self {
        self.site = Some(site);
        self
    }

    /// Marks a failure that is expected once its session was ended on purpose, and suppressed then.
    pub fn orphan(mut self) -> Self {
        self.orphan = true;
        self
    }

    /// Sets the meaning, in a line for a log.
    pub fn explained(mut self, explanation: impl Into<Cow<'static, str>>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// Returns the name, as in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn matches(&self, site: Site, code: Option<&str>, head: &str) -> bool {
        let is_read = self.phrases.is_empty() || site != Site::Script || self.site == Some(site);
        is_read
            && self.site.is_none_or(|own| own == site)
            && self.code.as_deref().is_none_or(|own| code == Some(own))
            && self.phrases.iter().all(|phrase| head.contains(&**phrase))
    }
}
