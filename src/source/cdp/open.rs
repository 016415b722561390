//! [`CdpPage::open`] and its [`OpenOptions`]: a page in a Chrome of our own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

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

/// Most commands to close a tab that could not be loaded, and the time between them.
const MAX_CLOSE_COMMANDS: u32 = 20;
const CLOSE_INTERVAL: Duration = Duration::from_millis(100);

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
        let blank = json!({ "url": "about:blank" });
        let new = browser.command("Target.createTarget", blank).await;
        let id = new.map_err(failed)?["targetId"].take();
        let id = id.as_str().unwrap_or_default();
        let loaded = timeout(self.deadline, self.load(id, address, url)).await;
        let loaded = loaded.unwrap_or_else(|_| Err(error::timeout().failure));
        if loaded.is_err() {
            close(&browser, id).await;
        }
        loaded
    }

    async fn load(
        &self,
        id: &str,
        address: DebuggerAddress,
        url: &str,
    ) -> Result<CdpPage, ProtocolFailure> {
        let (id, target) = (id.to_owned(), self.target.clone());
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
        Ok(page)
    }
}

impl CdpPage {
    /// Opens a new tab in this Chrome, and the page in it. The tab closes with the last clone of the page.
    ///
    /// The opening runs in a task of its own. If the future is dropped or its deadline ends, the task continues: it waits
    /// until Chrome has created the tab, then for at most the deadline, and closes the tab.
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

/// Closes the tab. Chrome may not do so at the first command if the tab is navigating.
async fn close(browser: &Socket, id: &str) {
    for _ in 0..MAX_CLOSE_COMMANDS {
        let tab = json!({ "targetId": id });
        // Fails if there is no such tab any more.
        if browser.command("Target.closeTarget", tab).await.is_err() {
            return;
        }
        sleep(CLOSE_INTERVAL).await;
    }
}

fn failed(error: LookError) -> ProtocolFailure {
    error.failure
}
