//! What any driver reports when a look did not work: [`ProtocolFailure`].
//!
//! Every text in it was written by somebody else: a browser, a driver, a page, an HTTP peer. It is
//! cleaned once, here, so that whatever a host logs later cannot carry a phone number.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Longest text kept of a foreign message, in bytes. What is cut is marked by `…`.
pub const MAX_TEXT: usize = 1024;

/// Longest run of error causes kept.
const MAX_CAUSES: usize = 8;

/// Fewest digits of a number that is masked.
const MIN_RUN: usize = 7;

/// Where a failure came from, as far as the reporter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Site {
    /// A WebDriver command: the text was written by a driver or by its client library.
    WebDriverCommand,
    /// The result of a script that ran in the page: the page may have written the text.
    Script,
    /// A CDP or Puppeteer client.
    Cdp,
    /// A sidecar service over HTTP.
    Sidecar,
    /// Not known.
    #[default]
    Unknown,
}

impl Site {
    /// Every call site.
    pub const ALL: [Self; 5] = [
        Self::WebDriverCommand,
        Self::Script,
        Self::Cdp,
        Self::Sidecar,
        Self::Unknown,
    ];

    /// The stable name, as in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebDriverCommand => "webdriver_command",
            Self::Script => "script",
            Self::Cdp => "cdp",
            Self::Sidecar => "sidecar",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as a driver reports it: where, which code, which words, and what caused it.
///
/// Cheap to clone. All text is cleaned on the way in: control characters are dropped, JIDs and
/// numbers of seven or more digits are masked, and it is cut at [`MAX_TEXT`] bytes. `Display` prints
/// the message alone; causes are reached through [`Error::source`].
///
/// ```
/// use whatsapp_phone::failure::{ProtocolFailure, Site};
///
/// let failure = ProtocolFailure::new(Site::Script, "no chat with 628110000041@c.us")
///     .with_code("javascript error");
/// assert_eq!(failure.to_string(), "no chat with 62********41@c.us");
/// assert_eq!(failure.code(), Some("javascript error"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolFailure {
    site: Site,
    code: Option<Cow<'static, str>>,
    message: Arc<str>,
    source: Option<Arc<ProtocolFailure>>,
}

impl ProtocolFailure {
    /// A failure with these words, cleaned and cut.
    #[must_use]
    pub fn new(site: Site, message: impl AsRef<str>) -> Self {
        Self {
            site,
            code: None,
            message: clean(message.as_ref(), MAX_TEXT).into(),
            source: None,
        }
    }

    /// A failure from any error. The chain of [`Error::source`] is walked, at most eight deep, and
    /// each link is cleaned; the error itself is not kept, since its own texts are not masked.
    #[must_use]
    pub fn from_error(site: Site, error: &(dyn Error + 'static)) -> Self {
        Self::from_chain(site, error, MAX_CAUSES)
    }

    fn from_chain(site: Site, error: &(dyn Error + 'static), left: usize) -> Self {
        let mut failure = Self::new(site, error.to_string());
        failure.source = error
            .source()
            .filter(|_| left > 0)
            .map(|cause| Arc::new(Self::from_chain(site, cause, left - 1)));
        failure
    }

    /// Adds the code that the driver gave, for instance a W3C error code such as `no such window`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(match code.into() {
            Cow::Borrowed(known) => Cow::Borrowed(known),
            Cow::Owned(foreign) => Cow::Owned(clean(&foreign, 64)),
        });
        self
    }

    /// Adds what caused this failure.
    #[must_use]
    pub fn caused_by(mut self, cause: Self) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }

    /// Where it came from.
    #[must_use]
    pub const fn site(&self) -> Site {
        self.site
    }

    /// The code that came with it, if any: a W3C error code, or one of ours such as
    /// `ambiguous_tab`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The words, cleaned and cut.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ProtocolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ProtocolFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

/// Cleans a foreign text: drops control and invisible characters, masks JIDs and numbers, cuts at
/// `max` bytes and marks the cut. Reads no more of the input than it needs.
pub(crate) fn clean(text: &str, max: usize) -> String {
    // Masking never lengthens, and a number that the cut splits must not lose its mask: so more than
    // `max` is read before the masking, the last bytes of it only to judge what comes before them.
    let (wanted, ahead) = (max * 2, 64);
    let mut kept = String::with_capacity(text.len().min(wanted + ahead));
    let mut chars = text.chars();
    while kept.len() < wanted + ahead {
        let Some(c) = chars.next() else { break };
        if matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') {
            kept.push(' ');
        } else if !c.is_control() && !is_invisible(c) {
            kept.push(c);
        }
    }
    let is_cut = chars.next().is_some();
    let mut masked = if is_cut {
        mask(&kept, wanted)
    } else {
        mask(&kept, kept.len())
    };
    if is_cut || masked.len() > max {
        masked.truncate(masked.floor_char_boundary(max - '…'.len_utf8()));
        masked.push('…');
    }
    masked
}

/// Characters that print as nothing, or only adorn the one before them, and so could hide a number
/// from the mask: Unicode's `Default_Ignorable_Code_Point`, and the key caps among the marks.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{20d0}'..='\u{20f0}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Masks every JID's user and every number of seven or more digits, of any script, in what begins
/// before `limit`; the text behind it is only looked at.
///
/// People group digits: spaces, hyphens and brackets between them belong to the number. Dots and
/// slashes do only after a `+`, so that versions and addresses (`156.0.8078.79`, `127.0.0.1:9515`)
/// stay readable, and so do dates (`2026-01-31`). Thousands written with spaces are masked too: that
/// is the safer error.
fn mask(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(limit);
    let mut at = 0;
    while let Some(start) = text[at..].find(char::is_numeric).map(|found| at + found)
        && start < limit
    {
        let (before, from) = text.split_at(start);
        out.push_str(&text[at..start]);
        let len = iso_date(from).unwrap_or_else(|| number(before, from));
        let (run, after) = from.split_at(len);
        let digits: String = run.chars().filter(|c| c.is_numeric()).collect();
        // A run that the end of a cut text splits counts as a long one.
        let is_split = after.is_empty() && limit < text.len();
        let is_long = digits.chars().count() >= MIN_RUN && iso_date(from).is_none();
        if is_long || is_split || is_jid_tail(after) {
            let digits = mask_number(&digits);
            let mut digits = digits.chars();
            let masked = run.chars().filter_map(|c| match c.is_numeric() {
                true => digits.next(),
                false => Some(c),
            });
            out.extend(masked);
        } else {
            out.push_str(run);
        }
        at = start + len;
    }
    out.push_str(text.get(at..text.floor_char_boundary(limit)).unwrap_or(""));
    out
}

fn digits_end(text: &str) -> usize {
    text.find(|c: char| !c.is_numeric()).unwrap_or(text.len())
}

/// The length of the number at the start of `from`, with its groups of digits.
fn number(before: &str, from: &str) -> usize {
    let has_plus = ["+", "+(", "＋", "%2B", "%2b"]
        .iter()
        .any(|plus| before.ends_with(plus));
    let is_part = |text: &str, c: Option<char>| {
        matches!(c, Some('.' | ':')) && text.starts_with(char::is_numeric)
    };
    let mut end = digits_end(from);
    // The last part of an address or a version is not the first group of a number.
    let mut back = before.chars().rev();
    if !has_plus
        && matches!(back.next(), Some('.' | ':'))
        && back.next().is_some_and(char::is_numeric)
    {
        return end;
    }
    loop {
        let rest = &from[end..];
        let group = rest
            .trim_start_matches(|c: char| is_separator(c) || (has_plus && matches!(c, '.' | '/')));
        let gap = &rest[..rest.len() - group.len()];
        let len = digits_end(group);
        let mut after = group[len..].chars();
        let next = after.next();
        // An address or a version begins here.
        let is_other = !has_plus && is_part(after.as_str(), next);
        if len == 0 || gap.chars().count() > 3 || is_other {
            return end;
        }
        end += gap.len() + len;
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The length of the date at the start, as in time stamps; what goes on like a number is none.
fn iso_date(from: &str) -> Option<usize> {
    let (date, after) = from.split_at_checked(10)?;
    let mut parts = date
        .split('-')
        .map(|part| (part.len(), part.parse::<u16>()));
    let is_date = matches!(parts.next(), Some((4, Ok(1900..2100))))
        && matches!(parts.next(), Some((2, Ok(1..=12))))
        && matches!(parts.next(), Some((2, Ok(1..=31))));
    let rest = after.trim_start_matches(is_separator);
    let goes_on = rest.starts_with(char::is_numeric);
    let is_time = after.len() == rest.len() + 1 && rest.get(2..3) == Some(":");
    (is_date && (!goes_on || is_time)).then_some(10)
}

/// Whether what follows a run of digits makes it the user of a JID: `[._agent][:device]@server`, in
/// a URL too.
fn is_jid_tail(after: &str) -> bool {
    let is_part = |c: char| c.is_numeric() || matches!(c, '.' | '_' | ':' | '-');
    let mut tail = after.trim_start_matches(is_part);
    while let Some(rest) = tail.strip_prefix("%3A").or(tail.strip_prefix("%3a")) {
        tail = rest.trim_start_matches(is_part);
    }
    let server = tail.strip_prefix(['@', '＠', '﹫']);
    server.or(tail.strip_prefix("%40")).is_some_and(|server| {
        crate::jid::Server::ALL.iter().any(|known| {
            let known = known.as_str();
            server
                .get(..known.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(known))
        })
    })
}

/// `628110000041` becomes `62********41`; short ones keep one character at each end, or none.
pub(crate) fn mask_number(digits: &str) -> String {
    let count = digits.chars().count();
    let keep = match count {
        0..=2 => 0,
        3..=7 => 1,
        _ => 2,
    };
    digits
        .chars()
        .enumerate()
        .map(|(i, c)| {
            if i < keep || i >= count - keep {
                c
            } else {
                '*'
            }
        })
        .collect()
}

/// Reads a text that may be a number, from whatever holds it. A value of another type is refused with
/// the fixed words `wanted`: what a format writes by itself would repeat the value, digits and all.
pub(crate) fn read_text<'de, D, T, E>(
    deserializer: D,
    wanted: &'static str,
    read: fn(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    E: fmt::Display,
{
    // Some formats refuse a number without asking the visitor; but to say so, all ask what it expects.
    let is_other_type = Cell::new(false);
    let visitor = Text {
        wanted,
        read,
        is_other_type: &is_other_type,
    };
    let result = deserializer.deserialize_str(visitor);
    result.map_err(|error| match is_other_type.get() {
        true => serde::de::Error::custom(wanted),
        false => error,
    })
}

struct Text<'a, T, E> {
    wanted: &'static str,
    read: fn(&str) -> Result<T, E>,
    is_other_type: &'a Cell<bool>,
}

impl<T, E: fmt::Display> serde::de::Visitor<'_> for Text<'_, T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.is_other_type.set(true);
        f.write_str(self.wanted)
    }

    fn visit_str<R: serde::de::Error>(self, text: &str) -> Result<T, R> {
        (self.read)(text).map_err(R::custom)
    }
}

/// The error of a format that repeats what it read, cleaned; as it is where there is nothing to clean.
pub(crate) fn clean_error<E: serde::de::Error>(error: E) -> E {
    let said = error.to_string();
    let cleaned = clean(&said, 256);
    if cleaned == said {
        error
    } else {
        E::custom(cleaned)
    }
}

#[cfg(feature = "webdriver")]
pub(crate) mod webdriver;

#[cfg(test)]
mod tests;
