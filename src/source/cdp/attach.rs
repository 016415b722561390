//! [`CdpPage::attach`]: a page in a Chrome that another program started and drives.

use tokio::time::timeout;

use super::error;
use super::page::CdpPage;
use super::tab::Tab;
use crate::failure::ProtocolFailure;
use crate::source::page::attach::AttachOptions;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::finder::TabFinder;
use crate::source::page::target::NoTab;

impl CdpPage {
    /// Attaches to a page of a Chrome that another program started and still drives, for instance with Puppeteer.
    /// The tab is found without touching the others, and is not raised.
    ///
    /// If the tab is closed or moves to another origin, and a new one has come up at the target's origin
    /// since, that one is read from then on. If several sessions share one Chrome, it could be another
    /// session's: name the tab there ([`AttachOptions::tab`]).
    ///
    /// ```no_run
    /// use whatsapp_phone::source::cdp::{AttachOptions, CdpPage, DebuggerAddress};
    ///
    /// # async fn example() -> Result<(), whatsapp_phone::ProtocolFailure> {
    /// let address = DebuggerAddress::from_user_data_dir("/srv/sessions/7")?;
    /// let page = CdpPage::attach(address, AttachOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if no Chrome answers at the address (if nothing listens there, within two seconds for each
    /// address of the host name), if it is another Chrome than the address names, or if none of its tabs
    /// matches; `ambiguous_tab` if several do; `timeout` if the deadline is over.
    pub async fn attach(
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        let deadline = options.deadline;
        let attached = timeout(deadline, attach(address, options)).await;
        attached.unwrap_or_else(|_| Err(error::timeout().failure))
    }
}

async fn attach(
    address: DebuggerAddress,
    options: AttachOptions,
) -> Result<CdpPage, ProtocolFailure> {
    let until = options.wait_until();
    let address = address.resolve().await?;
    let AttachOptions { target, tab, .. } = options;
    let mut finder = TabFinder::new(target, tab, Some(address.clone()));
    let Some(id) = finder.wait_for_tab(until).await? else {
        return Err(finder.target.failure(NoTab::None { tabs: 0 }));
    };
    let tab = Tab::open(finder, address, id, false).await;
    tab.map(CdpPage::new).map_err(|error| error.failure)
}
