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
use crate::source::page::error::LookError;
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
        // Without a deadline: the answer names the tab that has to be closed.
        let tab = NewTab::open(browser).await.map_err(failed)?;
        let loaded = timeout(self.deadline, self.load(tab, address, url)).await;
        loaded.unwrap_or_else(|_| Err(error::timeout().failure))
    }

    async fn load(
        &self,
        new: NewTab,
        address: DebuggerAddress,
        url: &str,
    ) -> Result<CdpPage, ProtocolFailure> {
        let (id, target) = (new.id.clone(), self.target.clone());
        let mut finder = TabFinder::new(target, Some(id.clone()), Some(address.clone()));
        let tab = Tab::open(finder.clone(), address, id, true).await;
        let page = CdpPage::new(tab.map_err(failed)?);
        let loaded = page.tab().navigate(url).await.map_err(failed)?;
        if let Some(reason) = loaded.get("errorText").and_then(Value::as_str) {
            let text = format!("{} could not be loaded: {reason}", self.target.origin());
            return Err(ProtocolFailure::new(Site::Cdp, text));
        }
        // Chrome lists a tab under its new URL a moment later.
        finder.wait_for_tab(Instant::now() + COMMIT_TIMEOUT).await?;
        new.keep();
        Ok(page)
    }
}

impl CdpPage {
    /// Opens a new tab in this Chrome, and the page in it. The tab closes with the last clone of the page.
    ///
    /// Runs in a task of its own: if it is dropped or its deadline ends, its tab is closed in the background.
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
        let opening = async {
            let browser = chrome.socket().await?;
            let opening = tokio::spawn(options.run(browser, chrome.address().clone()));
            opening.await.unwrap_or_else(|_| {
                let text = "opening the page panicked; this is a bug";
                Err(ProtocolFailure::new(Site::Cdp, text))
            })
        };
        let opened = timeout(deadline, opening).await;
        opened.unwrap_or_else(|_| Err(error::timeout().failure))
    }
}

/// A tab whose page is not loaded yet. Dropping it closes the tab. A dropped [`CdpPage`] alone does not always: `Page.close`
/// has been seen to have no effect on a tab that was navigating.
struct NewTab {
    browser: Socket,
    id: String,
    is_kept: bool,
}

impl NewTab {
    async fn open(browser: Socket) -> Result<Self, LookError> {
        let blank = json!({ "url": "about:blank" });
        let id = browser.command("Target.createTarget", blank).await?["targetId"].take();
        Ok(Self {
            browser,
            id: id.as_str().unwrap_or_default().to_owned(),
            is_kept: false,
        })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for NewTab {
    fn drop(&mut self) {
        if !self.is_kept {
            let tab = json!({ "targetId": self.id });
            // Sends it at once; the answer is not needed.
            drop(self.browser.command("Target.closeTarget", tab));
        }
    }
}

fn failed(error: LookError) -> ProtocolFailure {
    error.failure
}
