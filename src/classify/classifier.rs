//! [`ProtocolErrorClassifier`]: how failures are read by the rows and by rules of the user's.

use std::cell::OnceCell;
use std::error::Error;
use std::fmt::{self, Write};
use std::sync::Arc;

use super::index::{self, Found};
use super::rules::{self, Pattern, Row};
use super::{Classification, MAX_CAUSES, MAX_READ, Rule, code};
use crate::failure::{ProtocolFailure, Site};

/// Longest part of the words of a foreign error that is read, in bytes.
const MAX_WORDS: usize = 4 * 1024;

/// Reads failures by the [rows](super::rows) of the table and by rules of your own. It never blocks; a
/// clone shares the rules.
///
/// Reading a [`ProtocolFailure`] or a text allocates nothing, but for the first reading of all, which
/// makes the index over the table. [`classify_error`](Self::classify_error) does where it knows an
/// error of fantoccini's by its variant, and where the error allocates to put itself into words.
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

/// Collects rules of your own: [`ProtocolErrorClassifier::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClassifierBuilder {
    own: Own,
}

impl ClassifierBuilder {
    /// Adds a rule that is asked before the table, behind those added so before.
    pub fn before(mut self, rule: Rule) -> Self {
        self.own.before.push(rule);
        self
    }

    /// Adds a rule that is asked where no row matched, or only one on a code that says little
    /// ([`Pattern::VagueCode`]), behind those added so before.
    pub fn after(mut self, rule: Rule) -> Self {
        self.own.after.push(rule);
        self
    }

    /// The classifier with these rules and the table.
    #[must_use]
    pub fn build(self) -> ProtocolErrorClassifier {
        let has_none = self.own.before.is_empty() && self.own.after.is_empty();
        ProtocolErrorClassifier {
            own: (!has_none).then(|| Arc::new(self.own)),
        }
    }
}

impl ProtocolErrorClassifier {
    /// The classifier by the rows of the table alone.
    #[must_use]
    pub const fn new() -> Self {
        Self { own: None }
    }

    /// A classifier with rules of your own beside the table.
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

    /// What a driver's failure means. If neither its code nor its text is known, or its code alone and
    /// that says little ([`Pattern::VagueCode`]), its causes are read, at most eight.
    ///
    /// ```
    /// use whatsapp_phone::classify::{ErrorClass, ProtocolErrorClassifier};
    /// use whatsapp_phone::failure::{ProtocolFailure, Site};
    ///
    /// let said_by_the_page = ProtocolFailure::new(Site::WebDriverCommand, "javascript error: Session closed")
    ///     .with_code("javascript error");
    /// let classifier = ProtocolErrorClassifier::new();
    /// let found = classifier.classify(&said_by_the_page);
    /// assert_eq!(found.class, ErrorClass::PageScript);
    /// assert_eq!(found.rule, "javascript_error");
    /// ```
    #[must_use]
    pub fn classify(&self, failure: &ProtocolFailure) -> Classification<'_> {
        let mut vague = None;
        let mut next = Some(failure);
        for _ in 0..=MAX_CAUSES {
            let Some(failure) = next else { break };
            match self.read(failure.site(), failure.code(), failure.message()) {
                Answer::Clear(found) => return found,
                Answer::Vague(found) => vague = vague.or(Some(found)),
                Answer::None => {}
            }
            if failure.site() == Site::Script && vague.is_some() {
                break; // its causes may be the page's too
            }
            next = failure.source().and_then(|cause| cause.downcast_ref());
        }
        vague.unwrap_or(Classification::UNLISTED)
    }

    /// What a plain text means, for instance a line of a log, of which nothing else is known. The
    /// first [`MAX_READ`] bytes count.
    ///
    /// Where the text shows that it comes from a WebDriver client and begins with an error code, the
    /// code goes first here too.
    #[must_use]
    pub fn classify_text(&self, text: &str) -> Classification<'_> {
        self.classify_text_at(Site::Unknown, text)
    }

    /// What a plain text means that was caught at this call site. The first [`MAX_READ`] bytes count,
    /// of which a [`ProtocolFailure`] keeps 1 KiB: tracebacks of Python have their message last.
    ///
    /// ```
    /// use whatsapp_phone::ProtocolErrorClassifier;
    /// use whatsapp_phone::classify::ErrorClass;
    /// use whatsapp_phone::failure::Site;
    ///
    /// let classifier = ProtocolErrorClassifier::new();
    /// let of_the_driver = classifier.classify_text_at(Site::WebDriverCommand, "socket hang up");
    /// assert_eq!(of_the_driver.class, ErrorClass::BrowserGone);
    /// let of_anybody = classifier.classify_text("socket hang up");
    /// assert_eq!(of_anybody.class, ErrorClass::Unrelated);
    /// ```
    #[must_use]
    pub fn classify_text_at(&self, site: Site, text: &str) -> Classification<'_> {
        self.read(site, None, text).or_unlisted()
    }

    /// What any error means that was caught at this call site.
    ///
    /// fantoccini's errors are known by their variants (feature `webdriver`), a [`ProtocolFailure`] as
    /// it is, wherever in the chain of causes they stand. Otherwise the words of the whole chain are
    /// read together, outermost first, at most eight causes and 4 KiB.
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
    /// let of_anybody = classifier.classify_error(Site::Unknown, &refused);
    /// assert_eq!(of_anybody.class, ErrorClass::Unrelated);
    /// ```
    #[must_use]
    pub fn classify_error(&self, site: Site, error: &(dyn Error + 'static)) -> Classification<'_> {
        let mut words = Words::new();
        for error in chain(error) {
            if let Some(failure) = error.downcast_ref::<ProtocolFailure>() {
                return self.classify(failure);
            }
            #[cfg(feature = "webdriver")]
            if let Some(failure) = crate::failure::webdriver::known(error) {
                return self.classify(&failure);
            }
            words.add(error);
        }
        self.read(site, None, words.as_str()).or_unlisted()
    }

    /// Reads one failure: own rules, the table, own rules again, and last what says little.
    fn read(&self, site: Site, code: Option<&str>, said: &str) -> Answer<'_> {
        let read = Read {
            site,
            said: &said[..said.floor_char_boundary(MAX_READ)],
            found: OnceCell::new(),
        };
        let own = |rules: fn(&Own) -> &[Rule]| {
            let own = self.own.as_deref()?;
            let head = read.head();
            let mut rules = rules(own).iter();
            let rule = rules.find(|rule| rule.matches(site, code, head))?;
            Some(Classification::from(rule))
        };
        if let Some(found) = own(|own| &own.before) {
            return Answer::Clear(found);
        }
        let row = read.row(code);
        let is_vague = |row: &&Row| matches!(row.pattern, Pattern::VagueCode(_));
        if let Some(row) = row.filter(|row| !is_vague(row)) {
            return Answer::Clear(row.into());
        }
        if let Some(found) = own(|own| &own.after) {
            return Answer::Clear(found);
        }
        let any_script = (site == Site::Script).then(rules::any_script);
        row.or(any_script)
            .map_or(Answer::None, |row| Answer::Vague(row.into()))
    }
}

/// What one reading gave.
enum Answer<'a> {
    /// Nothing behind it has to be asked.
    Clear(Classification<'a>),
    /// It holds unless a cause says more.
    Vague(Classification<'a>),
    None,
}

impl<'a> Answer<'a> {
    fn or_unlisted(self) -> Classification<'a> {
        match self {
            Self::Clear(found) | Self::Vague(found) => found,
            Self::None => Classification::UNLISTED,
        }
    }
}

/// A text as the table sees it.
struct Read<'a> {
    site: Site,
    said: &'a str,
    /// What was found in the text, once somebody has asked: a code often says enough.
    found: OnceCell<Found>,
}

impl Read<'_> {
    fn search(&self) -> &Found {
        self.found
            .get_or_init(|| index::built_in().search(self.said))
    }

    /// What stands before the stack.
    fn head(&self) -> &str {
        &self.said[..self.search().head]
    }

    /// What was found in the text, unless the text may be the page's.
    fn found(&self) -> Option<&Found> {
        (self.site != Site::Script).then(|| self.search())
    }

    fn row(&self, code: Option<&str>) -> Option<&'static Row> {
        let told = || code::leading(self.head(), self.found()?.is_drivers);
        match code.or_else(told) {
            Some(code) => self.by_code(code),
            None => self.by_text(),
        }
    }

    fn by_code(&self, is: &str) -> Option<&'static Row> {
        let row = rules::codes().iter().find(|row| match row.pattern {
            Pattern::Code(code) | Pattern::VagueCode(code) => code == is,
            Pattern::CodeAndText(code, phrase) => {
                code == is && self.found().is_some() && self.head().contains(phrase)
            }
            Pattern::Text(_) | Pattern::AnyScript => false,
        });
        match row {
            Some(row) if matches!(row.pattern, Pattern::VagueCode(_)) => {
                self.by_text().or(Some(row))
            }
            Some(row) => Some(row),
            // A code that is not listed says nothing, but the text may.
            None => self.by_text(),
        }
    }

    fn by_text(&self) -> Option<&'static Row> {
        index::built_in().first(self.found()?, self.site)
    }
}

/// An error and its causes, at most eight.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).take(MAX_CAUSES + 1)
}

/// The words of a chain of errors, without an allocation of ours.
struct Words {
    bytes: [u8; MAX_WORDS],
    len: usize,
}

impl Words {
    const fn new() -> Self {
        Self {
            bytes: [0; MAX_WORDS],
            len: 0,
        }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }

    fn add(&mut self, error: &dyn Error) {
        let between = if self.len == 0 { "" } else { ": " };
        // An error of formatting only says that there is no more room.
        let _ = write!(self, "{between}{error}");
    }
}

impl Write for Words {
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
