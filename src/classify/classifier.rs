//! [`ProtocolErrorClassifier`] reads failures by the table and by the user's rules.

use std::cell::OnceCell;
use std::error::Error;
use std::fmt::{self, Write};
use std::sync::Arc;

use super::matcher::{Found, MATCHER};
use super::rules::{PAGE_SAID, Row};
use super::{Classification, MAX_CAUSES, MAX_READ, Rule, code};
use crate::failure::{ProtocolFailure, Site, causes, find};

/// Longest part of a foreign chain of errors that is read, in bytes.
const MAX_CHAIN: usize = 4 * 1024;

/// Classifies failures by the built-in rules and by your own. It never blocks. A clone shares the rules.
///
/// Classifying a [`ProtocolFailure`] or a text allocates nothing, except that the first call of the
/// process prepares the rules. [`classify_error`](Self::classify_error) allocates for an error of
/// fantoccini and for an error whose `Display` allocates.
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
#[derive(Clone, Debug, Default)]
pub struct ProtocolErrorClassifier {
    own: Option<Arc<Own>>,
}

#[derive(Clone, Debug, Default)]
struct Own {
    before: Vec<Rule>,
    after: Vec<Rule>,
}

/// Collects your own rules: [`ProtocolErrorClassifier::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClassifierBuilder {
    own: Own,
}

impl ClassifierBuilder {
    /// Adds a rule that is tried before the built-in ones, after those added earlier.
    pub fn before(mut self, rule: Rule) -> Self {
        self.own.before.push(rule);
        self
    }

    /// Adds a rule that is tried if no built-in rule matched, or only one on a code that says little
    /// (`unknown error`, `timeout`, `invalid session id`), after those added earlier.
    pub fn after(mut self, rule: Rule) -> Self {
        self.own.after.push(rule);
        self
    }

    /// Returns a classifier with these rules and the built-in ones.
    #[must_use]
    pub fn build(self) -> ProtocolErrorClassifier {
        let has_none = self.own.before.is_empty() && self.own.after.is_empty();
        ProtocolErrorClassifier {
            own: (!has_none).then(|| Arc::new(self.own)),
        }
    }
}

impl ProtocolErrorClassifier {
    /// Returns a classifier with the built-in rules alone.
    #[must_use]
    pub const fn new() -> Self {
        Self { own: None }
    }

    /// Starts a classifier with your own rules beside the built-in ones.
    ///
    /// ```
    /// use whatsapp_phone::ProtocolErrorClassifier;
    /// use whatsapp_phone::classify::{ErrorClass, Rule};
    ///
    /// let classifier = ProtocolErrorClassifier::builder()
    ///     .before(Rule::text("tenant_gone", ErrorClass::PageClosed, "tenant was deleted"))
    ///     .after(Rule::text("other_protocol", ErrorClass::Network, "Protocol error"))
    ///     .build();
    /// assert_eq!(classifier.classify_text("the tenant was deleted").rule, "tenant_gone");
    /// assert_eq!(classifier.classify_text("Protocol error (a.b): Target closed").rule, "target_closed");
    /// assert_eq!(classifier.classify_text("Protocol error 7").rule, "other_protocol");
    /// ```
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// Classifies the failure of a driver. Its causes, at most eight, are read if neither its code nor
    /// its text is known, or only a code that says little (`unknown error`, `timeout`,
    /// `invalid session id`).
    ///
    /// ```
    /// use whatsapp_phone::classify::{ErrorClass, ProtocolErrorClassifier};
    /// use whatsapp_phone::failure::{ProtocolFailure, Site};
    ///
    /// let by_the_page = ProtocolFailure::new(Site::WebDriverCommand, "javascript error: Session closed")
    ///     .with_code("javascript error");
    /// let classifier = ProtocolErrorClassifier::new();
    /// let found = classifier.classify(&by_the_page);
    /// assert_eq!(found.class, ErrorClass::PageScript);
    /// assert_eq!(found.rule, "javascript_error");
    /// ```
    #[must_use]
    pub fn classify(&self, failure: &ProtocolFailure) -> Classification<'_> {
        let mut fallback = None;
        let mut next = Some(failure);
        for _ in 0..=MAX_CAUSES {
            let Some(failure) = next else { break };
            match self.read(failure.site(), failure.code(), failure.message()) {
                RuleMatch::Final(found) => return found,
                RuleMatch::Fallback(found) => fallback = fallback.or(Some(found)),
                RuleMatch::None => {}
            }
            if failure.site() == Site::Script && fallback.is_some() {
                break; // The page may have written the causes too.
            }
            next = failure.source().and_then(|cause| cause.downcast_ref());
        }
        fallback.unwrap_or(Classification::UNLISTED)
    }

    /// Classifies a plain text of unknown origin, for instance a line of a log. The first [`MAX_READ`]
    /// bytes count.
    ///
    /// If a WebDriver client wrote the text and it begins with an error code, the code decides first.
    #[must_use]
    pub fn classify_text(&self, text: &str) -> Classification<'_> {
        self.classify_text_at(Site::Unknown, text)
    }

    /// Classifies a plain text that was caught at this call site. The first [`MAX_READ`] bytes count; a
    /// [`ProtocolFailure`] keeps only 1 KiB, and tracebacks of Python end with their message.
    ///
    /// ```
    /// use whatsapp_phone::ProtocolErrorClassifier;
    /// use whatsapp_phone::classify::ErrorClass;
    /// use whatsapp_phone::failure::Site;
    ///
    /// let classifier = ProtocolErrorClassifier::new();
    /// let of_the_driver = classifier.classify_text_at(Site::WebDriverCommand, "socket hang up");
    /// assert_eq!(of_the_driver.class, ErrorClass::BrowserGone);
    /// let of_unknown_origin = classifier.classify_text("socket hang up");
    /// assert_eq!(of_unknown_origin.class, ErrorClass::Unrelated);
    /// ```
    #[must_use]
    pub fn classify_text_at(&self, site: Site, text: &str) -> Classification<'_> {
        self.read(site, None, text).or_unlisted()
    }

    /// Classifies any error that was caught at this call site.
    ///
    /// The errors of this crate are classified by their codes, also inside an `anyhow::Error` or another
    /// wrapper that hides their type, and those of fantoccini by their variants (feature `webdriver`), at
    /// any depth of the chain of causes. Otherwise the texts of the whole chain are read together,
    /// outermost first, at most eight causes and 4 KiB.
    ///
    /// ```
    /// use whatsapp_phone::ProtocolErrorClassifier;
    /// use whatsapp_phone::classify::ErrorClass;
    /// use whatsapp_phone::failure::Site;
    ///
    /// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    /// let classifier = ProtocolErrorClassifier::new();
    /// let of_the_driver = classifier.classify_error(Site::WebDriverCommand, &refused);
    /// assert_eq!(of_the_driver.class, ErrorClass::BrowserGone);
    /// let of_unknown_origin = classifier.classify_error(Site::Unknown, &refused);
    /// assert_eq!(of_unknown_origin.class, ErrorClass::Unrelated);
    /// ```
    #[must_use]
    pub fn classify_error(&self, site: Site, error: &(dyn Error + 'static)) -> Classification<'_> {
        if let Some(failure) = find::<ProtocolFailure>(error) {
            return self.classify(&failure);
        }
        let mut text = ChainText::new();
        for error in causes(error) {
            #[cfg(all(unix, feature = "webdriver"))]
            if let Some(failure) = crate::failure::webdriver::known(error) {
                return self.classify(&failure);
            }
            text.add(error);
        }
        self.read(site, None, text.as_str()).or_unlisted()
    }

    /// Reads one failure: the user's rules, the table, the user's later rules, and last what is only a
    /// fallback.
    fn read(&self, site: Site, code: Option<&str>, text: &str) -> RuleMatch<'_> {
        let reading = Reading {
            site,
            text: &text[..text.floor_char_boundary(MAX_READ)],
            found: OnceCell::new(),
        };
        let own = |rules: fn(&Own) -> &[Rule]| {
            let own = self.own.as_deref()?;
            let head = reading.head();
            let mut rules = rules(own).iter();
            rules
                .find(|rule| rule.matches(site, code, head))
                .map(Classification::of_rule)
        };
        if let Some(found) = own(|own| &own.before) {
            return RuleMatch::Final(found);
        }
        let row = reading.row(code);
        if let Some(row) = row.filter(|row| !row.is_fallback) {
            return RuleMatch::Final(Classification::of_row(row));
        }
        if let Some(found) = own(|own| &own.after) {
            return RuleMatch::Final(found);
        }
        row.or((site == Site::Script).then_some(&PAGE_SAID))
            .map_or(RuleMatch::None, |row| {
                RuleMatch::Fallback(Classification::of_row(row))
            })
    }
}

/// The result of reading one failure.
enum RuleMatch<'a> {
    Final(Classification<'a>),
    /// It counts unless a cause gives a final answer.
    Fallback(Classification<'a>),
    None,
}

impl<'a> RuleMatch<'a> {
    fn or_unlisted(self) -> Classification<'a> {
        match self {
            Self::Final(found) | Self::Fallback(found) => found,
            Self::None => Classification::UNLISTED,
        }
    }
}

/// A text that is read by the table.
struct Reading<'t> {
    site: Site,
    text: &'t str,
    /// The result of the search, which only runs if the code does not decide.
    found: OnceCell<Found>,
}

impl Reading<'_> {
    fn search(&self) -> &Found {
        self.found.get_or_init(|| MATCHER.search(self.text))
    }

    /// Returns the part in front of the stack.
    fn head(&self) -> &str {
        &self.text[..self.search().head]
    }

    /// Searches the text, unless the page may have written it.
    fn found(&self) -> Option<&Found> {
        (self.site != Site::Script).then(|| self.search())
    }

    fn row(&self, code: Option<&str>) -> Option<&'static Row> {
        let leading = || code::leading(self.head(), self.found()?.is_drivers);
        let by_code = code
            .or_else(leading)
            .and_then(|code| MATCHER.by_code(code, || self.found()));
        match by_code {
            Some(row) if !row.is_fallback => Some(row),
            fallback => self.by_text().or(fallback),
        }
    }

    fn by_text(&self) -> Option<&'static Row> {
        MATCHER.by_text(self.found()?, self.site)
    }
}

/// The texts of a chain of errors, on the stack.
struct ChainText {
    bytes: [u8; MAX_CHAIN],
    len: usize,
}

impl ChainText {
    const fn new() -> Self {
        Self {
            bytes: [0; MAX_CHAIN],
            len: 0,
        }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }

    fn add(&mut self, error: &dyn Error) {
        let separator = if self.len == 0 { "" } else { ": " };
        // Formatting fails only if there is no more room.
        let _ = write!(self, "{separator}{error}");
    }
}

impl Write for ChainText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let kept = &text.as_bytes()[..text.floor_char_boundary(room)];
        self.bytes[self.len..self.len + kept.len()].copy_from_slice(kept);
        self.len += kept.len();
        if kept.len() < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}
