//! What any driver reports when a look did not work: [`ProtocolFailure`].
//!
//! Every text in it was written by somebody else: a browser, a driver, a page, an HTTP peer. It is
//! cleaned once, here, so that whatever a host logs later cannot carry a phone number.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Longest text kept of a foreign message, in bytes. What is cut is marked by `…`.
pub const MAX_TEXT: usize = 1024;

/// Longest run of error causes kept.
const MAX_CAUSES: usize = 8;

/// Shortest run of digits that is masked.
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
/// runs of seven or more digits are masked, and it is cut at [`MAX_TEXT`] bytes. `Display` prints
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

/// Cleans a foreign text: drops control and invisible characters, masks JIDs and long digit runs,
/// cuts at `max` bytes. Reads no more of the input than it needs.
pub(crate) fn clean(text: &str, max: usize) -> String {
    // Masking never lengthens, and a run that the cut splits must not lose its mask: so some more
    // than `max` is read before the masking, and the cut comes last.
    let mut kept = String::with_capacity(text.len().min(max * 2));
    for c in text.chars() {
        if kept.len() >= max * 2 {
            break;
        }
        if c == '\n' || c == '\r' || c == '\t' {
            kept.push(' ');
        } else if !c.is_control() && !is_invisible(c) {
            kept.push(c);
        }
    }
    let mut masked = mask(&kept);
    if masked.len() > max {
        let mut end = max - '…'.len_utf8();
        while !masked.is_char_boundary(end) {
            end -= 1;
        }
        masked.truncate(end);
        masked.push('…');
    }
    masked
}

/// Characters that print as nothing and could hide a number from the mask.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Masks every JID's user and every run of seven or more digits, of any script.
fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_numeric) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find(|c: char| !c.is_numeric()).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        if run.chars().count() >= MIN_RUN || is_jid_tail(after) {
            out.push_str(&mask_number(run));
        } else {
            out.push_str(run);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether what follows a run of digits makes it the user of a JID: `[._agent][:device]@server`.
fn is_jid_tail(after: &str) -> bool {
    let tail =
        after.trim_start_matches(|c: char| c.is_numeric() || matches!(c, '.' | '_' | ':' | '-'));
    tail.strip_prefix('@').is_some_and(|server| {
        crate::jid::Server::ALL
            .iter()
            .any(|known| server.starts_with(known.as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_jids_are_masked_wherever_they_stand() {
        for (raw, clean) in [
            ("to 628110000041, now", "to 62********41, now"),
            ("628110000041:12@c.us", "62********41:**@c.us"),
            ("short 12345@c.us", "short 1***5@c.us"),
            ("12036-777@g.us", "1***6-7*7@g.us"),
            ("port 9515 pid 123456", "port 9515 pid 123456"),
            ("62811\u{200b}0000041", "62********41"),
            ("a\u{0}b\nc", "ab c"),
            ("٦٢٨١١٠٠٠٠٠٤١", "٦٢********٤١"),
        ] {
            assert_eq!(
                ProtocolFailure::new(Site::Unknown, raw).message().len(),
                clean.len(),
                "{raw}"
            );
            assert_eq!(
                ProtocolFailure::new(Site::Unknown, raw).message(),
                clean,
                "{raw}"
            );
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let failure = ProtocolFailure::new(Site::Script, "x".repeat(50 << 20));
        assert_eq!(failure.message().len(), MAX_TEXT);
        assert!(failure.message().ends_with('…'));
    }

    #[test]
    fn causes_are_cleaned_too_and_display_prints_the_message_alone() {
        let io = std::io::Error::other("no 628110000041");
        let failure = ProtocolFailure::new(Site::Sidecar, "request failed")
            .caused_by(ProtocolFailure::from_error(Site::Sidecar, &io));
        assert_eq!(failure.to_string(), "request failed");
        assert_eq!(failure.source().unwrap().to_string(), "no 62********41");
        assert!(!format!("{failure:?}").contains("628110000041"));
    }

    proptest! {
        #[test]
        fn no_seven_digits_in_a_row_survive(text in ".{0,80}[0-9]{7,30}.{0,80}") {
            let cleaned = clean(&text, MAX_TEXT);
            let mut run = 0;
            for c in cleaned.chars() {
                run = if c.is_numeric() { run + 1 } else { 0 };
                prop_assert!(run < MIN_RUN, "{cleaned}");
            }
        }

        #[test]
        fn cleaning_bounds_any_text(text in any::<String>(), max in 4_usize..64) {
            prop_assert!(clean(&text, max).len() <= max);
        }
    }
}
