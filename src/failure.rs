//! [`ProtocolFailure`]: the error that any driver reports when a look fails.
//!
//! Every text in it was written by other software: a browser, a driver, a page, an HTTP peer. It is
//! cleaned once, here, so that no log line of the program can carry a phone number or a password.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

mod find_error;
#[cfg(all(unix, feature = "webdriver"))]
pub(crate) mod webdriver;

use find_error::MAX_CAUSES;
pub(crate) use find_error::{causes, disclose, find};

#[cfg(feature = "events")]
use crate::codes;
pub use crate::text::MAX_TEXT;
#[cfg(feature = "supervisor")]
use crate::text::cut;
use crate::text::{clean, stable_names};

/// The origin of a failure, as far as the reporter knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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

stable_names!(Site, "a call site", as_str {
    WebDriverCommand = "webdriver_command",
    Script = "script",
    Cdp = "cdp",
    Sidecar = "sidecar",
    Unknown = "unknown",
});

/// A failure as a driver reports it: its origin, code, message and causes.
///
/// Cheap to clone. All text is cleaned when it is made: control characters and a
/// terminal's colours are dropped; JIDs, numbers of seven or more digits and secrets are masked; and it is cut
/// at [`MAX_TEXT`] bytes. Secrets are the user and password of a URL, bearer tokens, and the values of parameters,
/// fields and headers that are named like one: `api_key`, `token`, `password`, `Cookie`. `Display` prints the message alone; causes are reached through
/// [`Error::source`].
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
    /// Makes a failure with this message, cleaned and cut.
    #[must_use]
    pub fn new(site: Site, message: impl AsRef<str>) -> Self {
        Self {
            site,
            code: None,
            message: clean(message.as_ref(), MAX_TEXT).into(),
            source: None,
        }
    }

    /// Returns the failure for any error. The chain of [`Error::source`] is walked, at most eight deep,
    /// and each link is cleaned; the error itself is not kept, since its own texts are not masked.
    ///
    /// If the error is an error of this crate or wraps one, the failure has its code and call site.
    #[must_use]
    pub fn from_error(site: Site, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::from_chain(site, error, MAX_CAUSES);
        if let Some(known) = find::<Self>(error) {
            failure.site = known.site;
            failure.code = known.code;
        }
        failure
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

    /// Returns the message and the messages of its causes, cut at [`MAX_TEXT`] bytes. A cause that the
    /// text already quotes is not repeated.
    #[cfg(feature = "supervisor")]
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.message.to_string();
        for cause in causes(self).skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        cut(&mut text, MAX_TEXT);
        text
    }

    /// Returns the origin of the failure.
    #[must_use]
    pub const fn site(&self) -> Site {
        self.site
    }

    /// Returns the code that came with it, if any: a W3C error code, or one of ours such as
    /// `ambiguous_tab`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the message, cleaned and cut.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Makes an error of a sink or a store known to a [`find`]: whether it is transient, and its code if that says
/// that the page or its browser is lost. Other codes of sinks are not those of browsers and drivers.
#[cfg(feature = "events")]
pub(crate) fn disclose_code(code: &str, is_transient: bool) {
    disclose(|| {
        let code = match code {
            _ if is_transient => "transient",
            codes::PAGE_CLOSED | codes::BROWSER_GONE => code,
            _ => "permanent",
        };
        // Without its message: a database or a webhook may have written it.
        ProtocolFailure::new(Site::Unknown, "").with_code(code.to_owned())
    });
}

impl fmt::Display for ProtocolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        disclose(|| self.clone());
        f.write_str(&self.message)
    }
}

impl Error for ProtocolFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests;
