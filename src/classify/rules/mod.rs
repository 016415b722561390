//! The table: [`rows`], in files by what the rows are about.
//!
//! Rows on text are asked from top to bottom, so a row stands above those it is an exception to, and
//! the files are asked in the order of [`TABLES`]. Each row carries a real sample and where it was
//! seen; a test holds every sample to its own row.

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

use std::fmt;

use super::ErrorClass;
use crate::failure::Site;

/// One row of the table: what it matches and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The stable name, as in logs.
    pub name: &'static str,
    /// What it means.
    pub class: ErrorClass,
    /// Whether it is to be expected once its session was ended on purpose.
    pub orphan: bool,
    /// What it matches.
    pub pattern: Pattern,
    /// The call sites that it holds for.
    pub sites: Sites,
    /// A real message that it matches, under its code if the pattern has one.
    pub sample: &'static str,
    /// Where the sample comes from.
    pub origin: &'static str,
}

/// What a [`Row`] matches.
///
/// Phrases are searched letter by letter, case included; a blank stands for any white space, line
/// breaks too. A `^` in front: a message begins there, what logs put before it not counted; `^^`: the text
/// begins there. A `$` at the end: the message ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pattern {
    /// The code is this one; the text is not asked.
    Code(&'static str),
    /// The code is this one and the text has this phrase.
    CodeAndText(&'static str, &'static str),
    /// The code is this one, which says little: a row on text goes first.
    VagueCode(&'static str),
    /// The text has all of these phrases, in whatever order.
    Text(&'static [&'static str]),
    /// The failure comes from a script and nothing else is known about it.
    AnyScript,
}

/// A set of call sites.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sites(u8);

impl Sites {
    pub(super) const ANY: Self = Self(u8::MAX);
    pub(super) const DRIVER: Self = Self(1 << Site::WebDriverCommand as u8);
    pub(super) const CDP: Self = Self(1 << Site::Cdp as u8);
    pub(super) const SIDECAR: Self = Self(1 << Site::Sidecar as u8);
    /// Whoever speaks to the browser or its driver.
    pub(super) const BROWSER: Self = Self(Self::DRIVER.0 | Self::CDP.0);

    /// Whether the site is one of them.
    #[must_use]
    pub const fn contains(self, site: Site) -> bool {
        self.0 & (1 << site as u8) != 0
    }
}

impl fmt::Debug for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Site::ALL.iter().filter(|site| self.contains(**site));
        f.debug_set().entries(all).finish()
    }
}

const ORPHAN: bool = true;
const KEEP: bool = false;

// Origins that many rows share.
const W3C: &str = "W3C WebDriver, section Errors";
const CHROMEDRIVER: &str = "ChromeDriver";
const GECKODRIVER: &str = "geckodriver";
const SELENIUM: &str = "Selenium";
const FANTOCCINI: &str = "fantoccini 0.22";
const PUPPETEER: &str = "Puppeteer";
const PYPPETEER: &str = "pyppeteer";
const BIDI: &str = "Puppeteer and WebdriverIO over WebDriver BiDi";
const PLAYWRIGHT: &str = "Playwright";
const WWEBJS: &str = "whatsapp-web.js";
const CHROMIUMOXIDE: &str = "chromiumoxide";
const HEADLESS_CHROME: &str = "headless_chrome";
const CHROMEDP: &str = "chromedp, rod";
const HTTP: &str = "HTTP clients";
const OURS: &str = "this crate";

const fn row(
    name: &'static str,
    class: ErrorClass,
    orphan: bool,
    pattern: Pattern,
    sample: &'static str,
    origin: &'static str,
) -> Row {
    Row {
        name,
        class,
        orphan,
        pattern,
        sites: Sites::ANY,
        sample,
        origin,
    }
}

const fn text(
    name: &'static str,
    class: ErrorClass,
    orphan: bool,
    phrases: &'static [&'static str],
    sample: &'static str,
    origin: &'static str,
) -> Row {
    row(name, class, orphan, Pattern::Text(phrases), sample, origin)
}

impl Row {
    /// Narrows the row to these call sites.
    const fn at(mut self, sites: Sites) -> Self {
        self.sites = sites;
        self
    }
}

/// The files, first asked first.
pub(super) const TABLES: &[&[Row]] = &[
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
    std::slice::from_ref(&names::PAGE_SAID),
];

/// The rows on codes.
pub(super) const fn codes() -> &'static [Row] {
    codes::ROWS
}

/// The row for whatever a script said.
pub(super) const fn any_script() -> &'static Row {
    &names::PAGE_SAID
}

/// Every row in the order in which they are asked, exceptions first.
///
/// ```
/// let row = whatsapp_phone::classify::rows().find(|row| row.name == "target_closed").unwrap();
/// assert!(row.orphan && row.sample.contains("Target closed"));
/// ```
pub fn rows() -> impl Iterator<Item = &'static Row> + Clone {
    TABLES.iter().copied().flatten()
}
