//! [`OpenOptions`]: how a browser of ours is opened, and the session that comes of it.

use std::path::PathBuf;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::driver::OwnedBrowser;
use super::error::{MISCONFIGURED, command, new_session};
use super::page::{Page, SCRIPT_TIMEOUT};
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

    /// Opens in a task of its own, so that what was started is ended also when nobody waits any
    /// more: the page is then dropped there.
    pub(super) async fn start(
        self,
        webdriver: String,
        adopt: impl FnOnce(&Client) -> Result<Option<OwnedBrowser>, ProtocolFailure> + Send + 'static,
    ) -> Result<Page, ProtocolFailure> {
        let deadline = self.deadline;
        let opening = tokio::spawn(self.run(webdriver, adopt));
        match timeout(deadline, opening).await {
            Ok(Ok(page)) => page,
            Ok(Err(_)) => Err(failure("opening the page panicked; this is a bug")),
            Err(_) => {
                let text = format!(
                    "the page was not open after {}",
                    humantime::format_duration(deadline)
                );
                Err(failure(text).with_code("timeout"))
            }
        }
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
        let client = connect(&webdriver, self.capabilities()).await?;
        // From here on whatever fails drops a page of ours, and with it session and browser.
        let session = Session::new(webdriver, &client).await?;
        let page = match adopt(&client) {
            Ok(browser) => Page::new(client.clone(), self.target.clone(), Some(session), browser),
            Err(failure) => {
                drop(Page::new(client, self.target, Some(session), None));
                return Err(failure);
            }
        };
        client.goto(url).await.map_err(|error| command(&error))?;
        self.target.select(&client).await?;
        Ok(page)
    }

    fn capabilities(&self) -> Capabilities {
        let mut args = self.browser_args.clone();
        if self.is_headless {
            args.push("--headless=new".into());
        }
        let mut chrome = json!({ "args": args });
        if let Some(browser) = &self.browser {
            chrome["binary"] = browser.to_string_lossy().into();
        }
        // Dialogs are the page's and its user's business. An eager load does not wait for images.
        let Value::Object(capabilities) = json!({
            "goog:chromeOptions": chrome,
            "unhandledPromptBehavior": "ignore",
            "pageLoadStrategy": "eager",
            "timeouts": { "script": SCRIPT_TIMEOUT.as_millis() },
        }) else {
            return Capabilities::new();
        };
        capabilities
    }
}

/// A session of ours on a WebDriver server.
#[derive(Debug)]
pub(super) struct Session {
    webdriver: String,
    id: String,
}

impl Session {
    async fn new(webdriver: String, client: &Client) -> Result<Self, ProtocolFailure> {
        let id = client.session_id().await.map_err(|error| command(&error))?;
        let id = id.ok_or_else(|| failure("the WebDriver server gave no session id"))?;
        // Ending the session is the page's work: a client that is replaced must not do it.
        client.persist().await.map_err(|error| command(&error))?;
        Ok(Self { webdriver, id })
    }

    /// Another client for the same session, over a connection of its own.
    pub(super) async fn reconnect(&self) -> Result<Client, ProtocolFailure> {
        let client = Client::with_existing_session(&self.webdriver, &self.id, connector()?).await;
        let client = client.map_err(|error| new_session(&error, &self.webdriver))?;
        client.persist().await.map_err(|error| command(&error))?;
        Ok(client)
    }
}

async fn connect(webdriver: &str, capabilities: Capabilities) -> Result<Client, ProtocolFailure> {
    let client = ClientBuilder::new(connector()?)
        .capabilities(capabilities)
        .connect(webdriver)
        .await;
    client.map_err(|error| new_session(&error, webdriver))
}

#[cfg(not(feature = "webdriver-rustls"))]
#[allow(clippy::unnecessary_wraps)] // the other one can fail
fn connector() -> Result<hyper_util::client::legacy::connect::HttpConnector, ProtocolFailure> {
    Ok(hyper_util::client::legacy::connect::HttpConnector::new())
}

#[cfg(feature = "webdriver-rustls")]
fn connector() -> Result<
    hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>,
    ProtocolFailure,
> {
    let roots = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots();
    let builder = roots.map_err(|error| {
        failure(format!("the system's certificates cannot be read: {error}"))
            .with_code(MISCONFIGURED)
    })?;
    Ok(builder.https_or_http().enable_http1().build())
}

fn failure(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text)
}
