//! [`AttachOptions`]: joining a Chrome that somebody else started and still drives.

use std::time::Duration;

use fantoccini::Client;
use fantoccini::wd::WindowHandle;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::devtools::{DebuggerAddress, Tab};
use super::error::command;
use super::page::Page;
use super::session::{Session, apart};
use super::target::{AMBIGUOUS, Target};
use crate::failure::ProtocolFailure;

/// How often the tabs are listed while none matches.
const PACE: Duration = Duration::from_millis(100);

/// How [`Page::attach`] joins a running Chrome. `Default` looks for the one tab at
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

impl AttachOptions {
    /// Which page is meant. Default: the one at `https://web.whatsapp.com`.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// The very tab that is meant, by its WebDriver window handle, which is also its DevTools target
    /// id: name it where several sessions share one Chrome. It still has to be at the target's origin.
    /// Default: the one tab that is.
    pub fn tab(mut self, id: impl Into<String>) -> Self {
        self.tab = Some(id.into());
        self
    }

    /// The WebDriver server is on another machine, though its URL says this one: it is in a container,
    /// or at the end of a tunnel. Then the address is not looked at from here. Default: what the URL
    /// says.
    pub fn elsewhere(mut self, yes: bool) -> Self {
        self.is_elsewhere = yes;
        self
    }

    /// How long attaching may take in all; half of it is given to waiting for a tab that is not
    /// there yet. Default: 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(super) async fn start(
        self,
        webdriver: String,
        address: DebuggerAddress,
    ) -> Result<Page, ProtocolFailure> {
        apart(self.deadline, self.run(webdriver, address)).await
    }

    async fn run(
        self,
        webdriver: String,
        address: DebuggerAddress,
    ) -> Result<Page, ProtocolFailure> {
        // A driver elsewhere may see a Chrome that this machine does not.
        let is_near = !self.is_elsewhere && Target::is_on_this_machine(&webdriver);
        if is_near {
            address.check().await?;
        }
        let mut visit = Visit {
            target: self.target,
            tab: self.tab,
            address: is_near.then(|| address.clone()),
            others: Vec::new(),
        };
        visit
            .wait_for_tab(Instant::now() + self.deadline / 2)
            .await?;
        let chrome = json!({ "debuggerAddress": address.to_string() });
        let (session, wire) = Session::create(webdriver, chrome).await?;
        let client = wire.client();
        let target = visit.target.clone();
        let page = Page::new(wire, target, Some(session), Some(visit.clone()));
        visit.select(&client).await?;
        page.link().tidy().await?;
        Ok(page)
    }
}

/// Which tab of somebody's Chrome is read, and how it is found without a stir.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    target: Target,
    tab: Option<String>,
    /// `None` where only the driver can reach that Chrome.
    address: Option<DebuggerAddress>,
    /// The tabs that were there beside the right one. They are other sessions' for all we know, and
    /// are not followed when they come to the target's origin.
    others: Vec<String>,
}

impl Visit {
    /// Waits until there is the one tab that is meant.
    async fn wait_for_tab(&mut self, until: Instant) -> Result<(), ProtocolFailure> {
        let Some(address) = self.address.clone() else {
            return Ok(());
        };
        loop {
            let tabs = address.tabs().await?;
            let ids: Vec<_> = tabs.iter().map(|tab| tab.id.clone()).collect();
            match self.pick(tabs) {
                Ok(right) => {
                    self.others = ids.into_iter().filter(|id| *id != right).collect();
                    return Ok(());
                }
                Err(Pick::None(_)) if Instant::now() < until => sleep(PACE).await,
                Err(reason) => return Err(reason.failure(&self.target)),
            }
        }
    }

    /// Makes the right tab the session's current one; does nothing where it is that already, since
    /// ChromeDriver brings to the front what it switches to.
    async fn select(&self, client: &Client) -> Result<(), ProtocolFailure> {
        let Some(address) = &self.address else {
            return self.select_from_afar(client).await;
        };
        let id = self
            .pick(address.tabs().await?)
            .map_err(|reason| reason.failure(&self.target))?;
        let is_current = client
            .window()
            .await
            .is_ok_and(|current| String::from(current) == id);
        if is_current {
            return Ok(());
        }
        let Ok(handle) = WindowHandle::try_from(id) else {
            return Err(self.target.none(0));
        };
        client
            .switch_to_window(handle)
            .await
            .map_err(|error| command(&error))
    }

    /// The same where only the driver can reach that Chrome, which tells a tab's URL when it has been
    /// switched to.
    async fn select_from_afar(&self, client: &Client) -> Result<(), ProtocolFailure> {
        let Some(Ok(named)) = self.tab.clone().map(WindowHandle::try_from) else {
            return self.target.select(client).await;
        };
        client
            .switch_to_window(named)
            .await
            .map_err(|error| command(&error))?;
        let url = client
            .current_url()
            .await
            .map_err(|error| command(&error))?;
        if self.target.matches(url.as_str()) {
            Ok(())
        } else {
            Err(self.target.none(1))
        }
    }

    /// After the tab has gone: turns to the one that has come up in its place, if there is one.
    ///
    /// # Errors
    ///
    /// When several have.
    pub(super) async fn follow(&self, client: &Client) -> Result<bool, ProtocolFailure> {
        if self.address.is_none() {
            // Nobody could tell a new tab from another session's, and each would be brought to front.
            return Ok(false);
        }
        match self.select(client).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.code() == Some(AMBIGUOUS) => Err(failure),
            Err(_) => Ok(false),
        }
    }

    fn pick(&self, tabs: Vec<Tab>) -> Result<String, Pick> {
        let all = tabs.len();
        let is_named = |tab: &Tab| self.tab.as_ref().is_none_or(|id| *id == tab.id);
        let is_other = |tab: &Tab| self.others.contains(&tab.id);
        let mut matching: Vec<_> = tabs
            .into_iter()
            .filter(|tab| is_named(tab) && !is_other(tab) && self.target.matches(&tab.url))
            .collect();
        match (matching.pop(), matching.len()) {
            (None, _) => Err(Pick::None(all)),
            (Some(one), 0) => Ok(one.id),
            (Some(_), others) => Err(Pick::Several(others + 1)),
        }
    }
}

/// Why there is no one tab.
enum Pick {
    None(usize),
    Several(usize),
}

impl Pick {
    fn failure(&self, target: &Target) -> ProtocolFailure {
        match self {
            Self::None(tabs) => target.none(*tabs),
            Self::Several(tabs) => target.several(*tabs),
        }
    }
}
