//! [`CdpPage::open`] and its [`OpenOptions`]: a page in a Chrome of our own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::chrome::ChromeProcess;
use super::error;
use super::page::CdpPage;
use super::socket::Socket;
use super::tab::Tab;
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::finder::TabFinder;
use crate::source::page::target::Target;

/// Longest time until a page that has been loaded is at its origin, after redirections.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How [`CdpPage::open`] opens a page. `Default` opens `https://web.whatsapp.com/` within 60 seconds.
///
/// ```
/// use whatsapp_phone::source::cdp::OpenOptions;
///
/// let options = OpenOptions::default().url("https://web.whatsapp.com/?lang=en");
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a page is opened with them"]
pub struct OpenOptions {
    target: Target,
    url: Option<String>,
    deadline: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            target: Target::default(),
            url: None,
            deadline: Duration::from_secs(60),
        }
    }
}

impl OpenOptions {
    /// Sets which page to read. Default: the one at `https://web.whatsapp.com`.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Sets the URL to open. Default: the target's origin. Must be at the target's origin.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets how long opening may take in all. Default: 60 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn run(
        self,
        browser: Socket,
        address: DebuggerAddress,
    ) -> Result<CdpPage, ProtocolFailure> {
        let url = self.url.as_deref().unwrap_or(self.target.origin());
        if Target::at(url)?.origin() != self.target.origin() {
            let text = format!(
                "the URL to open is not at {}; give both the same origin",
                self.target.origin()
            );
            return Err(ProtocolFailure::new(Site::Cdp, text).with_code(MISCONFIGURED));
        }
        let failed = |error: crate::source::page::error::LookError| error.failure;
        let new = json!({ "url": "about:blank" });
        let new = browser.command("Target.createTarget", new).await;
        let id = new.map_err(failed)?["targetId"].take();
        let id = id.as_str().unwrap_or_default().to_owned();
        let mut finder =
            TabFinder::new(self.target.clone(), Some(id.clone()), Some(address.clone()));
        let tab = Tab::open(finder.clone(), address, id, true).await;
        // From here on a failure drops the page, which closes the tab.
        let page = CdpPage::new(tab.map_err(failed)?);
        let loaded = page.tab().navigate(url).await.map_err(failed)?;
        if let Some(reason) = loaded.get("errorText").and_then(Value::as_str) {
            let text = format!("{} could not be loaded: {reason}", self.target.origin());
            return Err(ProtocolFailure::new(Site::Cdp, text));
        }
        // Chrome lists a tab under its new URL a moment later.
        finder.wait_for_tab(Instant::now() + COMMIT_TIMEOUT).await?;
        Ok(page)
    }
}

impl CdpPage {
    /// Opens a new tab in this Chrome, and the page in it. The tab closes with the last clone of the page.
    ///
    /// Runs in a task of its own: if it is dropped, its tab is closed in the background.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if the options contradict each other, or the page ends up at another origin; `timeout` if
    /// the deadline is over; else Chrome's own text, for instance `net::ERR_NAME_NOT_RESOLVED`.
    pub async fn open(
        chrome: &ChromeProcess,
        options: OpenOptions,
    ) -> Result<Self, ProtocolFailure> {
        let deadline = options.deadline;
        let browser = timeout(deadline, chrome.socket()).await;
        let browser = browser.map_err(|_| error::timeout().failure)??;
        let opening = options.run(browser, chrome.address().clone());
        let opening = tokio::spawn(timeout(deadline, opening));
        match opening.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(error::timeout().failure),
            Err(_) => {
                let text = "opening the page panicked; this is a bug";
                Err(ProtocolFailure::new(Site::Cdp, text))
            }
        }
    }
}
