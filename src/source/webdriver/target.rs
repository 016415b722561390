//! [`Target`]: which tab is meant.

use std::fmt;

use fantoccini::Client;
use url::{Host, Url};

use super::error::{MISCONFIGURED, command};
use crate::failure::{ProtocolFailure, Site};

/// Code of the failure for several tabs that match.
pub(super) const AMBIGUOUS: &str = "ambiguous_tab";

/// Which tab is meant: the one at exactly this origin. Further text only narrows.
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
/// # Ok::<(), whatsapp_phone::failure::ProtocolFailure>(())
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
    /// The tab at the origin of this URL: scheme, host and port. Path and query are not looked at.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` when it is no http or https URL.
    pub fn at(url: &str) -> Result<Self, ProtocolFailure> {
        let origin = origin_of(url).ok_or_else(|| {
            let text = format!(
                "`{url}` is no http or https URL; write for instance https://web.whatsapp.com"
            );
            ProtocolFailure::new(Site::Unknown, text).with_code(MISCONFIGURED)
        })?;
        Ok(Self {
            origin,
            url_contains: None,
        })
    }

    /// Of the tabs at the origin, only those whose URL contains this text. Looked at when a tab is
    /// chosen; from then on the origin alone is checked at each look.
    #[must_use]
    pub fn url_contains(mut self, text: impl Into<String>) -> Self {
        self.url_contains = Some(text.into());
        self
    }

    /// The origin, as browsers write it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn matches(&self, url: &str) -> bool {
        origin_of(url).as_deref() == Some(&*self.origin)
            && self
                .url_contains
                .as_deref()
                .is_none_or(|text| url.contains(text))
    }

    /// Whether this URL's host is this machine itself.
    pub(super) fn is_on_this_machine(url: &str) -> bool {
        match Url::parse(url).ok().as_ref().and_then(Url::host) {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Switches to the one tab that matches. Only for a session of ours: looking at a tab's URL
    /// brings it to the front.
    pub(super) async fn select(&self, client: &Client) -> Result<(), ProtocolFailure> {
        let tabs = client.windows().await.map_err(|error| command(&error))?;
        let mut matching = Vec::new();
        for tab in &tabs {
            client
                .switch_to_window(tab.clone())
                .await
                .map_err(|error| command(&error))?;
            let url = client
                .current_url()
                .await
                .map_err(|error| command(&error))?;
            if self.matches(url.as_str()) {
                matching.push(tab.clone());
            }
        }
        match &*matching {
            [] => Err(self.none(tabs.len())),
            [one] => client
                .switch_to_window(one.clone())
                .await
                .map_err(|error| command(&error)),
            several => Err(self.several(several.len())),
        }
    }

    pub(super) fn none(&self, tabs: usize) -> ProtocolFailure {
        let text =
            format!("none of {tabs} tabs is at {self}; has the page moved to another origin?");
        ProtocolFailure::new(Site::WebDriverCommand, text).with_code(MISCONFIGURED)
    }

    pub(super) fn several(&self, count: usize) -> ProtocolFailure {
        let text =
            format!("{count} tabs are at {self}; close the others or narrow by a text of the URL");
        ProtocolFailure::new(Site::WebDriverCommand, text).with_code(AMBIGUOUS)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        match &self.url_contains {
            Some(text) => write!(f, " with `{text}` in its URL"),
            None => Ok(()),
        }
    }
}

fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
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
    fn what_is_no_web_origin_is_refused_with_the_reason() {
        for bad in [
            "",
            "web.whatsapp.com",
            "file:///etc",
            "data:text/html,x",
            "http://",
        ] {
            let error = Target::at(bad).unwrap_err();
            assert_eq!(error.code(), Some(MISCONFIGURED), "{bad}");
        }
    }
}
