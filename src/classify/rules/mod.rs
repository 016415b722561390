//! The table of rules, in files by subject.
//!
//! A [`Row`] names a class and the conditions of one rule, all of which a failure must meet. Rules on
//! text are tried from top to bottom, files in the order of [`rows`], so an exception comes before the
//! rule that it is an exception to. Each row carries a real message and its source; a test checks that
//! every message meets its own row first.
//!
//! Phrases are compared byte by byte, case included; a blank stands for any white space. A phrase that
//! lacks its first letter fits both spellings: `hrome` is in `Chrome` and in `chrome`.

mod codes;
mod driver;
mod losses;
mod names;
mod navigation;
mod page;
mod quotes;
mod setup;
mod transport;
mod waits;

pub(super) use names::PAGE_SAID;

use super::ErrorClass;
use crate::failure::Site;

/// One rule of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// The stable name, as in logs.
    pub(super) name: &'static str,
    pub(super) class: ErrorClass,
    pub(super) orphan: bool,
    /// The error code that the failure must carry. A row without one is a rule on text.
    pub(super) code: Option<&'static str>,
    /// Whether other programs begin their errors with the same words as this code.
    pub(super) is_common: bool,
    /// Whether a rule on text, or a cause, decides first.
    pub(super) is_fallback: bool,
    conditions: [Option<Condition>; 3],
    /// The call sites that the row holds for; none means all.
    pub(super) sites: &'static [Site],
    /// A real message, for readers and tests.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) sample: &'static str,
}

/// A condition on the text: it has one of these phrases in this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) place: Place,
    phrases: Phrases,
}

#[derive(Clone, Copy, Debug)]
enum Phrases {
    One(&'static str),
    Any(&'static [&'static str]),
}

/// The part of a text that a phrase is looked for in. A message is what follows the words that logs
/// put in front: a time, a level, the name of a container, the type of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    MessageStart,
    MessageEnd,
    WholeMessage,
    WholeText,
}

const fn row(name: &'static str, class: ErrorClass) -> Row {
    Row {
        name,
        class,
        orphan: false,
        code: None,
        is_common: false,
        is_fallback: false,
        conditions: [None; 3],
        sites: &[],
        sample: "",
    }
}

impl Row {
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().flatten()
    }

    /// Requires this error code.
    const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Requires this error code. Other programs begin their errors with the same words, so in a plain
    /// text it counts only beside another sign of a WebDriver client.
    const fn common_code(mut self, code: &'static str) -> Self {
        self.is_common = true;
        self.code(code)
    }

    /// Lets a rule on text, or a cause, decide first: the code alone says little.
    const fn fallback(mut self) -> Self {
        self.is_fallback = true;
        self
    }

    const fn contains(self, phrase: &'static str) -> Self {
        self.when(Place::Anywhere, Phrases::One(phrase))
    }

    const fn contains_any(self, phrases: &'static [&'static str]) -> Self {
        self.when(Place::Anywhere, Phrases::Any(phrases))
    }

    const fn message_starts(self, phrase: &'static str) -> Self {
        self.when(Place::MessageStart, Phrases::One(phrase))
    }

    const fn message_starts_any(self, phrases: &'static [&'static str]) -> Self {
        self.when(Place::MessageStart, Phrases::Any(phrases))
    }

    const fn message_ends(self, phrase: &'static str) -> Self {
        self.when(Place::MessageEnd, Phrases::One(phrase))
    }

    const fn message_ends_any(self, phrases: &'static [&'static str]) -> Self {
        self.when(Place::MessageEnd, Phrases::Any(phrases))
    }

    const fn message_is(self, phrase: &'static str) -> Self {
        self.when(Place::WholeMessage, Phrases::One(phrase))
    }

    const fn message_is_any(self, phrases: &'static [&'static str]) -> Self {
        self.when(Place::WholeMessage, Phrases::Any(phrases))
    }

    const fn text_is_any(self, phrases: &'static [&'static str]) -> Self {
        self.when(Place::WholeText, Phrases::Any(phrases))
    }

    const fn when(mut self, place: Place, phrases: Phrases) -> Self {
        let mut free = 0;
        while self.conditions[free].is_some() {
            free += 1;
        }
        self.conditions[free] = Some(Condition { place, phrases });
        self
    }

    /// Marks a failure that is expected once its session was ended on purpose.
    const fn orphan(mut self) -> Self {
        self.orphan = true;
        self
    }

    /// Narrows the row to these call sites.
    const fn at(mut self, sites: &'static [Site]) -> Self {
        self.sites = sites;
        self
    }

    /// Adds a real message and its source.
    const fn sample(mut self, sample: &'static str, _source: &'static str) -> Self {
        self.sample = sample;
        self
    }
}

impl Condition {
    pub(super) const fn phrases(&self) -> &[&'static str] {
        match &self.phrases {
            Phrases::One(phrase) => std::slice::from_ref(phrase),
            Phrases::Any(phrases) => phrases,
        }
    }
}

const BROWSER: &[Site] = &[Site::WebDriverCommand, Site::Cdp];
const CDP: &[Site] = &[Site::Cdp];
const SIDECAR: &[Site] = &[Site::Sidecar];

// Sources that many rows share.
const BIDI: &str = "Puppeteer and WebdriverIO over WebDriver BiDi";
const CHROMEDP: &str = "chromedp, rod";
const CHROMEDRIVER: &str = "ChromeDriver";
const CHROMIUMOXIDE: &str = "chromiumoxide";
const FANTOCCINI: &str = "fantoccini 0.22";
const GECKODRIVER: &str = "geckodriver";
const HEADLESS_CHROME: &str = "headless_chrome";
const HTTP: &str = "HTTP clients";
const PLAYWRIGHT: &str = "Playwright";
const PUPPETEER: &str = "Puppeteer";
const PYPPETEER: &str = "pyppeteer";
const SELENIUM: &str = "Selenium";
const THIS_CRATE: &str = "this crate";
const TUNGSTENITE: &str = "tungstenite 0.30";
const W3C: &str = "W3C WebDriver, section Errors";
const WWEBJS: &str = "whatsapp-web.js";

/// Returns every row in the order in which they are tried: rows on codes, then rows on text.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    let files = [
        codes::ROWS,
        quotes::ROWS,
        setup::ROWS,
        navigation::ROWS,
        losses::ROWS,
        driver::ROWS,
        waits::ROWS,
        page::ROWS,
        transport::ROWS,
        names::ROWS,
    ];
    files.into_iter().flatten()
}
