//! [`Page::open`] and its [`OpenOptions`]: a page in a browser of our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fantoccini::Client;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::attach::is_on_this_machine;
use super::driver::{Browsers, DriverProcess, OwnedBrowser, Recording};
use super::error::{command, misconfigured};
use super::page::Page;
use super::select::select_by_driver;
use super::session::{Session, in_background};
use super::tab::Owner;
use crate::failure::ProtocolFailure;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::target::Target;
use crate::source::process::start_failure::describe_output;

/// How [`Page::open`] opens a browser. `Default` opens `https://web.whatsapp.com/` in a visible
/// Chromium with a fresh profile, within 60 seconds.
///
/// ```
/// use whatsapp_phone::source::webdriver::OpenOptions;
///
/// let options = OpenOptions::default().headless(true).browser_arg("--lang=en");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Page {
    /// Opens a browser of our own on this ChromeDriver, and the page in it. The browser ends with the last
    /// clone of the page, or with the driver.
    ///
    /// Runs in a task of its own: if it is dropped, or its deadline is over, everything that it has started
    /// is ended in the background.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if the options contradict each other, the browser cannot start (the message names the
    /// cause and the remedy), or the page ends up at another origin; `ambiguous_tab` if several tabs are at that origin; `timeout` if the
    /// deadline is over (the message names the cause if the browser's output does); else the driver's own code.
    ///
    /// Output that is printed while several pages are being opened on one driver is in none of their errors,
    /// because its page is unknown; it is in the driver's
    /// [log file](super::driver::DriverProcessBuilder::log_file). An opening that has ended or was dropped no
    /// longer counts; what its browser still prints may be in the error of the next one.
    pub async fn open(
        driver: &DriverProcess,
        options: OpenOptions,
    ) -> Result<Self, ProtocolFailure> {
        let deadline = options.deadline;
        let recording = Arc::new(driver.record());
        let started = Started(Arc::clone(&recording));
        let own = (driver.browsers().clone(), recording);
        let opening = options.run(driver.url().to_owned().into(), Some(own));
        let outcome = in_background(deadline, opening).await;
        outcome.map_err(|failure| match describe_output(&started.0.text()) {
            Some(cause) if failure.code() == Some("timeout") => {
                let text = format!("{failure}; {cause}");
                ProtocolFailure::new(failure.site(), text).with_code("timeout")
            }
            _ => failure,
        })
    }

    /// Opens a browser on a WebDriver server that runs elsewhere, such as a Selenium Grid, and the page in
    /// it. The session ends with the last clone of the page.
    ///
    /// Call [`close`](Self::close) and await it before the runtime ends: a drop ends the session in a task of
    /// its own, and a runtime that ends drops that task too. The session and its browser then stay on that
    /// server until it ends them by itself.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but the message knows only the server's answer, not the browser's output; code
    /// `misconfigured` also if no WebDriver server answers, or the URL is another server's.
    pub async fn open_at(webdriver: &str, options: OpenOptions) -> Result<Self, ProtocolFailure> {
        in_background(
            options.deadline,
            options.run(webdriver.to_owned().into(), None),
        )
        .await
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

    /// Sets whether the browser runs without a window. Default: false.
    pub fn headless(mut self, is_headless: bool) -> Self {
        self.is_headless = is_headless;
        self
    }

    /// Adds a command line argument of the browser, for instance `--user-data-dir=/var/lib/s7`.
    pub fn browser_arg(mut self, arg: impl Into<String>) -> Self {
        self.browser_args.push(arg.into());
        self
    }

    /// Sets the browser's program. Default: the one that ChromeDriver finds.
    pub fn browser(mut self, program: impl Into<PathBuf>) -> Self {
        self.browser = Some(program.into());
        self
    }

    /// Sets how long opening may take in all. Default: 60 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn run(
        self,
        webdriver: Zeroizing<String>,
        own: Option<(Browsers, Arc<Recording>)>,
    ) -> Result<Page, ProtocolFailure> {
        let url = self.url.as_deref().unwrap_or(self.target.origin());
        if Target::at(url)?.origin() != self.target.origin() {
            return Err(misconfigured(format!(
                "the URL to open is not at {}; give both the same origin",
                self.target.origin()
            )));
        }
        let (browsers, recording) = own.unzip();
        let chrome_options = self.chrome_options(recording.is_some());
        let is_near = is_on_this_machine(&webdriver);
        let (session, connection) = Session::create(webdriver, chrome_options, recording).await?;
        let client = connection.client();
        let (browser, refused) = match browsers.map(|browsers| adopt(&browsers, &client)) {
            Some(Ok(browser)) => (Some(browser), None),
            Some(Err(failure)) => (None, Some(failure)),
            None => (None, None),
        };
        let debugger = debugger_address(&client);
        // From here on a failure drops the page, which ends session and browser.
        let page = Page::new(
            connection,
            self.target.clone(),
            Owner::Opened { session },
            browser,
            debugger.filter(|_| is_near),
        );
        if let Some(failure) = refused {
            return Err(failure);
        }
        client.goto(url).await.map_err(|error| command(&error))?;
        select_by_driver(&self.target, &client).await?;
        Ok(page)
    }

    fn chrome_options(&self, is_recorded: bool) -> Value {
        let mut args = Vec::new();
        if is_recorded {
            // ChromeDriver asks for messages of every level, console messages of pages among them, and the
            // driver's output now has them. Errors suffice. A later argument of the caller's wins.
            args.push("--log-level=2".to_owned());
        }
        args.extend_from_slice(&self.browser_args);
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

/// Ends the recording of a start as soon as its caller stops waiting: the start itself may continue in the background, and
/// its recording would overlap those of later starts.
struct Started(Arc<Recording>);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Returns the address of the new session's browser, if it is on the driver's own machine.
fn debugger_address(client: &Client) -> Option<DebuggerAddress> {
    let chrome = client.capabilities()?.get("goog:chromeOptions")?;
    let address = chrome.get("debuggerAddress")?.as_str()?;
    let is_local = is_on_this_machine(&format!("http://{address}"));
    address.parse().ok().filter(|_| is_local)
}

/// Takes hold of the browser of a new session.
fn adopt(browsers: &Browsers, client: &Client) -> Result<OwnedBrowser, ProtocolFailure> {
    let given = client.capabilities();
    let pid = given.and_then(|given| given.get("goog:processID")?.as_u64());
    let profile = given.and_then(|given| given.get("chrome")?.get("userDataDir")?.as_str());
    let pid = pid.and_then(|pid| u32::try_from(pid).ok()).ok_or_else(|| {
        misconfigured(
            "the driver does not name its browser's process, so it could not be ended; use ChromeDriver",
        )
    })?;
    browsers.adopt(pid, profile.map(Path::new))
}
