//! A rule of the user's: [`Rule`].

use std::borrow::Cow;

use super::ErrorClass;
use crate::failure::Site;

/// A rule of your own, to be asked [before or after](super::ProtocolErrorClassifier::builder) the
/// table. Its parts may come from a configuration at run time.
///
/// It matches where its code is the failure's, where the text before the stack has all its phrases,
/// letter by letter, and where its call site is the failure's; what it does not name does not matter.
/// Text from the page ([`Site::Script`]) is shown only to rules that name that site.
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
    /// A rule on these words. An empty phrase is in every text.
    pub fn text(
        name: impl Into<Cow<'static, str>>,
        class: ErrorClass,
        phrase: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(name.into(), class).and(phrase)
    }

    /// A rule on the code that came with a failure.
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

    /// The text must have this phrase too.
    pub fn and(mut self, phrase: impl Into<Cow<'static, str>>) -> Self {
        self.phrases.push(phrase.into());
        self
    }

    /// It holds for this call site only.
    pub fn at(mut self, site: Site) -> Self {
        self.site = Some(site);
        self
    }

    /// It is to be expected once its session was ended on purpose, and suppressed then.
    pub fn orphan(mut self) -> Self {
        self.orphan = true;
        self
    }

    /// What it means, in a line for a log.
    pub fn explained(mut self, explanation: impl Into<Cow<'static, str>>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// The name, as in logs.
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
