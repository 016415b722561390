//! [`Target`]: which tab to read.

use std::error::Error;
use std::fmt;

use http::uri::Authority;

use crate::codes::{AMBIGUOUS_TAB, MISCONFIGURED};
use crate::failure::{MAX_TEXT, ProtocolFailure, Site, disclose};
use crate::text::clean;

/// Names the tab to read: the one at exactly this origin. A text of the URL can narrow it further.
///
/// The default is `https://web.whatsapp.com`. A URL that merely contains those words, in its path
/// or query, is at another origin and never matches.
///
/// ```
/// use whatsapp_phone::source::webdriver::Target;
///
/// let target = Target::at("http://127.0.0.1:8080")?.url_contains("/session-7");
/// assert_eq!(target.origin(), "http://127.0.0.1:8080");
/// assert!(Target::at("web.whatsapp.com").is_err());
/// # Ok::<(), whatsapp_phone::source::webdriver::TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    origin: String,
    url_contains: Option<String>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            origin: "https://web.whatsapp.com".into(),
            url_contains: None,
        }
    }
}

impl Target {
    /// Returns the target at the origin of this URL: scheme, host and port. Path and query are ignored.
    ///
    /// # Errors
    ///
    /// If it is not an http or https URL.
    pub fn at(url: &str) -> Result<Self, TargetError> {
        let origin = origin_of(url).ok_or_else(|| TargetError(clean(url, MAX_TEXT / 2)))?;
        Ok(Self {
            origin,
            url_contains: None,
        })
    }

    /// Narrows to tabs whose URL contains this text. It is used when a tab is chosen; after that each
    /// look checks the origin alone.
    #[must_use]
    pub fn url_contains(mut self, text: impl Into<String>) -> Self {
        self.url_contains = Some(text.into());
        self
    }

    /// Returns the origin, as browsers write it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn matches(&self, url: &str) -> bool {
        origin_of(url).as_deref() == Some(&*self.origin)
            && self
                .url_contains
                .as_deref()
                .is_none_or(|text| url.contains(text))
    }

    /// Returns the one tab that matches, of these with their URLs.
    pub(crate) fn choose<T>(
        &self,
        tabs: impl IntoIterator<Item = (T, String)>,
    ) -> Result<T, NoTab> {
        let (mut count, mut matching) = (0, Vec::new());
        for (tab, url) in tabs {
            count += 1;
            if self.matches(&url) {
                matching.push(tab);
            }
        }
        match (matching.pop(), matching.len()) {
            (None, _) => Err(NoTab::None { tabs: count }),
            (Some(one), 0) => Ok(one),
            (Some(_), others) => Err(NoTab::Several { count: others + 1 }),
        }
    }

    /// Returns the failure for the caller.
    pub(crate) fn failure(&self, reason: NoTab) -> ProtocolFailure {
        let (text, code) = match reason {
            NoTab::None { tabs } => (
                format!("none of {tabs} tabs is at {self}; has the page moved to another origin?"),
                MISCONFIGURED,
            ),
            NoTab::Several { count } => (
                format!(
                    "{count} tabs are at {self}; close the others or narrow by a text of the URL"
                ),
                AMBIGUOUS_TAB,
            ),
        };
        ProtocolFailure::new(Site::Unknown, text).with_code(code)
    }
}

/// The reason for not having exactly one tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTab {
    None { tabs: usize },
    Several { count: usize },
}

/// A text is not an http or https URL, so it names no origin. The message quotes it, masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError(String);

impl From<TargetError> for ProtocolFailure {
    /// A failure with the code `misconfigured`.
    fn from(error: TargetError) -> Self {
        Self::new(Site::Unknown, error.to_string()).with_code(MISCONFIGURED)
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        disclose(|| ProtocolFailure::new(Site::Unknown, "").with_code(MISCONFIGURED));
        let Self(url) = self;
        write!(
            f,
            "`{url}` is not an http or https URL; write for instance https://web.whatsapp.com"
        )
    }
}

impl Error for TargetError {}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        match &self.url_contains {
            Some(text) => write!(f, " with `{text}` in its URL"),
            None => Ok(()),
        }
    }
}

/// Returns the origin of an http or https URL in the form that browsers write, but for letter case and default ports.
fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match &*scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let authority: Authority = authority.parse().ok()?;
    let port = match authority.as_str().rsplit_once(':') {
        // The colon of an IPv6 address is followed by its bracket.
        Some((_, port)) if !port.is_empty() && !port.ends_with(']') => Some(port.parse().ok()?),
        _ => None,
    };
    let host = authority.host().to_ascii_lowercase();
    let port = port.filter(|port: &u16| *port != default_port);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    (!host.is_empty()).then(|| format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_origin_matches_and_text_only_narrows() {
        let target = Target::default();
        assert!(target.matches("https://web.whatsapp.com/"));
        assert!(target.matches("https://web.whatsapp.com:443/?x=1"));
        for other in [
            "http://web.whatsapp.com/",
            "https://web.whatsapp.com:8443/",
            "https://web.whatsapp.com.example.org/",
            "https://example.org/https://web.whatsapp.com/",
            "https://web.whatsapp.com@example.org/",
            "about:blank",
            "chrome-error://chromewebdata/",
            "",
        ] {
            assert!(!target.matches(other), "{other}");
        }
        let narrowed = Target::at("http://127.0.0.1:1/x")
            .unwrap()
            .url_contains("session=7");
        assert!(narrowed.matches("http://127.0.0.1:1/?session=7"));
        assert!(!narrowed.matches("http://127.0.0.1:1/?session=8"));
        assert!(!narrowed.matches("http://127.0.0.1:2/?session=7"));
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        for bad in [
            "",
            "web.whatsapp.com",
            "file:///etc",
            "data:text/html,x",
            "http://",
        ] {
            let error = Target::at(bad).unwrap_err();
            let text = error.to_string();
            let failure = ProtocolFailure::from_error(Site::Unknown, &error);
            assert_eq!(failure.code(), Some(MISCONFIGURED), "{bad}");
            assert_eq!(failure.message(), text);
            assert_eq!(ProtocolFailure::from(error), failure);
        }
    }
}
