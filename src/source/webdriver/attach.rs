//! [`Page::attach`]: a page in a Chrome that another program started and drives.

use serde_json::json;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::driver::DriverProcess;
use super::page::Page;
use super::session::{Session, in_background};
use super::tab::Owner;
use crate::failure::ProtocolFailure;
use crate::source::page::attach::AttachOptions;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::finder::TabFinder;

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
    ///   if none of its tabs matches. If nothing listens there, the error comes within two seconds for each address
    ///   of the host name; the message quotes an answer that is not Chrome's.
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
    /// Sets whether the WebDriver server is on another machine although its URL names this one: it is in a
    /// container, or behind a tunnel. The address is then not asked from here. Default: as the URL says.
    pub fn elsewhere(mut self, yes: bool) -> Self {
        self.is_elsewhere = yes;
        self
    }

    async fn run(
        self,
        webdriver: Zeroizing<String>,
        address: DebuggerAddress,
    ) -> Result<Page, ProtocolFailure> {
        // A driver elsewhere may reach a Chrome that this machine cannot.
        let is_near = !self.is_elsewhere && is_on_this_machine(&webdriver);
        let address = if is_near || address.names_browser() {
            address.resolve().await?
        } else {
            address
        };
        let until = self.wait_until();
        let near = is_near.then(|| address.clone());
        let mut finder = TabFinder::new(self.target.clone(), self.tab, near);
        finder.wait_for_tab(until).await?;
        let chrome = json!({ "debuggerAddress": address.to_string() });
        let (session, connection) = Session::create(webdriver, chrome, None).await?;
        let client = connection.client();
        let owner = Owner::Attached {
            session,
            finder: finder.clone(),
        };
        let page = Page::new(
            connection,
            self.target,
            owner,
            None,
            is_near.then_some(address),
        );
        finder.select(&client).await?;
        page.tab().clean_up().await?;
        Ok(page)
    }
}

/// Returns whether this URL's host is this machine itself.
pub(super) fn is_on_this_machine(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
