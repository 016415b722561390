//! [`OpenOptions`]: how a browser of ours is opened, and the session that comes of it.

use std::path::PathBuf;
use std::time::Duration;

use fantoccini::Client;
use serde_json::{Value, json};

use super::driver::OwnedBrowser;
use super::error::{MISCONFIGURED, command};
use super::page::Page;
use super::session::{Session, apart};
use super::target::Target;
use crate::failure::{ProtocolFailure, Site};

/// How [`Page::open`] opens a browser. `Default` opens `https://web.whatsapp.com/` in a visible
/// Chromium with a fresh profile, within 60 seconds.
///
/// ```
/// use whatsapp_phone::source::webdriver::OpenOptions;
///
/// let options = OpenOptions::default().headless(true).browser_arg("--lang=en");
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a page is opened with them"]
pub struct OpenOptions {
    target: Target,
    url: Option<String>,
    is_headless: bool,
    browser_args: Vec<String>,
    browser: Option<PathBuf>,
    deadline: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            target: Target::default(),
            url: None,
            is_headless: false,
            browser_args: Vec::new(),
            browser: None,
            deadline: Duration::from_secs(60),
        }
    }
}

impl OpenOptions {
    /// Which page this is. Default: the one at `https://web.whatsapp.com`.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// What to open. Default: the target's origin. Must be at the target's origin.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Whether the browser shows no window. Default: false.
    pub fn headless(mut self, is_headless: bool) -> Self {
        self.is_headless = is_headless;
        self
    }

    /// Adds a command line argument of the browser, for instance `--user-data-dir=/var/lib/s7`.
    pub fn browser_arg(mut self, arg: impl Into<String>) -> Self {
        self.browser_args.push(arg.into());
        self
    }

    /// The browser's program. Default: the one that ChromeDriver finds.
    pub fn browser(mut self, program: impl Into<PathBuf>) -> Self {
        self.browser = Some(program.into());
        self
    }

    /// How long opening may take in all. Default: 60 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Opens apart from the caller.
    pub(super) async fn start(
        self,
        webdriver: String,
        adopt: impl FnOnce(&Client) -> Result<Option<OwnedBrowser>, ProtocolFailure> + Send + 'static,
    ) -> Result<Page, ProtocolFailure> {
        apart(self.deadline, self.run(webdriver, adopt)).await
    }

    async fn run(
        self,
        webdriver: String,
        adopt: impl FnOnce(&Client) -> Result<Option<OwnedBrowser>, ProtocolFailure>,
    ) -> Result<Page, ProtocolFailure> {
        let url = self.url.as_deref().unwrap_or(self.target.origin());
        if Target::at(url)?.origin() != self.target.origin() {
            let text = format!(
                "the URL to open is not at {}; give both the same origin",
                self.target.origin()
            );
            return Err(failure(text).with_code(MISCONFIGURED));
        }
        let (session, wire) = Session::create(webdriver, self.chrome_options()).await?;
        // From here on whatever fails drops a page of ours, and with it session and browser.
        let client = wire.client();
        let browser = adopt(&client);
        let page = Page::new(wire, self.target.clone(), Some(session), None);
        page.link().owns(browser?);
        client.goto(url).await.map_err(|error| command(&error))?;
        self.target.select(&client).await?;
        Ok(page)
    }

    fn chrome_options(&self) -> Value {
        let mut args = self.browser_args.clone();
        if self.is_headless {
            args.push("--headless=new".into());
        }
        let mut chrome = json!({ "args": args });
        if let Some(browser) = &self.browser {
            chrome["binary"] = browser.to_string_lossy().into();
        }
        chrome
    }
}

fn failure(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text)
}
