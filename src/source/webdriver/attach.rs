//! [`Page::attach`] and its [`AttachOptions`]: a page in a Chrome that another program started and drives.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::driver::DriverProcess;
use super::finder::TabFinder;
use super::page::Page;
use super::session::{Session, in_background};
use super::tab::Owner;
use crate::failure::ProtocolFailure;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::target::Target;

/// Longest deadline; a longer one is cut to it, because an [`Instant`] cannot be any time ahead.
const MAX_DEADLINE: Duration = Duration::from_hours(24 * 365);

/// How [`Page::attach`] attaches to a running Chrome. `Default` looks for the one tab at
/// `https://web.whatsapp.com`, within 10 seconds.
///
/// ```
/// use whatsapp_phone::source::webdriver::AttachOptions;
///
/// // Puppeteer: `page.target()._targetId`; CDP: `targetId`.
/// let options = AttachOptions::default().tab("5E0A0F5B3C2B4A7E9D1F");
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a page is attached with them"]
pub struct AttachOptions {
    target: Target,
    tab: Option<String>,
    is_elsewhere: bool,
    deadline: Duration,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self {
            target: Target::default(),
            tab: None,
            is_elsewhere: false,
            deadline: Duration::from_secs(10),
        }
    }
}

impl Page {
    /// Attaches to a Chrome that another program started and still drives, for instance with Puppeteer,
    /// through a ChromeDriver that this crate started. The tab is found without touching the others, and is switched to
    /// only if it is not the driver's current one already. Nothing of this crate stays in its page: the
    /// `cdc_*` globals that ChromeDriver puts there are removed, and dialogs are left alone.
    ///
    /// If the tab is closed or moves to another origin, and a new one has come up at the target's origin
    /// since, that one is read from then on. If several sessions share one Chrome, it could be another
    /// session's: name the tab there ([`AttachOptions::tab`]).
    ///
    /// ChromeDriver itself puts its `cdc_*` globals on the other tabs, and raises a background tab if it has to
    /// switch to it. Neither can be avoided.
    ///
    /// Runs in a task of its own, since a crashed tab can block ChromeDriver for 90 seconds.
    ///
    /// # Errors
    ///
    /// - `misconfigured` if no Chrome answers at the address, if it is another Chrome than the address names, or
    ///   if none of its tabs matches. No answer is reported within two seconds, for each address of a host name;
    ///   the message quotes an answer that is not Chrome's.
    /// - `ambiguous_tab` if several tabs match.
    /// - `timeout` if the deadline is over.
    /// - Otherwise the driver's own code.
    pub async fn attach(
        driver: &DriverProcess,
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        let url = driver.url().to_owned();
        in_background(options.deadline, options.run(url.into(), address)).await
    }

    /// Attaches as [`attach`](Self::attach) does, through a WebDriver server that runs elsewhere. The address
    /// is as that server sees it; if the server is not on this machine, only it can find the tab, by
    /// switching to each in turn. An address from [`from_user_data_dir`](DebuggerAddress::from_user_data_dir)
    /// is still checked from this machine.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach); code `misconfigured` also if no WebDriver server answers.
    pub async fn attach_at(
        webdriver: &str,
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        in_background(
            options.deadline,
            options.run(webdriver.to_owned().into(), address),
        )
        .await
    }
}

impl AttachOptions {
    /// Sets which page to read. Default: the one at `https://web.whatsapp.com`.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Names the tab, by its WebDriver window handle, which is also its DevTools target id. Needed if
    /// several sessions share one Chrome. It still has to be at the target's origin. Default: the only
    /// tab that is.
    pub fn tab(mut self, id: impl Into<String>) -> Self {
        self.tab = Some(id.into());
        self
    }

    /// Sets whether the WebDriver server is on another machine although its URL names this one: it is in a
    /// container, or behind a tunnel. The address is then not asked from here. Default: as the URL says.
    pub fn elsewhere(mut self, yes: bool) -> Self {
        self.is_elsewhere = yes;
        self
    }

    /// Sets how long attaching may take in all; up to half of it is spent waiting for a tab that is not
    /// there yet. Default: 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn run(
        self,
        webdriver: Zeroizing<String>,
        address: DebuggerAddress,
    ) -> Result<Page, ProtocolFailure> {
        // A driver elsewhere may reach a Chrome that this machine cannot.
        let is_near = !self.is_elsewhere && Target::is_on_this_machine(&webdriver);
        let address = if is_near || address.names_browser() {
            address.resolve().await?
        } else {
            address
        };
        let near = is_near.then(|| address.clone());
        let mut finder = TabFinder::new(self.target.clone(), self.tab, near);
        finder
            .wait_for_tab(Instant::now() + self.deadline.min(MAX_DEADLINE) / 2)
            .await?;
        let chrome = json!({ "debuggerAddress": address.to_string() });
        let (session, connection) = Session::create(webdriver, chrome, None).await?;
        let client = connection.client();
        let owner = Owner::Attached {
            session,
            finder: finder.clone(),
        };
        let page = Page::new(connection, self.target, owner, None);
        finder.select(&client).await?;
        page.tab().clean_up().await?;
        Ok(page)
    }
}
